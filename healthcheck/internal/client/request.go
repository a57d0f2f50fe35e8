package client

import (
	"context"
	"net/http"
	"time"
)

// Ask sends a request over a new connection and returns the answer. s.Timeout limits the whole call.
func (s Settings) Ask(ctx context.Context, t Target, method string) (*Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	began := time.Now()
	c, err := s.Dial(ctx, t)
	if err != nil {
		return nil, ContextError(ctx, err)
	}
	defer c.Close()
	// When ctx ends, closing the connection interrupts c.Ask. Otherwise an interrupted --watch would wait for a
	// server that hangs.
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	r := t.NewRequest(method, s.Header)
	r.Close = true
	a, err := c.Ask(ctx, r)
	if err != nil {
		return nil, ContextError(ctx, err)
	}
	a.Took = time.Since(began)
	return a, nil
}

// ContextError returns the error of ctx if ctx has ended, and otherwise err.
func ContextError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// NewRequest returns a request for the target.
func (t Target) NewRequest(method string, header http.Header) *http.Request {
	r := &http.Request{Method: method, URL: t.URL, Host: header.Get("Host"), Header: header.Clone()}
	if user := t.URL.User; user != nil && header.Get("Authorization") == "" {
		password, _ := user.Password()
		r.SetBasicAuth(user.Username(), password)
	}
	return r
}
