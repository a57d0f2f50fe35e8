// Package httpprobe checks an HTTP dependency with a GET request:
//
//	echohealth.WithCheck("billing", httpprobe.New("https://billing.internal/healthz"))
//
// A status of 2xx is OK. Any other status is an error. The probe does not follow redirects, because their
// target, often a login page, says nothing about the dependency. So a check proves that this URL is served,
// and no more. Choose the dependency's liveness, or an endpoint that your service needs. With the
// dependency's own readiness, the outages of its dependencies become yours.
//
// A check costs one request on a connection that is kept from check to check. The probe reads up to 4 KB of
// the body and discards them. A longer body costs a new connection for each check. A body that neither ends
// nor reaches 4 KB before the check's context ends is a timeout. Interim responses (100, 102, 103) are
// skipped. A response 101 is an error with ReasonMisconfigured: the URL belongs to another protocol, such as
// WebSocket.
//
// The detail status_code is the status of the response.
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
	"github.com/echo-probes/echohealth/internal/redact"
	"github.com/echo-probes/echohealth/probes"
)

// A Probe checks one URL. Make it with New. Its methods may be called from any goroutine.
type Probe struct {
	url     *url.URL
	header  http.Header
	client  *http.Client
	base    context.Context // source of values for each request; nil without BaseContext
	invalid error
	closed  atomic.Bool
}

// An Option configures a Probe. An invalid argument is an error at construction of the health checks.
type Option func(*Probe) error

// Client sets the client that the probe uses, for example for its certificates, its proxy or HTTP/2. The
// probe neither changes nor closes the client, and does not follow redirects with it either. A nil client is
// an error at construction of the health checks. The last use wins.
//
// The default is one client that all probes of the process share. It speaks HTTP/1.1, keeps at most two
// connections to a host for at most 90 seconds, keeps no cookies, and uses the proxies of HTTP_PROXY,
// HTTPS_PROXY and NO_PROXY.
func Client(client *http.Client) Option {
	return func(p *Probe) error {
		if client == nil {
			return errors.New("httpprobe.Client(nil): the client must not be nil")
		}
		p.client = withoutRedirects(*client)
		return nil
	}
}

// Header adds a header to the request, such as Authorization. Repeated use with the same key adds another
// value. Host sets the host of the request, and User-Agent replaces the default, "echohealth". The key must
// be a token, and the value must not contain a control character. An invalid key or value is an error at
// construction of the health checks.
func Header(key, value string) Option {
	return func(p *Probe) error {
		if !isToken(key) {
			return fmt.Errorf(
				"httpprobe.Header(%q, …): the key must consist of letters, digits and !#$%%&'*+-.^_`|~",
				redact.Text(key))
		}
		if !isFieldValue(value) {
			return fmt.Errorf("httpprobe.Header(%q, …): the value must not contain a control character", key)
		}
		p.header.Add(key, value)
		return nil
	}
}

// BaseContext sets a context whose values are visible in the context of each request, for the hooks of the
// client of the option Client, such as a transport that reads a tenant or a tracer. Values of the check's
// own context come first. Only the values of ctx count, not its deadline or its cancellation. The default
// has no values. A nil ctx is an error at construction of the health checks. The last use wins.
func BaseContext(ctx context.Context) Option {
	return func(p *Probe) error {
		if ctx == nil {
			return errors.New("httpprobe.BaseContext(nil): the context must not be nil")
		}
		p.base = ctx
		return nil
	}
}

// New returns a probe of rawURL, which must be absolute, with the scheme http or https and a host. The probe
// sends a user and a password in the URL by basic authentication. Special characters in them must be
// percent-encoded, and so must an @ or # after the host. The probe uses no network before the first check.
// An invalid URL is an error at construction of the health checks.
func New(rawURL string, opts ...Option) *Probe {
	p := &Probe{header: make(http.Header), client: sharedClient}
	var err error
	p.url, err = parse(rawURL)
	errs := []error{err}
	for _, opt := range opts {
		errs = append(errs, opt(p))
	}
	p.invalid = errors.Join(errs...)
	return p
}

// Validate returns the errors of the arguments of New and of its options, with passwords masked.
func (p *Probe) Validate() error { return p.invalid }

// Close closes the idle connections of the client that all probes share. The other probes open them again
// when they need to. Close does not touch the client of the option Client. It always returns nil. A later
// check is Error with ReasonClientClosed.
func (p *Probe) Close() error {
	p.closed.Store(true)
	if p.client == sharedClient {
		sharedClient.CloseIdleConnections()
	}
	return nil
}

// bodyLimit is how many bytes of a body are read, so that its connection can be reused.
const bodyLimit = 4 << 10

// Check sends the request. It returns when ctx ends at the latest, unless the client of the option Client
// ignores its context.
func (p *Probe) Check(ctx context.Context) probes.Result {
	if p.invalid != nil {
		return probes.Result{Status: probes.Error, Reason: probes.ReasonMisconfigured, Err: p.invalid}
	}
	if p.closed.Load() {
		return probes.FromError(probes.Fail(probes.ReasonClientClosed, errors.New("the probe is closed")))
	}
	defer p.closeIfOvertaken()
	response, err := p.client.Do(p.request(ctx))
	if err != nil {
		return probes.FromError(withoutURL(err))
	}
	defer response.Body.Close()
	result := probes.FromError(judge(response))
	result.Details = []slog.Attr{slog.Int("status_code", response.StatusCode)}
	return result
}

// judge reads the necessary part of a response, and returns an error if the response is not OK.
func judge(response *http.Response) error {
	if response.StatusCode == http.StatusSwitchingProtocols {
		// Its body is the connection, and the context does not end a read on it.
		return failed(response, ": the server changes to another protocol, for which it was not asked")
	}
	_, err := io.CopyN(io.Discard, response.Body, bodyLimit)
	switch {
	case reasonFor(response.StatusCode) != "":
		return failed(response, "")
	case errors.Is(err, io.EOF):
		return nil // the body is within the limit
	}
	return err
}

func failed(response *http.Response, why string) error {
	status := response.StatusCode
	err := fmt.Errorf("HTTP status %d %s%s", status, http.StatusText(status), why)
	return probes.Fail(reasonFor(status), err)
}

// closeIfOvertaken closes the connection of a check that was in flight during Close. That connection has
// become idle only after Close has closed the others.
func (p *Probe) closeIfOvertaken() {
	if p.closed.Load() {
		_ = p.Close()
	}
}

func (p *Probe) request(ctx context.Context) *http.Request {
	request := &http.Request{
		Method: http.MethodGet, URL: p.url, Host: p.header.Get("Host"), Header: p.header.Clone(),
	}
	if request.Header.Get("User-Agent") == "" {
		request.Header.Set("User-Agent", "echohealth")
	}
	return request.WithContext(basecontext.With(ctx, p.base))
}

// withoutURL removes the layer in which net/http quotes the URL, because its query may contain a token.
func withoutURL(err error) error {
	if urlError, ok := errors.AsType[*url.Error](err); ok {
		return urlError.Err
	}
	return err
}

// reasonFor returns an empty reason for 2xx. It does not interpret what a server says about itself by a 5xx:
// the details contain the number.
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

// sharedClient has limits that also hold for a context without a deadline. It speaks only HTTP/1.1, which
// gives up a connection when a request on it times out. HTTP/2 would send the next request over the same
// connection, even if it is dead.
var sharedClient = withoutRedirects(http.Client{
	Timeout: 30 * time.Second,
	Transport: &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout:    5 * time.Second,
		MaxIdleConns:           100,
		MaxIdleConnsPerHost:    2,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true, // the body is discarded
		Protocols:              http1(),
	},
})

func http1() *http.Protocols {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &protocols
}

// withoutRedirects returns a copy of client that returns a redirect as the response.
func withoutRedirects(client http.Client) *http.Client {
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client
}
