package echohealth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/echo-probes/echohealth/internal/classify"
	"github.com/echo-probes/echohealth/internal/engine"
	"github.com/echo-probes/echohealth/probes"
)

// Health runs the checks and answers for them. Make one with New; all its methods may be called from any goroutine.
//
// Nothing runs until somebody asks, unless WithBackground says so: a Health that nobody asks owns no goroutine.
type Health struct {
	config    *config
	engine    *engine.Engine
	readiness []*engine.Check   // those that readiness depends on
	system    *system           // nil without system metrics
	routes    map[string]*route // below the prefix
	news      news

	liveRoute, readyRoute *route // of routes
	prefix                string // of config
	aliased               bool   // there are aliases

	started  atomic.Bool // the startup gate is open
	draining atomic.Bool
	drained  chan struct{} // closed at the end of the drain delay

	guardPanic sync.Once // logs the first

	closeOnce sync.Once
	closeErr  error
}

// New returns a Health with these options, and logs what the probes advise, before it returns. Everything that is wrong with the options is
// in the error, joined.
//
// Call Close when the service ends.
func New(opts ...Option) (*Health, error) {
	c, err := configure(opts)
	if err != nil {
		return nil, err
	}
	h := &Health{config: c, prefix: c.prefix, aliased: len(c.aliases) > 0, drained: make(chan struct{})}
	h.engine = engine.New(c.engineConfigs(), &h.news)
	h.news.init(h)
	for i, check := range h.engine.Checks() {
		if c.dependsOn(c.checks[i]) {
			h.readiness = append(h.readiness, check)
		}
	}
	if !c.withoutSystem {
		if h.system, err = newSystem(c, h.metricsChanged); err != nil {
			return nil, fmt.Errorf("echohealth: %w", err)
		}
	}
	h.routes = h.makeRoutes()
	h.liveRoute, h.readyRoute = h.routes["/live"], h.routes["/ready"]
	h.advise()
	h.engine.Start()
	return h, nil
}

// metricsChanged puts the metrics' changes into the order of the checks'.
func (h *Health) metricsChanged(changes []engine.Change) {
	h.engine.Tell(func() {
		for _, change := range changes {
			h.news.check(change)
		}
	})
}

// Report says what /detailed/ says. It runs what is due, and takes no longer than the longest timeout of the checks. Where ctx ends
// before that, what is unfinished is an Error with ReasonTimeout in this Report alone.
func (h *Health) Report(ctx context.Context) Report {
	c := h.engine.Collect(ctx, h.engine.Checks())
	return h.makeReport(c.Results, h.readMetrics().checks)
}

const (
	runPatience   = time.Second             // how long Close waits for runs that have been cancelled
	closePatience = 1500 * time.Millisecond // and then for the probes' own Close, which our own bound by 1 s
	newsPatience  = 500 * time.Millisecond  // and for the log and the functions of WithOnChange
)

// Close cancels all runs, and closes what the probes own: never what the application gave them. Afterwards /live/ answers 200, /ready/
// 503, every check says "stale", nothing runs, and nothing is logged or told any more; that readiness ended by Close isn't either.
//
// It takes 3 s at most. The error says which probes still run, or did not close, or not in that time, and whether the logger or a function
// of WithOnChange did not return. Calling it again does nothing, and returns the same error. A function of WithOnChange that calls it waits
// for itself, in vain: let it start a goroutine that does.
func (h *Health) Close() error {
	h.closeOnce.Do(func() {
		var errs []error
		for _, name := range h.engine.Close(runPatience) {
			errs = append(errs, fmt.Errorf("echohealth: the probe of %q still runs %s after its context ended; it is left alone", name, runPatience))
		}
		errs = append(errs, h.closeProbes(), h.news.close(newsPatience))
		h.closeErr = errors.Join(errs...)
	})
	return h.closeErr
}

// closeProbes closes all at once, each once, and waits for them with patience: what a probe owns may be a connection to a host that is
// silent.
func (h *Health) closeProbes() error {
	closers := h.closers()
	overdue, cancel := context.WithTimeout(context.Background(), closePatience)
	defer cancel()
	return together(overdue, len(closers),
		func(i int) error { return closeProbe(closers[i].name, closers[i]) },
		func(i int) error {
			return fmt.Errorf("echohealth: closing the probe of %q takes longer than %s; it is left alone", closers[i].name, closePatience)
		})
}

// closer is a probe that has something to close, with the name of its first check.
type closer struct {
	name string
	io.Closer
}

func (h *Health) closers() []closer {
	var closers []closer
	seen := map[any]bool{}
	for _, check := range h.config.checks {
		c, ok := check.probe.(io.Closer)
		if !ok {
			continue
		}
		if reflect.ValueOf(check.probe).Comparable() {
			if seen[check.probe] {
				continue
			}
			seen[check.probe] = true
		}
		closers = append(closers, closer{check.name, c})
	}
	return closers
}

func closeProbe(name string, closer io.Closer) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("echohealth: closing the probe of %q panicked: %s", name, classify.Mask(fmt.Sprint(v)))
		}
	}()
	if err := closer.Close(); err != nil {
		return fmt.Errorf("echohealth: closing the probe of %q: %s", name, classify.Text(err))
	}
	return nil
}

// advise logs what the probes say about the clients that they were given.
func (h *Health) advise() {
	for _, check := range h.config.checks {
		for _, line := range advice(check.probe) {
			h.news.log.writeNow(slog.LevelWarn, "health check advice", slog.String("check", check.name), slog.String("advice", classify.Mask(line)))
		}
	}
}

func advice(probe probes.Probe) (lines []string) {
	adviser, ok := probe.(interface{ Advise() []string })
	if !ok {
		return nil
	}
	defer func() {
		if v := recover(); v != nil {
			lines = []string{fmt.Sprintf("Advise of %T panicked: %v", probe, v)}
		}
	}()
	return adviser.Advise()
}

// readMetrics returns the system metrics, none where there are to be none.
func (h *Health) readMetrics() *metrics {
	switch {
	case h.system == nil:
		return &noMetrics
	case h.engine.Closed():
		return h.system.stale()
	}
	return h.system.read()
}

func (h *Health) metricNames() []string {
	if h.system == nil {
		return nil
	}
	return h.system.names()
}
