package engine

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/echo-probes/echohealth/probes"
)

// Config configures a check. Timeout and Freshness must be above zero.
type Config struct {
	Name       string
	Probe      probes.Probe
	Timeout    time.Duration // a run that takes longer has failed, even if the probe is still running
	Freshness  time.Duration // how long a result is fresh
	RetryAfter time.Duration // how long the result of a failed run is fresh; zero: Freshness
	SlowAfter  time.Duration // an OK that took longer is a Warning; zero: never

	FailureThreshold int // an OK or Warning becomes an Error after this number of failures in a row; zero: 1
	SuccessThreshold int // an Error ends after this number of successes in a row; zero: 1
}

// Result is the outcome of a run. It is never changed once it is published.
type Result struct {
	Status  probes.Status
	Reason  probes.Reason
	Details []slog.Attr
	Err     error
	Took    time.Duration
	At      time.Time     // when it was published
	Since   time.Time     // when the check's Status became what it is
	LastOK  time.Time     // when the last OK was published; zero before the first
	serves  time.Duration // how long it is fresh, counted from At; zero if it was never the check's last result
	late    bool          // the probe returned it after the timeout
}

// Check is one check and its last result.
type Check struct {
	Config
	engine *Engine
	ctx    context.Context        // the context of all its runs: the engine's, with the check's name
	index  int                    // the index in the engine's checks
	last   atomic.Pointer[Result] // nil before the first result
	reruns atomic.Uint64          // how often Rerun was called
	known  atomic.Uint64          // the value of reruns when the last finished probe call began

	mu              sync.Mutex // guards the fields below, and is held when last is replaced
	inFlight        *run       // nil if no run is in progress
	failures        int        // how many runs in a row have failed
	successes       int        // how many runs in a row have succeeded
	reported        reported
	reportedInvalid bool
	rerunAt         time.Time   // when Rerun last started a run
	rerunTimer      *time.Timer // starts the next run that Rerun causes; nil: none is waiting
}

// reported is the state that the listener was last called with.
type reported struct {
	status probes.Status
	reason probes.Reason
	at     time.Time
}

// Last returns the last result, however old, or nil before the first.
func (c *Check) Last() *Result { return c.last.Load() }

// ask returns a result if no wait is needed. Otherwise it returns what to wait for.
func (c *Check) ask(now time.Time) (*Result, wait) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.engine.Closed():
		return c.closedResult(), wait{}
	case c.isOverdue(): // no second run, because it would hang as well and block one more goroutine
		return c.stillOverdue(now), wait{}
	case c.isFresh(now):
		return c.last.Load(), wait{}
	case c.inFlight == nil:
		c.inFlight = c.start(now)
	}
	return nil, wait{c.inFlight, now, c.reruns.Load()}
}

// Recent returns the last result if it is fresh or not older than oldest. Otherwise, or if Rerun was called
// after the result's probe call began, it returns nil. It starts a run if the result is not fresh, and does
// not wait for the run. It allocates nothing if the result is fresh.
func (c *Check) Recent(now time.Time, oldest time.Duration) *Result {
	if c.isFresh(now) {
		return c.last.Load()
	}
	c.renew(now, 0)
	c.engine.flushSoon()
	// The call must precede the read of last. Otherwise a run could end in between, and an outdated last would
	// pass.
	if c.isOutdated() {
		return nil
	}
	last := c.last.Load()
	if last == nil || age(last.At, now) > max(oldest, last.serves) {
		return nil
	}
	return last
}

// renew starts a run if the last result is not fresh now, or will not be fresh after the duration ahead.
func (c *Check) renew(now time.Time, ahead time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.engine.Closed():
	case c.isOverdue():
		c.stillOverdue(now)
	case c.inFlight == nil && !c.isFresh(now.Add(ahead)):
		c.inFlight = c.start(now)
	}
}

// isFresh reports whether the last result is fresh at now.
func (c *Check) isFresh(now time.Time) bool {
	last := c.last.Load()
	return last != nil && !c.isOutdated() && age(last.At, now) < last.serves
}

// isOutdated reports whether Rerun was called after the last finished probe call began.
func (c *Check) isOutdated() bool { return c.known.Load() != c.reruns.Load() }

// isOverdue reports whether a run is in progress and has exceeded its timeout. c.mu is held.
func (c *Check) isOverdue() bool { return c.inFlight != nil && c.inFlight.overdue }

// wall removes t's monotonic clock reading, so that times are compared by the wall clock only.
var wall = func(t time.Time) time.Time { return t.Round(0) }

// age returns how long ago at was. It uses the clock that shows the longer time, because the monotonic clock
// stands still while a machine is suspended, and the wall clock can be set back.
func age(at, now time.Time) time.Duration {
	return max(now.Sub(at), wall(now).Sub(wall(at)))
}

// freshUntil returns when result is no longer fresh. This is not after now if result expired during the wait
// for another check, or if Rerun was called. If the run in progress is overdue, freshUntil returns a time one
// retryAfter from now, so that the timestamp of the answer stays current.
func (c *Check) freshUntil(result *Result, now time.Time) time.Time {
	until := result.At.Add(result.serves)
	if c.isOutdated() {
		until = now
	}
	if until.After(now) || !c.overdue() {
		return until
	}
	return now.Add(c.retryAfter())
}

// dueAfter returns when the next run of the check is due, for a caller that does not wait for a run in
// progress.
func (c *Check) dueAfter(now time.Time) time.Time {
	if last := c.last.Load(); last != nil && last.At.Add(last.serves).After(now) {
		return last.At.Add(last.serves)
	}
	return now.Add(c.retryAfter()) // a run is in progress
}

// retryAfter returns how long the result of a failed run is fresh.
func (c *Check) retryAfter() time.Duration {
	if c.RetryAfter > 0 {
		return min(c.RetryAfter, c.Freshness)
	}
	return c.Freshness
}

func (c *Check) overdue() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.isOverdue()
}

// latest returns the last result, or an Error after Close. The check must have a result.
func (c *Check) latest() *Result {
	if c.engine.Closed() {
		return c.closedResult()
	}
	return c.last.Load()
}

// unfinished returns the result for a caller whose context ended before the run r did.
func (c *Check) unfinished(r *run) *Result {
	result := &Result{
		Status: probes.Error, Reason: probes.ReasonTimeout, Err: context.DeadlineExceeded,
		At: time.Now(), Since: r.asked,
	}
	result.Took = result.At.Sub(r.asked)
	c.last.Load().continueIn(result)
	return result
}

// closedResult returns the result of a check after Close. It is an Error, so that callers do not see an old
// OK. Its Took is that of the last run.
func (c *Check) closedResult() *Result {
	at := c.engine.ClosedAt()
	result := &Result{Status: probes.Error, Reason: probes.ReasonStale, Err: errClosed, At: at, Since: at}
	last := c.last.Load()
	if last != nil {
		result.Took = last.Took
	}
	last.continueIn(result)
	return result
}

// continueIn copies LastOK from r to next, the result that follows r. If both have the same Status, it copies
// Since too. r may be nil.
func (r *Result) continueIn(next *Result) {
	if r == nil {
		return
	}
	next.LastOK = r.LastOK
	if r.Status == next.Status {
		next.Since = r.Since
	}
}

// store makes result the last result and passes it to the recorders. c.mu is held.
func (c *Check) store(result *Result, kind RunKind) {
	result.At = time.Now()
	result.Since = result.At
	c.last.Load().continueIn(result)
	if result.Status == probes.OK {
		result.LastOK = result.At
	}
	result.serves = c.Freshness
	if result.Status == probes.Error || c.failures > 0 {
		result.serves = c.retryAfter()
	}
	c.last.Store(result)
	c.tell(result, kind, result.At)
	c.engine.Invalidate()
}

// report calls the listener if the last result's status or reason is new. c.mu is held, so that the calls are
// in order.
func (c *Check) report() {
	last := c.last.Load()
	if last.Status == c.reported.status && last.Reason == c.reported.reason {
		return
	}
	change := Change{
		Check: c.Name, From: c.reported.status, To: last.Status, Reason: last.Reason, Err: last.Err, At: last.At,
	}
	if c.reported.status != "" {
		change.Lasted = last.At.Sub(c.reported.at)
	}
	c.reported = reported{status: last.Status, reason: last.Reason, at: last.At}
	c.engine.queue.add(func() { c.engine.listener.Changed(change) })
}

// reportInvalid calls the listener at the first violation of a rule of package probes. c.mu is held.
func (c *Check) reportInvalid(err error) {
	if err == nil || c.reportedInvalid {
		return
	}
	c.reportedInvalid = true
	c.engine.queue.add(func() { c.engine.listener.Invalid(c.Name, err) })
}

// ended returns a channel that is closed when no run is in progress.
func (c *Check) ended() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inFlight == nil {
		return closedChannel
	}
	return c.inFlight.ended
}

var closedChannel = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()
