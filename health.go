package echohealth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/echo-probes/echohealth/internal/redact"
	"github.com/echo-probes/echohealth/probes"
)

// Health runs the checks and answers health requests. Make one with New. Its methods may be called from any
// goroutine.
//
// A check runs when a look finds that its last result is not fresh any more. A look is one of these:
//   - a request for ready, detailed, the index, a group, a check, the metrics, the history or the page;
//   - a call of Report, Check or History;
//   - a collection of the metrics, such as by package promhealth or otelhealth;
//   - a tick of WithBackground.
//
// A request for live or startup is not a look. A look starts every check whose result is not fresh any more,
// and waits only for the checks that its answer shows. A Health has no goroutine between two looks.
type Health struct {
	config   *config
	monitor  *monitor
	notifier *notifier
	router   *router
	features map[Endpoint]any // what feature.add returned, by the feature's endpoint

	countersOnce sync.Once
	counters     any // a *exposition.Counters after the first call of Metrics
	serving      serving
	asked        atomic.Bool // there has been a health request
	unknownGroup sync.Once   // logs only the first call with an unknown group

	prefix  string // a copy of config.prefix, because every request reads it
	aliased bool   // there are aliases

	closeOnce sync.Once
	closeErr  error
}

// New returns a Health with these options. Its error joins the errors of all options. New logs the advice of
// the probes (see probes.Probe). No check runs, and no function of WithOnChange is called, before New has
// returned.
//
// Call Close when the service ends.
func New(opts ...Option) (*Health, error) {
	c, err := configure(opts)
	if err != nil {
		return nil, err
	}
	n := newNotifier(c.logger, c.onChange)
	m, err := newMonitor(c, n)
	if err != nil {
		return nil, err
	}
	n.watch(m)
	h := &Health{
		config: c, monitor: m, notifier: n, router: newRouter(c, m, n.guardPanicked),
		prefix: c.prefix, aliased: len(c.aliases) > 0,
	}
	h.addFeatures()
	h.serving.looks.Store(true)
	h.advise()
	m.watch(n) // last, because it may start a run immediately, and a run uses all of the above
	h.begin()
	return h, nil
}

// addFeatures adds the endpoints that options such as WithHistory add.
func (h *Health) addFeatures() {
	for _, feature := range h.config.features {
		if h.features == nil {
			h.features = map[Endpoint]any{}
		}
		add := feature.add.(func(*monitor, *router, *notifier) any)
		h.features[feature.endpoint] = add(h.monitor, h.router, h.notifier)
	}
}

// begin starts the looks of WithBackground after startDelay. With a startup gate it then also reports that
// the service is not ready.
func (h *Health) begin() {
	if h.monitor.gated {
		began := time.Now()
		time.AfterFunc(startDelay, func() {
			h.monitor.engine.Enqueue(func() { h.notifier.reportReadiness(began) })
		})
	}
	if h.config.interval > 0 {
		h.monitor.engine.Schedule(startDelay, h.config.interval, h.monitor.startMeasurement)
	}
}

// Report returns what /detailed/ answers. It is a look (see Health): it runs the due checks and takes no
// longer than the longest timeout of the checks. If ctx ends first, an unfinished check is an Error with
// ReasonTimeout, but only in this Report.
func (h *Health) Report(ctx context.Context) Report { return h.monitor.now(ctx) }

// Last returns a Report of the last results, however old. It is not a look: it runs nothing and does not
// wait. A check or metric that has not run has an empty Status, which counts as an Error in Report.Status and
// Report.Ready.
func (h *Health) Last() Report { return h.monitor.last() }

// Ready returns what /ready/ answers. Like Report it is a look (see Health), but it waits only for the checks
// that readiness depends on. If ctx ends first, an unfinished check counts as an Error only in this answer.
func (h *Health) Ready(ctx context.Context) bool {
	if h.monitor.phase() == draining {
		return false // during the drain readiness runs no check
	}
	results := h.monitor.look(ctx, h.monitor.gating).Results
	return h.monitor.phase().ready(results)
}

// Alive returns what /live/ answers: false only while a loop of WithLiveness hangs.
func (h *Health) Alive() bool { return h.monitor.alive() }

// Check returns what /checks/NAME/ answers. Like Report it is a look (see Health), but it waits only for this
// check. The error wraps ErrUnknownCheck if no check and no metric has this name.
func (h *Health) Check(ctx context.Context, name string) (Check, error) {
	return h.monitor.check(ctx, name)
}

// Available reports whether no check of a group of WithGroup is an Error. Call it before work that needs the
// group, so that a request fails immediately instead of after a timeout:
//
//	if !health.Available(ctx, "payment") {
//		return echo.NewHTTPError(http.StatusServiceUnavailable, "payments are not available now")
//	}
//
// It is cheap enough for every request: it uses the last results, starts the due checks without waiting for
// them, and allocates nothing while the results are fresh. A result that it uses is at most a minute old, or
// at most as old as the check's freshness if that is longer. It waits for a check only if the check has no
// such result. Unlike /groups/NAME/, it ignores whether the service starts or drains, because requests are
// still served then. It is false after Close, and for an unknown group, which is logged once.
//
// It does not replace timeouts and error handling. The dependency may have failed since the last result, and
// a check may fail although a request would succeed. Do not use it if the request fails fast by itself.
func (h *Health) Available(ctx context.Context, group string) bool {
	for _, g := range h.monitor.groups {
		if g.name == group {
			return g.available(ctx, h.monitor.engine)
		}
	}
	h.unknownGroup.Do(func() {
		h.notifier.log(slog.LevelError, "Available was asked for a group that WithGroup did not add",
			slog.String("group", group))
	})
	return false
}

// OnChange calls f for every change from now on, as WithOnChange does. It is for functions that need the
// Health. Repeated use is additive. It panics if f is nil.
func (h *Health) OnChange(f func(Change)) {
	if f == nil {
		panic("echohealth: OnChange(nil): the function must not be nil")
	}
	h.notifier.add(f)
}

const (
	runGrace   = time.Second             // how long Close waits for cancelled runs
	closeGrace = 1500 * time.Millisecond // how long it then waits for the probes' Close
	tellGrace  = 500 * time.Millisecond  // how long it then waits for the log and for WithOnChange
)

// Close cancels all runs and closes what the probes own, but nothing that the application gave them.
// Afterwards /live/ answers 200, /ready/ answers 503, every check has the reason "stale", and no check runs.
// After Close nothing is logged and no function of WithOnChange is called. The change of readiness that Close
// causes is not reported either.
//
// Close takes at most 3 s. Its error names the probes that still run or failed to close, and says whether
// the logger or a function of WithOnChange did not return. It wraps ErrLeftAlone if something did not end
// in time. A second call does nothing and returns the same error. A function of WithOnChange must not call
// Close, which would wait for that function.
func (h *Health) Close() error {
	h.closeOnce.Do(func() {
		var errs []error
		for _, name := range h.monitor.close(runGrace) {
			errs = append(errs, fmt.Errorf("echohealth: the probe of %q did not stop within %s after its context "+
				"ended; %w", name, runGrace, ErrLeftAlone))
		}
		errs = append(errs, h.closeProbes(), h.notifier.close(tellGrace))
		h.closeErr = errors.Join(errs...)
	})
	return h.closeErr
}

// Closed reports whether Close was called.
func (h *Health) Closed() bool { return h.monitor.engine.Closed() }

// closeProbes closes all probes at the same time, and a probe of several checks only once. It waits at most
// closeGrace, because a probe may own a connection to a host that does not answer.
func (h *Health) closeProbes() error {
	closers := h.closers()
	overdue, cancel := context.WithTimeout(context.Background(), closeGrace)
	defer cancel()
	return runAll(overdue, len(closers),
		func(i int) error { return closeProbe(closers[i].name, closers[i]) },
		func(i int) error {
			return fmt.Errorf("echohealth: closing the probe of %q took longer than %s; %w",
				closers[i].name, closeGrace, ErrLeftAlone)
		})
}

// closer is a probe that implements io.Closer, with the name of its first check.
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

func closeProbe(name string, closer io.Closer) error {
	what := fmt.Sprintf("echohealth: closing the probe of %q", name)
	return contain(what, func() error {
		if err := closer.Close(); err != nil {
			return fmt.Errorf("%s: %s", what, redact.Error(err))
		}
		return nil
	})
}

// advise logs the advice of the probes. It also logs a warning if a probe of this module is in the wrong
// option, such as a Redis probe in WithDatabase.
func (h *Health) advise() {
	for _, check := range h.config.checks {
		for _, line := range append(misplaced(check.name, check.probe), advice(check.probe)...) {
			h.notifier.log(slog.LevelWarn, "health check advice",
				slog.String("check", check.name), slog.String("advice", redact.Text(line)))
		}
	}
}

func advice(probe probes.Probe) (lines []string) {
	adviser, ok := probe.(interface{ Advise() []string })
	if !ok {
		return nil
	}
	err := contain(fmt.Sprintf("Advise of %T", probe), func() error { lines = adviser.Advise(); return nil })
	if err != nil {
		lines = []string{err.Error()}
	}
	return lines
}

// kinds lists the default names of checks, each with the packages of this module whose probes belong to it.
var kinds = []struct{ name, packages string }{
	{"database", "pgxprobe sqlprobe"}, {"redis", "redisprobe"}, {"amqp", "amqpprobe"}, {"celery", "celeryprobe"},
}

// misplaced returns a line of advice if the check has the default name of one kind, and a probe of this
// module for another kind. The compiler can't find this mistake, because every option takes any probe.
func misplaced(name string, probe probes.Probe) []string {
	pkg, _, _ := strings.Cut(strings.TrimPrefix(fmt.Sprintf("%T", probe), "*"), ".")
	named, placed := false, true
	for _, kind := range kinds {
		named = named || kind.name == name
		if strings.Contains(kind.packages, pkg) {
			placed = kind.name == name
		}
	}
	if !named || placed {
		return nil
	}
	line := fmt.Sprintf("the check has the name %q, but its probe is of package %s: "+
		"use the option for that package, or another name", name, pkg)
	return []string{line}
}
