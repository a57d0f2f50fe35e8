// Package engine runs checks: all that are due side by side, each at most once at a time, each within its
// timeout, and gives the last result to every caller while it is fresh. It knows probes and nothing of
// HTTP, of Echo, or of how a result is shown.
//
// A result is fresh for a configured time. The first caller after that time starts a run of the check. A
// schedule is one more caller. Between two runs an Engine has no goroutine. No lock is held while a probe or
// a listener is called.
package engine

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/echo-probes/echohealth/probes"
)

// Listener receives the events of the checks, one call at a time and in order. It may call any method of the
// Engine.
type Listener interface {
	// Changed is called for a check's first result, and for every later one whose status or reason is
	// another.
	Changed(Change)
	// Invalid is called once for a check whose probe breaks the rules of package probes.
	Invalid(check string, err error)
}

// Change is one change of a check's status or reason.
type Change struct {
	Check  string
	From   probes.Status // empty for the first result
	To     probes.Status
	Reason probes.Reason
	Lasted time.Duration // how long From, with its reason, lasted; zero for the first result
	Err    error
	At     time.Time
}

// Engine runs a fixed set of checks.
type Engine struct {
	checks     []*Check
	ctx        context.Context // every run's context is below this one
	cancel     context.CancelFunc
	generation atomic.Uint64
	queue      CallQueue // of the listener's calls
	listener   Listener
	recorders  atomic.Pointer[[]*func(Run)] // nil: none
	closedAt   atomic.Pointer[time.Time]    // nil before Close

	scheduleMu sync.Mutex // guards schedule
	schedule   *time.Timer
}

// New returns an Engine for these checks. The caller has validated the configurations.
func New(configs []Config, listener Listener) *Engine {
	e := &Engine{listener: listener}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	for i, config := range configs {
		e.checks = append(e.checks, &Check{
			Config: config, engine: e, ctx: probes.WithCheckName(e.ctx, config.Name), index: i,
		})
	}
	return e
}

// Checks returns the checks in the order of their configurations.
func (e *Engine) Checks() []*Check { return e.checks }

// Generation changes whenever the answer to Collect may have: what was made from a Collection of this
// generation is still true while Generation says the same, and Due has not come.
func (e *Engine) Generation() uint64 { return e.generation.Load() }

// Collection is one answer to Collect.
type Collection struct {
	Results    []*Result // one for each check that was asked for, in that order; never nil
	Until      time.Time // when the first of these results is fresh no longer, and in a second at the latest
	Due        time.Time // when the next look is due: Until, or before it, when another check is due
	Generation uint64
	Whole      bool // false if the caller's context ended before a run; then only for this caller
}

// Collect is a look: it runs every check that has no fresh result, and returns the results of shown, some or
// all of Checks. It waits only for the runs of shown. If ctx ends first, Collect returns and the runs go on.
// It never takes longer than the longest timeout of shown.
func (e *Engine) Collect(ctx context.Context, shown []*Check) Collection {
	now := time.Now()
	c := Collection{Generation: e.Generation(), Results: make([]*Result, len(shown)), Whole: true}
	var waits []*run              // only if there is one to wait for
	for i, check := range shown { // all are started before one is waited for
		var due *run
		if c.Results[i], due = check.ask(now); due != nil {
			if waits == nil {
				waits = make([]*run, len(shown))
			}
			waits[i] = due
		}
	}
	if len(shown) < len(e.checks) {
		e.renew()
	}
	if e.queue.pending() {
		go e.queue.flush() // not here, because a listener that hangs must not delay the caller
	}
	if waits != nil {
		c.await(ctx, e, shown, waits)
		now = time.Now()
	}
	c.until(now, e, shown)
	return c
}

// until sets how long the results are fresh.
func (c *Collection) until(now time.Time, e *Engine, shown []*Check) {
	c.Until = now.Add(time.Second)
	if e.Closed() { // no result is fresh, and none changes
		c.Due = c.Until
		return
	}
	for i, check := range shown {
		c.Until = earlier(c.Until, check.freshUntil(c.Results[i], now))
	}
	c.Due = c.Until
	if len(shown) < len(e.checks) {
		for _, check := range e.checks {
			c.Due = earlier(c.Due, check.dueAfter(now))
		}
	}
}

// renew runs every check whose result is not fresh. It waits for none.
func (e *Engine) renew() {
	now := time.Now()
	for _, check := range e.checks {
		check.renew(now, 0)
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// Last returns the last results, however old, and runs nothing. A result is nil if there is none yet.
func (e *Engine) Last(checks []*Check) Collection {
	c := Collection{Generation: e.Generation(), Results: make([]*Result, len(checks)), Whole: true}
	c.Until = time.Now().Add(time.Second)
	c.Due = c.Until
	for i, check := range checks {
		c.Results[i] = check.Last()
	}
	return c
}

// await fills in the results that had to be waited for, and reads the others once more, so that all are of
// one generation.
func (c *Collection) await(ctx context.Context, e *Engine, checks []*Check, waits []*run) {
	unfinished := make([]*Result, len(checks))
	for i, wait := range waits {
		if wait != nil {
			unfinished[i] = wait.await(ctx, checks[i])
		}
	}
	c.Generation = e.Generation()
	for i, check := range checks {
		if unfinished[i] != nil {
			c.Results[i], c.Whole = unfinished[i], false
		} else {
			c.Results[i] = check.latest()
		}
	}
}

// Enqueue puts a call into the order of the listener's, and returns at once.
func (e *Engine) Enqueue(call func()) { e.queue.Add(call) }

// Flush waits, for at most limit, until all calls of the listener that are queued have returned. It reports
// whether they have. No further call of the listener begins after that.
func (e *Engine) Flush(limit time.Duration) bool { return e.queue.Close(limit) }

// Invalidate begins the next Generation. Call it when something else has changed that answers are made from.
func (e *Engine) Invalidate() { e.generation.Add(1) }

// Done is closed when the Engine is.
func (e *Engine) Done() <-chan struct{} { return e.ctx.Done() }

// Close ends the schedule, cancels all runs and waits for them to end, but not longer than limit: a probe
// that ignores its context goes on. It returns the names of the checks that still run. Afterwards no other
// check runs, and every result is an Error with ReasonStale.
func (e *Engine) Close(limit time.Duration) []string {
	now := time.Now()
	e.closedAt.CompareAndSwap(nil, &now)
	e.cancel()
	e.Invalidate()
	e.stopSchedule()
	timeout, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	var running []string
	for _, check := range e.checks {
		ended := check.ended()
		select {
		case <-ended:
		case <-timeout.Done():
			if !isDone(ended) {
				running = append(running, check.Name)
			}
		}
	}
	return running
}

func isDone(ended <-chan struct{}) bool {
	select {
	case <-ended:
		return true
	default:
		return false
	}
}

// Closed reports whether Close was called.
func (e *Engine) Closed() bool { return e.ctx.Err() != nil }

// ClosedAt returns when Close was called first. It may be called once Closed is true.
func (e *Engine) ClosedAt() time.Time { return *e.closedAt.Load() }
