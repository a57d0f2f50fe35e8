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

// serving holds the servers through which the application's requests come, so that Shutdown knows whether it
// was given other ones. Each request has its server in its context. To read it in every request would cost
// too much.
type serving struct {
	looks atomic.Bool // each request is to be noted: until one was, and in the drain
	once  sync.Once   // ends the looking before the drain
	seen  sync.Map    // of *http.Server to *seenServer
}

// seenServer is a server through which requests have come.
type seenServer struct {
	address   net.Addr
	untracked atomic.Bool // requests come over connections of which the server does not know
}

// note remembers the server of a request.
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

// speaksPlainHTTP2 reports whether the server itself speaks HTTP/2 without TLS. Otherwise a handler has
// taken the connection away from the server, as that of golang.org/x/net/http2/h2c does.
func speaksPlainHTTP2(server *http.Server) bool {
	return server.Protocols != nil && server.Protocols.UnencryptedHTTP2()
}

// drain has every request noted from now on.
func (s *serving) drain() {
	s.once.Do(func() {})
	s.looks.Store(true)
}

// missed returns an error for each server with requests that the shutdown of these servers did not wait for.
// If not all servers that were shut down are known, any may be one of them.
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

// writeTimeoutAdvice returns a line of advice if the server of a request ends an answer before a check of
// the longest timeout has ended; otherwise it is empty.
func writeTimeoutAdvice(r *http.Request, longest time.Duration) string {
	server, ok := r.Context().Value(http.ServerContextKey).(*http.Server)
	if !ok || server.WriteTimeout <= 0 || server.WriteTimeout > longest {
		return ""
	}
	return fmt.Sprintf("the WriteTimeout of the http.Server is %s, and a check may take %s: its answer would "+
		"be cut off; set WriteTimeout above it, or the check's timeout below", server.WriteTimeout, longest)
}
