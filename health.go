package echohealth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"path"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/echo-probes/echohealth/internal/classify"
	"github.com/echo-probes/echohealth/probes"
)

// Health runs the checks and answers for them. Make one with New; all its methods may be called from any goroutine.
//
// A check runs when a look finds that its last result is not fresh any more. A look is a request for ready, detailed or
// a check, a call of Report, or one of WithBackground's own; live and startup are none. A look starts everything that is
// due, and waits only for what its answer shows. So a Health that nothing looks at owns no goroutine.
type Health struct {
	config   *config
	monitor  *monitor
	notifier *notifier
	router   *router

	prefix  string // of config: read on the path of every request
	aliased bool   // there are aliases

	closeOnce sync.Once
	closeErr  error
}

// startDelay keeps what runs by itself from beginning before New has returned.
const startDelay = 100 * time.Millisecond

// New returns a Health with these options. Everything that is wrong with the options is in the error, joined. What the
// probes advise is logged soon after. No check runs, and no function of WithOnChange is called, before New has returned.
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
	h := &Health{config: c, monitor: m, notifier: n, router: newRouter(c, m, n.guardPanicked), prefix: c.prefix, aliased: len(c.aliases) > 0}
	h.advise()
	h.begin()
	return h, nil
}

// begin reports a readiness that begins as "starting", and starts the schedule, both in a moment.
func (h *Health) begin() {
	if h.monitor.gated {
		began := time.Now()
		time.AfterFunc(startDelay, func() {
			h.monitor.engine.Enqueue(func() { h.notifier.reportReadiness(began) })
		})
	}
	if h.config.interval > 0 {
		h.monitor.engine.Schedule(startDelay, h.config.interval, h.monitor.renewMetrics)
	}
}

// Report says what /detailed/ says. It is a look: it runs what is due, and takes no longer than the longest timeout of the checks.
// Where ctx ends before that, what is unfinished is an Error with ReasonTimeout in this Report alone.
func (h *Health) Report(ctx context.Context) Report { return h.monitor.now(ctx) }

// Last is a Report of what the last runs found, however old. It is no look: it runs nothing and waits for nothing. The
// Status of a check or metric that has not run is empty, which counts as an Error.
func (h *Health) Last() Report { return h.monitor.last() }

// Check says what /checks/NAME/ says. It is a look, as Report is, and waits for this check alone. The error wraps
// ErrUnknownCheck where there is no check and no metric of this name.
func (h *Health) Check(ctx context.Context, name string) (Check, error) {
	return h.monitor.check(ctx, name)
}

// OnChange calls f from now on, as WithOnChange does: for a function that needs the Health. Repeated use is additive. It
// panics if f is nil.
func (h *Health) OnChange(f func(Change)) {
	if f == nil {
		panic("echohealth: OnChange(nil): the function must not be nil")
	}
	h.notifier.add(f)
}

const (
	runGrace   = time.Second             // how long Close waits for runs that have been cancelled
	closeGrace = 1500 * time.Millisecond // and then for the probes' own Close, which our own bound by 1 s
	tellGrace  = 500 * time.Millisecond  // and for the log and the functions of WithOnChange
)

// Close cancels all runs, and closes what the probes own: never what the application gave them. Afterwards /live/ answers 200, /ready/
// 503, every check says "stale", nothing runs, and nothing is logged or told any more; that readiness ended by Close isn't either.
//
// It takes 3 s at most. The error says which probes still run, or did not close, or not in that time, and whether the logger or a function
// of WithOnChange did not return; it wraps ErrLeftAlone where something did not end in time. Calling it again does nothing, and returns the same error. A function of WithOnChange that calls it waits
// for itself, in vain: let it start a goroutine that does.
func (h *Health) Close() error {
	h.closeOnce.Do(func() {
		var errs []error
		for _, name := range h.monitor.close(runGrace) {
			errs = append(errs, fmt.Errorf("echohealth: the probe of %q still runs %s after its context ended; %w", name, runGrace, ErrLeftAlone))
		}
		errs = append(errs, h.closeProbes(), h.notifier.close(tellGrace))
		h.closeErr = errors.Join(errs...)
	})
	return h.closeErr
}

// closeProbes closes all at once, each once, and waits for them for as long as closeGrace: what a probe owns may be a
// connection to a host that is silent.
func (h *Health) closeProbes() error {
	closers := h.closers()
	overdue, cancel := context.WithTimeout(context.Background(), closeGrace)
	defer cancel()
	return runAll(overdue, len(closers),
		func(i int) error { return closeProbe(closers[i].name, closers[i]) },
		func(i int) error {
			return fmt.Errorf("echohealth: closing the probe of %q takes longer than %s; %w", closers[i].name, closeGrace, ErrLeftAlone)
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

// advise logs what the probes say about the clients that they were given, and which of our own stand under another's name.
func (h *Health) advise() {
	for _, check := range h.config.checks {
		for _, line := range append(misplaced(check.name, check.probe), advice(check.probe)...) {
			h.notifier.log(slog.LevelWarn, "health check advice", slog.String("check", check.name), slog.String("advice", classify.Mask(line)))
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

// kinds are the names of the checks that our own probes are for, by their packages.
var kinds = map[string]string{
	"pgxprobe": "database", "sqlprobe": "database", "redisprobe": "redis", "amqpprobe": "amqp", "celeryprobe": "celery",
}

// misplaced finds one of our own probes under the name of another kind's check: every probe fits every option.
func misplaced(name string, probe probes.Probe) []string {
	t := reflect.TypeOf(probe)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	dir, pkg := path.Split(t.PkgPath())
	kind := kinds[pkg]
	if kind == "" || kind == name || !strings.HasSuffix(dir, "echohealth/probes/") || !slices.Contains(slices.Collect(maps.Values(kinds)), name) {
		return nil
	}
	return []string{fmt.Sprintf("the check is named %q, and its probe is one of %s: use another option, or another name", name, pkg)}
}
