package echohealth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/echo-probes/echohealth/internal/classify"
)

// phase is where a service is in its life.
type phase int

const (
	running  phase = iota
	starting       // the startup gate is not open yet
	draining
	closed
)

func (h *Health) phase() phase {
	switch {
	case h.engine.Closed():
		return closed
	case h.draining.Load():
		return draining
	case !h.Started():
		return starting
	}
	return running
}

// reason is the word that readiness gives for a phase.
func (p phase) reason() string {
	switch p {
	case starting:
		return "starting"
	case draining:
		return "draining"
	}
	return ""
}

// MarkStarted opens the gate of WithStartupGate: /startup/ answers 200 from now on, and readiness is what the checks say.
// Without the option, and a second time, it does nothing.
func (h *Health) MarkStarted() {
	if h.config.gated && h.started.CompareAndSwap(false, true) {
		h.engine.Renew()
		h.engine.Tell(func() { h.news.readiness(time.Now()) })
	}
}

// Started reports whether the gate of WithStartupGate is open, and true where there is none: what /startup/ says, in code.
func (h *Health) Started() bool { return !h.config.gated || h.started.Load() }

func (h *Health) startupState() (int, string) {
	if h.Started() {
		return http.StatusOK, "started"
	}
	return http.StatusServiceUnavailable, "starting"
}

// Drain makes readiness 503 at once, with "reason":"draining", and waits the drain delay, in which load balancers learn of it and stop
// sending requests. Meanwhile liveness is 200, requests are served, and every answer says "Connection: close", so that clients with a
// connection that is kept alive go elsewhere.
//
// Where ctx ends first it returns an error that wraps the cause. It is safe to call again: the delay counts from the first call.
// There is no way back.
func (h *Health) Drain(ctx context.Context) error {
	h.startDraining()
	select {
	case <-h.drained:
	case <-h.engine.Done(): // closed: nothing is to be waited for
	case <-ctx.Done():
		if h.drainOver() { // both at once: it was not cut
			return nil
		}
		return fmt.Errorf("echohealth: the drain was cut short: %w", context.Cause(ctx))
	}
	return nil
}

// drainOver reports whether there is nothing left to wait for.
func (h *Health) drainOver() bool {
	select {
	case <-h.drained:
		return true
	default:
		return h.engine.Closed()
	}
}

func (h *Health) startDraining() {
	if !h.draining.CompareAndSwap(false, true) {
		return
	}
	h.engine.Renew()
	if h.config.drainDelay == 0 {
		close(h.drained)
	} else {
		time.AfterFunc(h.config.drainDelay, func() { close(h.drained) })
	}
	h.engine.Tell(func() { h.news.readiness(time.Now()) })
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

// serverPatience is how long Shutdown waits for a Server once its context has ended.
const serverPatience = time.Second

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
	defer context.AfterFunc(ctx, func() { time.AfterFunc(serverPatience, cancel) })()
	return together(overdue, len(servers),
		func(i int) error { return shutDownOne(ctx, i, servers[i]) },
		func(i int) error {
			return fmt.Errorf("echohealth: Shutdown: server %d has not heeded the end of the context; it is left alone", i+1)
		})
}

// together makes n calls side by side and returns what is wrong, in their order. Those that have not returned when overdue ends are left
// alone, and late says so.
func together(overdue context.Context, n int, call, late func(i int) error) error {
	results := make([]chan error, n)
	for i := range results {
		results[i] = make(chan error, 1)
		go func() { results[i] <- call(i) }()
	}
	var errs []error
	for i, result := range results {
		select {
		case err := <-result:
			errs = append(errs, err)
			continue
		case <-overdue.Done():
		}
		select {
		case err := <-result: // both at once
			errs = append(errs, err)
		default:
			errs = append(errs, late(i))
		}
	}
	return errors.Join(errs...)
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
