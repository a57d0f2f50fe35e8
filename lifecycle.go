package echohealth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/echo-probes/echohealth/internal/classify"
)

// MarkStarted opens the gate of WithStartupGate: /startup/ answers 200 from now on, and readiness is what the checks say.
// Without the option, and a second time, it does nothing.
func (h *Health) MarkStarted() {
	if h.monitor.open() {
		h.phaseChanged()
	}
}

// phaseChanged has the answers written anew, and readiness reported.
func (h *Health) phaseChanged() {
	at := time.Now()
	h.monitor.engine.Invalidate()
	h.monitor.engine.Enqueue(func() { h.notifier.reportReadiness(at) })
}

// Started reports whether the gate of WithStartupGate is open, and true where there is none: what /startup/ says, in code.
func (h *Health) Started() bool { return h.monitor.started() }

// Drain makes readiness 503 at once, with "reason":"draining", and waits the drain delay, in which load balancers learn of it and stop
// sending requests. Meanwhile liveness is 200, requests are served, and every answer says "Connection: close", so that clients with a
// connection that is kept alive go elsewhere.
//
// Where ctx ends first it returns an error that wraps the cause. It is safe to call again: the delay counts from the first call.
// There is no way back.
func (h *Health) Drain(ctx context.Context) error {
	h.startDraining()
	select {
	case <-h.monitor.drained:
	case <-h.monitor.engine.Done(): // closed: nothing is to be waited for
	case <-ctx.Done():
		if h.monitor.isDrained() || h.monitor.engine.Closed() { // both at once: it was not cut
			return nil
		}
		return fmt.Errorf("echohealth: the drain was cut short: %w", context.Cause(ctx))
	}
	return nil
}

func (h *Health) startDraining() {
	if h.monitor.drain(h.config.drainDelay) {
		h.phaseChanged()
	}
}

// DrainContext returns a context that ends one drain delay after parent does, and makes readiness 503 meanwhile, as Drain does. It is for
// servers that shut down at once when their context ends, such as Echo v5's StartConfig:
//
//	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
//	context.AfterFunc(ctx, stop) // a second signal ends the process, as it would without us
//	err := echo.StartConfig{Address: ":8000"}.Start(h.DrainContext(ctx), e)
//
// It has parent's values. Close ends it too, once parent has ended.
func (h *Health) DrainContext(parent context.Context) context.Context {
	ctx, cancel := context.WithCancel(context.WithoutCancel(parent))
	context.AfterFunc(parent, func() {
		defer cancel()
		_ = h.Drain(ctx) // which ends with this function
	})
	return ctx
}

// Server is what Shutdown shuts down: *echo.Echo of version 4, and *http.Server.
type Server interface {
	Shutdown(context.Context) error
}

// serverGrace is how long Shutdown waits for a Server once its context has ended.
const serverGrace = time.Second

// Shutdown ends a service in the order that loses no request: Drain, then all servers' Shutdown side by side, then Close.
//
// The drain takes at most half of the time that ctx leaves, so that as much is left for requests under way. A context that ends, for
// a second signal say, cuts every wait: a Server that does not heed it is left alone after a second, and Close takes 3 s at most. The error
// joins what went wrong: the end of ctx, the servers' errors and panics, and Close's. A drain that was cut to half of the time is none.
// With a ctx that has ended already nothing is drained, and the error says so.
func (h *Health) Shutdown(ctx context.Context, servers ...Server) error {
	drained := h.drainWithin(ctx)
	return errors.Join(shutDown(ctx, servers), drained, h.Close())
}

// drainWithin drains for half of the time that ctx leaves, at most.
func (h *Health) drainWithin(ctx context.Context) error {
	if ctx.Err() != nil {
		h.startDraining()
		return fmt.Errorf("echohealth: the context had ended before Shutdown: %w", context.Cause(ctx))
	}
	half := ctx
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		half, cancel = context.WithTimeout(ctx, time.Until(deadline)/2)
		defer cancel()
	}
	if err := h.Drain(half); err != nil && ctx.Err() != nil {
		return err
	}
	return nil
}

// shutDown shuts the servers down side by side.
func shutDown(ctx context.Context, servers []Server) error {
	overdue, cancel := context.WithCancel(context.Background())
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(serverGrace, cancel) })()
	return runAll(overdue, len(servers),
		func(i int) error { return shutDownOne(ctx, i, servers[i]) },
		func(i int) error {
			return fmt.Errorf("echohealth: Shutdown: server %d has not heeded the end of the context; %w", i+1, ErrLeftAlone)
		})
}

func shutDownOne(ctx context.Context, i int, server Server) (err error) {
	if isNil(server) {
		return fmt.Errorf("echohealth: Shutdown: server %d is nil", i+1)
	}
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("echohealth: Shutdown: server %d panicked: %s", i+1, classify.Mask(fmt.Sprint(v)))
		}
	}()
	return server.Shutdown(ctx)
}
