// Package engine runs checks. The checks run concurrently, each within its timeout and with at most one run
// at a time. Every caller gets the last result as long as it is fresh. The package knows nothing of HTTP, of
// Echo, or of how a result is shown.
//
// A result is fresh for a configured time. The first caller after that time starts a run of the check. A
// schedule, if there is one, is such a caller. Between two runs an Engine has no goroutine. It holds no lock
// while it calls a probe or a listener.
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
	// Changed is called for a check's first result, and for every later result whose status or reason differs
	// from the one before.
	Changed(Change)
	// Invalid is called once for a check whose probe breaks a rule of package probes.
	Invalid(check string, err error)
}

// Change is one change of a check's status or reason.
type Change struct {
	Check  string
	From   probes.Status // empty for the first result
	To     probes.Status
	Reason probes.Reason
	Lasted time.Duration // how long From lasted with its reason; zero for the first result
	Err    error
	At     time.Time
}

// Engine runs a fixed set of checks.
type Engine struct {
	checks     []*Check
	ctx        context.Context // the parent of every run's context
	cancel     context.CancelFunc
	generation atomic.Uint64
	queue      CallQueue // the calls of the listener
	listener   Listener
	recorders  atomic.Pointer[[]*func(Run)] // nil if there are none
	closedAt   atomic.Pointer[time.Time]    // nil before Close

	scheduleMu sync.Mutex // guards schedule
	schedule   *time.Timer
}

// New returns an Engine. The caller must have validated the configurations.
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

// Generation changes when a result changes. Whatever was made from a Collection stays true until its Due, as
// long as Generation returns the Collection's generation.
func (e *Engine) Generation() uint64 { return e.generation.Load() }

// Collection is what Collect returns.
type Collection struct {
	Results    []*Result // one for each requested check, in the order of the request; never nil
	Until      time.Time // when the first of these results is no longer fresh, but at most a second from now
	Due        time.Time // when to call Collect again: Until, or earlier if a check not in shown is due
	Generation uint64
	Whole      bool // false if ctx ended before a run did; then no other caller may get it
}

// Collect runs every check that has no fresh result. It returns the results of the checks in shown, which is
// all or a part of Checks, and waits for their runs only. It does not wait longer than the longest timeout of
// shown, unless the process was stopped meanwhile. If ctx ends first, Collect returns and the runs continue.
func (e *Engine) Collect(ctx context.Context, shown []*Check) Collection {
	now := time.Now()
	c := Collection{Generation: e.Generation(), Results: make([]*Result, len(shown)), Whole: true}
	var waits []wait              // nil if there is no run to wait for
	for i, check := range shown { // starts all runs before it waits for any
		var due wait
		if c.Results[i], due = check.ask(now); due.run != nil {
			if waits == nil {
				waits = make([]wait, len(shown))
			}
			waits[i] = due
		}
	}
	if len(shown) < len(e.checks) {
		e.renew()
	}
	e.flushSoon()
	if waits != nil {
		c.await(ctx, e, shown, waits)
		e.flushSoon()
		now = time.Now()
	}
	c.until(now, e, shown)
	return c
}

// flushSoon calls the listener for the changes that wait. It does so in a goroutine, because a listener that
// hangs must not delay the caller.
func (e *Engine) flushSoon() {
	if e.queue.pending() {
		go e.queue.flush()
	}
}

// until sets c.Until and c.Due.
func (c *Collection) until(now time.Time, e *Engine, shown []*Check) {
	c.Until = now.Add(time.Second)
	if e.Closed() { // no result is fresh, and no result changes any more
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

// renew starts a run of every check whose result is not fresh, and waits for none of these runs.
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

// Last returns the last results, however old, and runs nothing. The result of a check without one is nil.
func (e *Engine) Last(checks []*Check) Collection {
	c := Collection{Generation: e.Generation(), Results: make([]*Result, len(checks)), Whole: true}
	c.Until = time.Now().Add(time.Second)
	c.Due = c.Until
	for i, check := range checks {
		c.Results[i] = check.Last()
	}
	return c
}

// await waits for the runs in waits and fills in their results. It also reads the other results again, so
// that all results belong to one generation.
func (c *Collection) await(ctx context.Context, e *Engine, checks []*Check, waits []wait) {
	unfinished := make([]*Result, len(checks))
	for i, wait := range waits {
		if wait.run != nil {
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

// Enqueue adds call to the queue of the listener's calls, and returns immediately.
func (e *Engine) Enqueue(call func()) { e.queue.Add(call) }

// Flush waits until all queued calls of the listener have returned, but not longer than limit, and reports
// whether they have. Afterwards no further call of the listener begins.
func (e *Engine) Flush(limit time.Duration) bool { return e.queue.Close(limit) }

// Invalidate begins the next Generation. A caller that makes answers from Collections and from other data
// must call Invalidate when the other data have changed.
func (e *Engine) Invalidate() { e.generation.Add(1) }

// Done returns a channel that Close closes.
func (e *Engine) Done() <-chan struct{} { return e.ctx.Done() }

// Close ends the schedule, cancels all runs and waits for them to end, but not longer than limit, because a
// probe can ignore its context. It returns the names of the checks that still run. Afterwards no run starts,
// and every result is an Error with ReasonStale.
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
		check.stopRerun()
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

// ClosedAt returns when Close was first called. It must not be called before Closed returns true.
func (e *Engine) ClosedAt() time.Time { return *e.closedAt.Load() }
