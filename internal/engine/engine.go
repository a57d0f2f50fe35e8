// Package engine runs checks: all that are due side by side, each at most once at a time, each within its timeout,
// and gives the last result to whoever asks while it is fresh. It knows probes and nothing of HTTP, of Echo, or of how
// a result is shown.
//
// Nothing runs until somebody asks, or a schedule says so, and between two runs an Engine owns no goroutine. No lock is held while a probe or
// a listener is called.
package engine

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/echo-probes/echohealth/probes"
)

// Listener hears what happens to the checks, one call at a time and in order. It may call any method of the Engine.
type Listener interface {
	// Changed is called for a check's first result, and for every later one whose status or reason is another.
	Changed(Change)
	// Complained is called once for a check of which the probe gives what can't be shown.
	Complained(check string, err error)
}

// Change is what Listener hears of a check.
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
	relay      Relay
	listener   Listener
}

// New returns an Engine for these checks. The configurations are taken as they are: whoever calls has validated them.
func New(configs []Config, listener Listener) *Engine {
	e := &Engine{listener: listener}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	for _, config := range configs {
		e.checks = append(e.checks, &Check{Config: config, engine: e})
	}
	return e
}

// Checks returns the checks in the order of their configurations.
func (e *Engine) Checks() []*Check { return e.checks }

// Generation changes whenever the answer to Collect may have: what was made from a Collection of this generation is
// still true while Generation says the same, and Until has not come.
func (e *Engine) Generation() uint64 { return e.generation.Load() }

// Collection is one answer to Collect.
type Collection struct {
	Results    []*Result // one for each check that was asked for, in that order; never nil
	Until      time.Time // when the first of them is fresh no longer, and a second hence at the latest
	Generation uint64
	Whole      bool // false where the caller's context ended before a run did: true for this caller alone
}

// Collect returns a result for each of checks, and runs those that have no fresh one. It returns when all are there, or
// when ctx ends; a run goes on then. It never takes longer than the longest timeout of these checks.
func (e *Engine) Collect(ctx context.Context, checks []*Check) Collection {
	now := time.Now()
	c := Collection{Generation: e.Generation(), Results: make([]*Result, len(checks)), Whole: true}
	var waits []*run               // only where there is one to wait for
	for i, check := range checks { // all are started before one is waited for
		var due *run
		if c.Results[i], due = check.ask(now); due != nil {
			if waits == nil {
				waits = make([]*run, len(checks))
			}
			waits[i] = due
		}
	}
	if e.relay.waiting() {
		go e.relay.flush() // by asking: a result went stale. A listener that hangs must not keep the caller.
	}
	if waits != nil {
		c.await(ctx, e, checks, waits)
		now = time.Now()
	}
	c.Until = now.Add(time.Second)
	for i, check := range checks {
		if until := check.freshUntil(c.Results[i], now); until.Before(c.Until) {
			c.Until = until
		}
	}
	return c
}

// Last returns the last results, however old, and runs nothing. A result is nil where there is none yet.
func (e *Engine) Last(checks []*Check) Collection {
	c := Collection{Generation: e.Generation(), Results: make([]*Result, len(checks)), Whole: true, Until: time.Now().Add(time.Second)}
	for i, check := range checks {
		c.Results[i] = check.Last()
	}
	return c
}

// await fills in the results that had to be waited for, and reads the others once more, so that all are of one generation.
func (c *Collection) await(ctx context.Context, e *Engine, checks []*Check, waits []*run) {
	unfinished := make([]*Result, len(checks))
	for i, wait := range waits {
		if wait != nil {
			unfinished[i] = wait.await(ctx)
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

// Tell puts a call into the order of the listener's, and returns at once.
func (e *Engine) Tell(call func()) { e.relay.Tell(call) }

// Settle waits until the listener has heard all that has happened so far, but not longer than patience, and reports whether it has. It
// hears nothing afterwards.
func (e *Engine) Settle(patience time.Duration) bool { return e.relay.Close(patience) }

// Renew makes the next Generation: for what is made of the results and of something else, when that has changed.
func (e *Engine) Renew() { e.generation.Add(1) }

// Done is closed when the Engine is.
func (e *Engine) Done() <-chan struct{} { return e.ctx.Done() }

// Close cancels all runs and waits for them to end, but not longer than patience: a probe that heeds no context is left
// alone. It returns the names of the checks that still run. Afterwards nothing else does, and every result is an Error with ReasonStale.
func (e *Engine) Close(patience time.Duration) []string {
	e.cancel()
	e.Renew()
	timeout, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var running []string
	for i, ended := range e.stop() {
		select {
		case <-ended:
		case <-timeout.Done():
			if !isDone(ended) {
				running = append(running, e.checks[i].Name)
			}
		}
	}
	return running
}

// stop ends the schedules, and returns for each check a channel that is closed when nothing of it runs.
func (e *Engine) stop() []<-chan struct{} {
	var ended []<-chan struct{}
	for _, check := range e.checks {
		ended = append(ended, check.stop())
	}
	return ended
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
