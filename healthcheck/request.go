package healthcheck

import (
	"context"
	"net/http"
	"time"
)

// requestSettings is what all requests have in common.
type requestSettings struct {
	timeout time.Duration // of a whole answer
	header  http.Header
}

// askOnce asks a target on a new connection, and takes no longer than the timeout.
func (s requestSettings) askOnce(ctx context.Context, t target, method string) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	began := time.Now()
	c, err := dial(ctx, t)
	if err != nil {
		return nil, contextError(ctx, err)
	}
	defer c.Close()
	// Without it an interrupted --watch would wait for a server that hangs.
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	r := t.newRequest(method, s.header)
	r.Close = true
	a, err := c.ask(ctx, r)
	if err != nil {
		return nil, contextError(ctx, err)
	}
	a.took = time.Since(began)
	return a, nil
}

// contextError returns the error of ctx where its end is why something failed, else err.
func contextError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// newRequest returns the request to send to the target.
func (t target) newRequest(method string, header http.Header) *http.Request {
	r := &http.Request{Method: method, URL: t.url, Host: header.Get("Host"), Header: header.Clone()}
	if user := t.url.User; user != nil && header.Get("Authorization") == "" {
		password, _ := user.Password()
		r.SetBasicAuth(user.Username(), password)
	}
	return r
}
