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
	Timeout    time.Duration // a longer run has failed, even if the probe is still running
	Freshness  time.Duration // how long a result is fresh
	RetryAfter time.Duration // how long the result of a failed run is fresh; zero: Freshness
	SlowAfter  time.Duration // an OK that took longer is a Warning; zero: never

	FailureThreshold int // as many failures in a row make an Error of what was well before; zero: 1
	SuccessThreshold int // as many successes in a row end an Error; zero: 1
}

// Result is the outcome of a run. It is never changed once it is published.
type Result struct {
	Status  probes.Status
	Reason  probes.Reason
	Details []slog.Attr
	Err     error
	Took    time.Duration
	At      time.Time     // when it was published
	Since   time.Time     // since when the check has had this status
	LastOK  time.Time     // when the last OK was published; zero before the first
	serves  time.Duration // how long, from At on; zero if it was never the check's last
	late    bool          // it came after the timeout
}

// Check is one check and its last result.
type Check struct {
	Config
	engine *Engine
	ctx    context.Context        // the context of all its runs: the engine's, with the check's name
	index  int                    // in the engine's checks
	last   atomic.Pointer[Result] // nil before the first result
	reruns atomic.Uint64          // how often Rerun was called
	known  atomic.Uint64          // the value of reruns when the last result's call began

	mu              sync.Mutex // guards the fields below, and is held while last is replaced
	inFlight        *run       // nil between two runs
	failures        int        // in a row
	successes       int        // in a row
	reported        reported
	reportedInvalid bool
}

// reported is the state of the check that the listener knows.
type reported struct {
	status probes.Status
	reason probes.Reason
	at     time.Time
}

// Last returns the last result, however old, or nil before the first.
func (c *Check) Last() *Result { return c.last.Load() }

// ask returns a result that can be given at once, or else the run to wait for.
func (c *Check) ask(now time.Time) (*Result, *run) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.engine.Closed():
		return c.closedResult(), nil
	case c.isOverdue(): // a second run would hang as well, and hold one goroutine more
		return c.stillOverdue(now), nil
	case c.isFresh(now):
		return c.last.Load(), nil
	case c.inFlight == nil:
		c.inFlight = c.start(now)
	}
	return nil, c.inFlight
}

// Recent returns the last result if it is fresh. It also returns a result that is not older than oldest,
// unless Rerun was called after it. Otherwise it returns nil. It starts a due run and does not wait for it.
// It allocates nothing while the result is fresh.
func (c *Check) Recent(now time.Time, oldest time.Duration) *Result {
	if c.isFresh(now) {
		return c.last.Load()
	}
	c.renew(now, 0)
	if c.isOutdated() { // asked before last is read: a run that ends in between would make an old one pass
		return nil
	}
	last := c.last.Load()
	if last == nil || age(last.At, now) > max(oldest, last.serves) {
		return nil
	}
	return last
}

// renew runs the check if its result is not fresh, or will not be in as long as ahead.
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

// Rerun runs the check whether or not its result is fresh. From now on no caller gets the result of a call
// that began earlier, unless no further call fits into the timeout of the run in flight.
func (c *Check) Rerun() {
	c.reruns.Add(1)
	c.engine.Invalidate()
	c.renew(time.Now(), 0)
}

// isFresh reports whether the last result is fresh at now.
func (c *Check) isFresh(now time.Time) bool {
	last := c.last.Load()
	return last != nil && !c.isOutdated() && age(last.At, now) < last.serves
}

// isOutdated reports whether Rerun was called after the call of the last result began.
func (c *Check) isOutdated() bool { return c.known.Load() != c.reruns.Load() }

// isOverdue reports whether the run in flight has had its timeout. c.mu is held.
func (c *Check) isOverdue() bool { return c.inFlight != nil && c.inFlight.overdue }

// wall removes the monotonic reading, so that times compare by the wall clock only.
var wall = func(t time.Time) time.Time { return t.Round(0) }

// age is how long ago at was, by the clock that shows more: the monotonic one stands still while a machine is
// suspended, and the other one may be set back.
func age(at, now time.Time) time.Duration {
	return max(now.Sub(at), wall(now).Sub(wall(at)))
}

// freshUntil returns when the next look after result is due. It is due at once if result expired while
// another check was waited for, or if Rerun was called. The result of an overdue run does not expire. It is
// shown again after each freshness time, so that the answer's timestamp is current.
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

// dueAfter returns when the check is due again, for a look at now that did not wait for the check.
func (c *Check) dueAfter(now time.Time) time.Time {
	if last := c.last.Load(); last != nil && last.At.Add(last.serves).After(now) {
		return last.At.Add(last.serves)
	}
	return now.Add(c.retryAfter()) // it is running
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

// latest returns the last result, or after Close an Error. There must be a result.
func (c *Check) latest() *Result {
	if c.engine.Closed() {
		return c.closedResult()
	}
	return c.last.Load()
}

// unfinished returns the result for a caller whose own context ended before the run r did.
func (c *Check) unfinished(r *run) *Result {
	result := &Result{
		Status: probes.Error, Reason: probes.ReasonTimeout, Err: context.DeadlineExceeded,
		At: time.Now(), Since: r.asked,
	}
	result.Took = result.At.Sub(r.asked)
	c.last.Load().continueIn(result)
	return result
}

// closedResult returns the result of a check after the Engine was closed. It is an Error, so that no old OK
// stays visible. Its duration is that of the last run.
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

// continueIn copies two times from r to next, the result after r: since when the check has this status, and
// when it was last OK. r may be nil.
func (r *Result) continueIn(next *Result) {
	if r == nil {
		return
	}
	next.LastOK = r.LastOK
	if r.Status == next.Status {
		next.Since = r.Since
	}
}

// store makes result the last one, and passes it to the recorders. c.mu is held.
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

// report passes the last result to the listener if its status or reason has changed. c.mu is held, so that
// the calls are in order.
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

// reportInvalid reports to the listener once that the probe breaks the rules of package probes. c.mu is held.
func (c *Check) reportInvalid(err error) {
	if err == nil || c.reportedInvalid {
		return
	}
	c.reportedInvalid = true
	c.engine.queue.add(func() { c.engine.listener.Invalid(c.Name, err) })
}

// ended returns a channel that is closed when the run in flight has ended.
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
