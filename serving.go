package echohealth

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// serving records the http.Servers through which the application's requests come, so that Shutdown can report
// a server that it was not given. The server is in the context of each request. It would cost too much to
// read it from every request, so only some requests are recorded.
type serving struct {
	looks atomic.Bool // requests are recorded: before the first one, and during the drain
	once  sync.Once   // sets looks to false after the first request, but not after drain
	seen  sync.Map    // of *http.Server to *seenServer
}

// seenServer is a server through which requests have come.
type seenServer struct {
	address   net.Addr
	untracked atomic.Bool // requests came over connections that the server does not track
}

// note records the server of a request.
func (s *serving) note(r *http.Request) {
	s.once.Do(func() { s.looks.Store(false) })
	server, ok := r.Context().Value(http.ServerContextKey).(*http.Server)
	if !ok {
		return
	}
	value, ok := s.seen.Load(server)
	if !ok {
		address, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
		value, _ = s.seen.LoadOrStore(server, &seenServer{address: address})
	}
	if r.ProtoMajor == 2 && r.TLS == nil && !speaksPlainHTTP2(server) {
		value.(*seenServer).untracked.Store(true)
	}
}

// speaksPlainHTTP2 reports whether the server itself speaks HTTP/2 without TLS. If it does not, a handler
// such as that of golang.org/x/net/http2/h2c has taken over the connection, and the server does not track it.
func speaksPlainHTTP2(server *http.Server) bool {
	return server.Protocols != nil && server.Protocols.UnencryptedHTTP2()
}

// drain makes TryServe record every request from now on.
func (s *serving) drain() {
	s.once.Do(func() {})
	s.looks.Store(true)
}

// missed returns an error for each server whose requests Shutdown did not wait for. known are the servers
// that were shut down. If all is false, there were others that are not known, and then a server that is
// missing from known is not an error.
func (s *serving) missed(known []*http.Server, all bool) error {
	var errs []error
	s.seen.Range(func(key, value any) bool {
		server, seen := key.(*http.Server), value.(*seenServer)
		switch {
		case all && !slices.Contains(known, server):
			errs = append(errs, fmt.Errorf("echohealth: Shutdown: requests may be lost: they came through the "+
				"http.Server at %v, which was not given to Shutdown", seen.address))
		case seen.untracked.Load():
			errs = append(errs, fmt.Errorf("echohealth: Shutdown: requests may be lost: the http.Server at %v "+
				"does not wait for them, because its handler took over their connections (h2c); "+
				"use http.Protocols.SetUnencryptedHTTP2 instead", seen.address))
		}
		return true
	})
	return errors.Join(errs...)
}

// writeTimeoutAdvice returns a line of advice if the WriteTimeout of the request's server is not above
// longest, the longest timeout of the checks, because the server could then cut off an answer. Otherwise it
// returns "".
func writeTimeoutAdvice(r *http.Request, longest time.Duration) string {
	server, ok := r.Context().Value(http.ServerContextKey).(*http.Server)
	if !ok || server.WriteTimeout <= 0 || server.WriteTimeout > longest {
		return ""
	}
	return fmt.Sprintf("the WriteTimeout of the http.Server is %s, but a check may take %s, so the answer may "+
		"be cut off: increase WriteTimeout, or lower the check's timeout", server.WriteTimeout, longest)
}
