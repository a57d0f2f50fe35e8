package echohealth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"
)

// MarkStarted opens the gate of WithStartupGate: /startup/ answers 200 from now on, and readiness depends on
// the checks. A second call, or a call without that option, does nothing.
func (h *Health) MarkStarted() {
	if h.monitor.open() {
		h.phaseChanged()
	}
}

// phaseChanged invalidates the cached answers and reports readiness.
func (h *Health) phaseChanged() {
	at := time.Now()
	h.monitor.engine.Invalidate()
	h.monitor.engine.Enqueue(func() { h.notifier.reportReadiness(at) })
}

// Started reports what /startup/ answers: whether the gate of WithStartupGate is open. Without a gate it is
// true.
func (h *Health) Started() bool { return h.monitor.started() }

// Drain makes readiness 503 immediately, with "reason":"draining", and waits for the drain delay, so that
// load balancers stop sending requests. Meanwhile liveness is 200, requests are served, and every answer has
// the header "Connection: close", so that clients with a kept-alive connection connect to another instance.
//
// If ctx ends first, Drain returns an error that wraps its cause. A second call waits for the rest of the
// delay of the first. A drain cannot be undone.
func (h *Health) Drain(ctx context.Context) error {
	h.startDraining()
	select {
	case <-h.monitor.drained:
	case <-h.monitor.engine.Done(): // after Close there is nothing to wait for
	case <-ctx.Done():
		if h.monitor.isDrained() || h.monitor.engine.Closed() { // both ended together: not cut short
			return nil
		}
		return fmt.Errorf("echohealth: the drain was cut short: %w", context.Cause(ctx))
	}
	return nil
}

func (h *Health) startDraining() {
	if h.monitor.drain(h.config.drainDelay) {
		h.serving.drain()
		h.phaseChanged()
	}
}

// DrainContext returns a context that ends one drain delay after parent has ended. In between readiness is
// 503, as during Drain. It is for servers that shut down as soon as their context ends, such as StartConfig
// of Echo v5:
//
//	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
//	context.AfterFunc(ctx, stop) // a second signal ends the process, as it does without NotifyContext
//	err := echo.StartConfig{Address: ":8000"}.Start(h.DrainContext(ctx), e)
//
// The context has the values of parent. If Close is called during the drain delay, the context ends
// immediately.
func (h *Health) DrainContext(parent context.Context) context.Context {
	ctx, cancel := context.WithCancel(context.WithoutCancel(parent))
	context.AfterFunc(parent, func() {
		defer cancel()
		_ = h.Drain(ctx) // no error: ctx ends only after Drain
	})
	return ctx
}

// Server is a server that Shutdown can shut down, such as *echo.Echo of version 4 or *http.Server.
type Server interface {
	Shutdown(context.Context) error
}

// serverGrace is how long Shutdown waits for a Server after the context of Shutdown has ended.
const serverGrace = time.Second

// Shutdown ends a service without losing a request. It calls Drain, then Shutdown of all servers at the same
// time, then Close.
//
// The drain takes at most half of the time until the deadline of ctx, so that requests in flight have the
// other half. A drain that is cut to this half is logged, and is not an error. When ctx ends, for example by
// a second signal, every wait ends. Shutdown waits at most 1 s more for a Server that ignores ctx, and Close
// takes at most 3 s. If ctx has ended before the call, Shutdown skips the drain delay and returns an error.
//
// The error joins the cause of ctx, the errors and panics of the servers, and the error of Close. It wraps
// ErrLeftAlone if something did not end in time.
//
// The servers must be those that serve: e after e.Start or e.StartTLS, but the *http.Server itself after
// e.StartServer. If the application's requests came through an *http.Server that was not given, Shutdown did
// not wait for these requests, and returns an error. It also returns an error after requests over HTTP/2
// without TLS through e.StartH2CServer or a handler of golang.org/x/net/http2/h2c, because no server waits
// for such requests. Use http.Protocols.SetUnencryptedHTTP2 and e.Start instead.
//
// To find these servers, Shutdown uses the first application request, each request over HTTP/2 without TLS,
// and each request during the drain. If a Server is neither an *echo.Echo of version 4 nor an *http.Server,
// Shutdown can't know which *http.Server it shuts down, and then does not report a server that was not given.
// If the application shuts its servers down itself, call Drain before and Close after that, not Shutdown.
func (h *Health) Shutdown(ctx context.Context, servers ...Server) error {
	drained := h.drainWithin(ctx)
	return errors.Join(shutDown(ctx, servers), h.missed(servers), drained, h.Close())
}

// missed returns an error if requests came through a server that the shutdown of servers did not wait for.
func (h *Health) missed(servers []Server) error {
	var known []*http.Server
	all := true
	for _, server := range servers {
		of, ok := httpServers(server)
		known, all = append(known, of...), all && ok
	}
	return h.serving.missed(known, all)
}

// drainTolerance is how much shorter a drain may be without a record in the log. Otherwise a delay of 5 s and
// a context of 10 s would cause one, because a moment of the 10 s has passed.
const drainTolerance = 100 * time.Millisecond

// drainWithin drains for at most half of the time until the deadline of ctx.
func (h *Health) drainWithin(ctx context.Context) error {
	if ctx.Err() != nil {
		h.startDraining()
		return fmt.Errorf("echohealth: the context had ended before Shutdown: %w", context.Cause(ctx))
	}
	half, limit := ctx, time.Duration(0)
	if deadline, ok := ctx.Deadline(); ok {
		limit = time.Until(deadline) / 2
		var cancel context.CancelFunc
		half, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	err := h.Drain(half)
	if err != nil && ctx.Err() == nil {
		if h.config.drainDelay-limit < min(drainTolerance, h.config.drainDelay/10) {
			return nil
		}
		h.notifier.log(slog.LevelWarn,
			"drain shortened: give Shutdown a context of more than twice the drain delay",
			slog.Duration("delay", h.config.drainDelay), slog.Duration("to", limit.Round(time.Millisecond)))
		return nil
	}
	return err
}

// shutDown shuts all servers down at the same time.
func shutDown(ctx context.Context, servers []Server) error {
	overdue, cancel := context.WithCancel(context.Background())
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(serverGrace, cancel) })()
	return runAll(overdue, len(servers),
		func(i int) error { return shutDownOne(ctx, i, servers[i]) },
		func(i int) error {
			return fmt.Errorf("echohealth: Shutdown: server %d did not stop after the context ended; %w",
				i+1, ErrLeftAlone)
		})
}

func shutDownOne(ctx context.Context, i int, server Server) error {
	if isNil(server) {
		return fmt.Errorf("echohealth: Shutdown: server %d is nil", i+1)
	}
	what := fmt.Sprintf("echohealth: Shutdown: server %d", i+1)
	return contain(what, func() error { return server.Shutdown(ctx) })
}
