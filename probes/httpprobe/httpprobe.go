// Package httpprobe checks an HTTP dependency with a GET request:
//
//	echohealth.WithCheck("billing", httpprobe.New("https://billing.internal/healthz"))
//
// A status of 2xx is OK. Any other status is an error. With the option Expect a function judges the status
// and the body instead. The probe does not follow redirects, because their target, often a login page, shows
// nothing about the dependency. So a check proves only that this URL is served. Choose the dependency's
// liveness, or an endpoint that your service needs. If you choose the dependency's readiness, your service
// also fails when a dependency of that dependency fails.
//
// A check costs one request on a connection that is kept from check to check. The probe reads up to 4 KB of
// the body and, without Expect, discards them. A longer body costs a new connection for each check. A body
// that neither ends nor reaches 4 KB before the check's context ends is a timeout. Interim responses (100,
// 102, 103) are skipped. A response 101 is an error with ReasonMisconfigured, because the URL belongs to
// another protocol, such as WebSocket.
//
// An answer in another protocol is an error with ReasonMisconfigured, and so is the answer of MongoDB's port,
// which says with status 200 that it is not for HTTP. A PostgreSQL or Redis server closes the
// connection of an HTTP request without an answer. If a server does this and the URL has never answered
// before, the probe makes another connection and asks the server in these two protocols. With the option
// Client it does not ask, and the check is an error with ReasonConnectionLost.
//
// The detail status_code is the status of the response.
package httpprobe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync/atomic"

	"github.com/echo-probes/echohealth/internal/basecontext"
	"github.com/echo-probes/echohealth/probes"
)

// A Probe checks one URL. Make it with New. Its methods may be called from any goroutine.
type Probe struct {
	url      *url.URL
	method   string
	host     string // empty: the host of the URL
	header   http.Header
	expect   func(status int, body []byte) error // nil: 2xx is OK
	tls      *tls.Config
	client   *http.Client
	given    bool            // client is from the option Client
	base     context.Context // its values are visible in each request's context; nil without BaseContext
	invalid  error
	closed   atomic.Bool
	answered atomic.Bool // the URL has answered by HTTP at least once
}

// New returns a probe of rawURL, which must be absolute, with the scheme http or https and a host. The probe
// sends a user and a password in the URL by basic authentication. Special characters in them must be
// percent-encoded, and so must an @ or # after the host. The probe uses no network before the first check.
// An invalid URL is an error at construction of the health checks.
func New(rawURL string, opts ...Option) *Probe {
	p := &Probe{method: http.MethodGet, header: make(http.Header), client: sharedClient}
	var err error
	p.url, err = parse(rawURL)
	errs := []error{err}
	for _, opt := range opts {
		errs = append(errs, opt(p))
	}
	p.invalid = errors.Join(append(errs, p.combine())...)
	return p
}

// combine returns an error for options that contradict each other, and makes the client of TLSConfig.
func (p *Probe) combine() error {
	var errs []error
	if len(p.header["Authorization"]) > 1 {
		errs = append(errs, errors.New("httpprobe.Header(\"Authorization\", …): "+
			"the header must be set only once: use one of Header, BasicAuth and BearerToken"))
	}
	switch {
	case p.tls == nil:
	case p.given:
		errs = append(errs, errors.New("httpprobe.TLSConfig: the client of the option Client has its own"))
	case p.url != nil && p.url.Scheme == "http":
		errs = append(errs, errors.New("httpprobe.TLSConfig: it has no effect on a URL of the scheme http"))
	default:
		p.client = newClient(p.tls)
	}
	return errors.Join(errs...)
}

// Validate returns the errors of the arguments of New and of its options, with passwords masked.
func (p *Probe) Validate() error { return p.invalid }

// Close closes the idle connections of the probe's client. If other probes share that client, they connect
// again when they need to. Close does not touch the client of the option Client. It always returns nil. A
// later check is Error with ReasonClientClosed.
func (p *Probe) Close() error {
	p.closed.Store(true)
	if !p.given {
		p.client.CloseIdleConnections()
	}
	return nil
}

// bodyLimit is how many bytes of a body the probe reads. It reads them for Expect, and to reuse the
// connection.
const bodyLimit = 4 << 10

// Check sends the request. It returns when ctx ends at the latest, unless the application has set a Client
// that ignores its context.
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
		return probes.FromError(p.explain(ctx, err))
	}
	p.answered.Store(true)
	defer response.Body.Close()
	result := probes.FromError(p.judge(response))
	result.Details = []slog.Attr{slog.Int("status_code", response.StatusCode)}
	return result
}

// judge returns an error if the response is not OK. It reads at most bodyLimit bytes of the body.
func (p *Probe) judge(response *http.Response) error {
	if response.StatusCode == http.StatusSwitchingProtocols {
		// The body must not be read: it is the connection itself, and the end of the context does not end the read.
		return failed(response, ": the server changes to another protocol, for which it was not asked")
	}
	if err := wrongPort(response); err != nil {
		return err
	}
	if p.expect != nil {
		body, err := io.ReadAll(io.LimitReader(response.Body, bodyLimit))
		if err != nil {
			return fmt.Errorf("the body of HTTP status %d: %w", response.StatusCode, err)
		}
		return p.expect(response.StatusCode, body)
	}
	_, err := io.CopyN(io.Discard, response.Body, bodyLimit)
	switch {
	case reasonFor(response.StatusCode) != "":
		return failed(response, "")
	case errors.Is(err, io.EOF):
		return nil // the body is not longer than bodyLimit
	}
	return err
}

func failed(response *http.Response, why string) error {
	status := response.StatusCode
	err := fmt.Errorf("HTTP status %d %s%s", status, http.StatusText(status), why)
	return probes.Fail(reasonFor(status), err)
}

// closeIfOvertaken closes the idle connections again if Close was called during the check. The connection of
// that check became idle only after Close had closed the others.
func (p *Probe) closeIfOvertaken() {
	if p.closed.Load() {
		_ = p.Close()
	}
}

func (p *Probe) request(ctx context.Context) *http.Request {
	request := &http.Request{
		Method: p.method, URL: p.url, Host: p.host, Header: p.header.Clone(),
	}
	if request.Header.Get("User-Agent") == "" {
		request.Header.Set("User-Agent", "echohealth")
	}
	ctx = basecontext.With(ctx, p.base)
	return request.WithContext(context.WithValue(ctx, targetKey{}, newTarget(p.url)))
}
