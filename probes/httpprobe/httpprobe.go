// Package httpprobe checks a dependency that speaks HTTP, by a GET:
//
//	echohealth.WithCheck("billing", httpprobe.New("https://billing.internal/healthz"))
//
// A status of 2xx is OK. Anything else is an error, a redirect too: it is not followed, since where it leads
// (a login page, mostly) says nothing about the dependency. So the check proves that this URL is served, and
// no more: ask the dependency for its liveness or an endpoint that you need, rather than for its own
// readiness, or its dependencies' outages become yours.
//
// A check costs one request, on a connection that is kept from check to check. Of the body up to 4 KB are
// read and thrown away; a longer one costs a new connection each time, and one that neither ends nor reaches
// 4 KB before the check's context ends is a timeout. Interim answers (100, 102, 103) are skipped. An answer
// 101 is an error with ReasonMisconfigured: the URL belongs to another protocol, such as WebSocket.
//
// The detail status_code is the status of the answer.
package httpprobe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/echo-probes/echohealth/internal/basecontext"
	"github.com/echo-probes/echohealth/internal/classify"
	"github.com/echo-probes/echohealth/probes"
)

// A Probe checks one URL. Make it with New.
type Probe struct {
	url     *url.URL
	header  http.Header
	client  *http.Client
	base    context.Context // its values are each request's; nil without BaseContext
	invalid error
	closed  atomic.Bool
}

// An Option changes what New makes.
type Option func(*Probe) error

// Client makes the probe use a client of the application's, for its certificates, its proxy or its HTTP/2. Redirects are
// not followed by it either. The client stays the application's: the probe neither changes nor closes it. A nil client is
// an error at construction of the health checks. Used again it replaces.
//
// The default is one client for all probes of the process. It speaks HTTP/1.1, keeps at most two connections to a host
// for at most 90 seconds, keeps no cookies, and uses the proxy that HTTP_PROXY, HTTPS_PROXY and NO_PROXY name.
func Client(client *http.Client) Option {
	return func(p *Probe) error {
		if client == nil {
			return errors.New("httpprobe.Client(nil): a client is required")
		}
		p.client = unredirected(*client)
		return nil
	}
}

// Header adds a header to the request, such as Authorization; a key used again gets one more value. Host replaces the
// host that is asked for, and User-Agent the default, "echohealth". A key that is no token and a value with a control
// character are errors at construction of the health checks.
func Header(key, value string) Option {
	return func(p *Probe) error {
		if !isToken(key) {
			return fmt.Errorf("httpprobe.Header(%q, …): a key consists of letters, digits and !#$%%&'*+-.^_`|~", classify.Mask(key))
		}
		if !isFieldValue(value) {
			return fmt.Errorf("httpprobe.Header(%q, …): a value has no control character", key)
		}
		p.header.Add(key, value)
		return nil
	}
}

// BaseContext sets a context whose values are found in the context of each request, for the hooks of a client
// that Client was given: a transport that reads a tenant or a tracer from it, say. A value of the check's own
// context comes first. Its deadline and its cancellation do not count. A nil context is an error at
// construction of the health checks. The default has no values. The last use wins.
func BaseContext(ctx context.Context) Option {
	return func(p *Probe) error {
		if ctx == nil {
			return errors.New("httpprobe.BaseContext(nil): the context must not be nil")
		}
		p.base = ctx
		return nil
	}
}

// New returns a probe that asks for rawURL, which is absolute, with the scheme http or https and a host. A
// user and a password in it are sent by basic authentication; what is special in them must be
// percent-encoded, and so must an @ or # behind the host. It uses no network before the first check. What is
// invalid is an error at construction of the health checks.
func New(rawURL string, opts ...Option) *Probe {
	p := &Probe{header: make(http.Header), client: shared}
	var err error
	p.url, err = parse(rawURL)
	errs := []error{err}
	for _, opt := range opts {
		errs = append(errs, opt(p))
	}
	p.invalid = errors.Join(errs...)
	return p
}

// Validate returns what was wrong with the arguments of New and of its options, with passwords masked.
func (p *Probe) Validate() error { return p.invalid }

// Close closes the idle connections of the client that all probes share, which the others open again when they
// need to. A client that was given by Client stays as it is. It always returns nil. A check after it is Error with
// ReasonClientClosed.
func (p *Probe) Close() error {
	p.closed.Store(true)
	if p.client == shared {
		shared.CloseIdleConnections()
	}
	return nil
}

// bodyLimit is how many bytes of a body are read, so that its connection can be used again.
const bodyLimit = 4 << 10

// Check asks for the URL.
func (p *Probe) Check(ctx context.Context) probes.Result {
	if p.invalid != nil {
		return probes.Result{Status: probes.Error, Reason: probes.ReasonMisconfigured, Err: p.invalid}
	}
	if p.closed.Load() {
		return probes.FromError(probes.Fail(probes.ReasonClientClosed, errors.New("the probe is closed")))
	}
	defer p.closeAgain()
	response, err := p.client.Do(p.request(ctx))
	if err != nil {
		return probes.FromError(withoutURL(err))
	}
	defer response.Body.Close()
	result := probes.FromError(judge(response))
	result.Details = []slog.Attr{slog.Int("status_code", response.StatusCode)}
	return result
}

// judge reads what has to be read of an answer, and returns what is wrong with it.
func judge(response *http.Response) error {
	if response.StatusCode == http.StatusSwitchingProtocols {
		// Its body is the connection, on which a read heeds no context.
		return failed(response, ": the server changes to another protocol, for which it was not asked")
	}
	_, err := io.CopyN(io.Discard, response.Body, bodyLimit)
	switch {
	case reasonFor(response.StatusCode) != "":
		return failed(response, "")
	case errors.Is(err, io.EOF):
		return nil // the body is no longer than that
	}
	return err
}

func failed(response *http.Response, why string) error {
	status := response.StatusCode
	return probes.Fail(reasonFor(status), fmt.Errorf("HTTP status %d %s%s", status, http.StatusText(status), why))
}

// closeAgain is for a check that Close has overtaken: its connection has become idle after Close closed those that were.
func (p *Probe) closeAgain() {
	if p.closed.Load() {
		_ = p.Close()
	}
}

func (p *Probe) request(ctx context.Context) *http.Request {
	request := &http.Request{Method: http.MethodGet, URL: p.url, Host: p.header.Get("Host"), Header: p.header.Clone()}
	if request.Header.Get("User-Agent") == "" {
		request.Header.Set("User-Agent", "echohealth")
	}
	return request.WithContext(basecontext.With(ctx, p.base))
}

// withoutURL takes off the layer in which net/http quotes the URL: its query may hold a token.
func withoutURL(err error) error {
	if urlError, ok := errors.AsType[*url.Error](err); ok {
		return urlError.Err
	}
	return err
}

// reasonFor is empty for 2xx. What a server says about itself by 5xx is not the caller's to interpret: the number is
// among the details.
func reasonFor(status int) probes.Reason {
	switch status {
	case http.StatusUnauthorized, http.StatusProxyAuthRequired:
		return probes.ReasonAuthenticationFailed
	case http.StatusForbidden:
		return probes.ReasonPermissionDenied
	case http.StatusNotFound, http.StatusGone:
		return probes.ReasonNotFound
	case http.StatusRequestTimeout, http.StatusGatewayTimeout:
		return probes.ReasonTimeout
	case http.StatusTooManyRequests:
		return probes.ReasonFailed
	}
	switch status / 100 {
	case 2:
		return ""
	case 1, 3, 4:
		return probes.ReasonMisconfigured
	}
	return probes.ReasonFailed
}

// shared has limits that hold even where a check's context has none. HTTP/1.1 alone, since it gives up a connection with
// the request that timed out on it; HTTP/2 would send the next request over the same one, dead or not.
var shared = unredirected(http.Client{
	Timeout: 30 * time.Second,
	Transport: &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout:    5 * time.Second,
		MaxIdleConns:           100,
		MaxIdleConnsPerHost:    2,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true, // nobody reads the body
		Protocols:              http1(),
	},
})

func http1() *http.Protocols {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &protocols
}

// unredirected returns a client like this one that hands out a redirect as the answer.
func unredirected(client http.Client) *http.Client {
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client
}
