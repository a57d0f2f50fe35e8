package engine

import (
	"context"
	"time"

	"github.com/echo-probes/echohealth/probes"
)

// pauseTolerance is how late a timer must be to show that the process was stopped: by SIGSTOP, a debugger, a
// frozen control group or a CPU quota. On a busy machine a timer is usually less late. If it is later, that
// does no harm.
const pauseTolerance = 100 * time.Millisecond

// rerunDelay is the time between a run whose result is outdated and the next one. It limits the load of a
// probe that calls Rerun in each call.
const rerunDelay = 100 * time.Millisecond

// run is one call of the probe, or two if the process was stopped during the first one, and one more for each
// Rerun in the meantime.
type run struct {
	asked   time.Time // when it was started
	timer   *time.Timer
	settled chan struct{} // closed when there is an outcome for those who wait: a result, or the timeout
	ended   chan struct{} // closed when the probe has returned

	// The check's mutex guards the fields below.

	began    time.Time // when the call began
	deadline time.Time // when the call is overdue
	overdue  bool      // the deadline came before the outcome
	paused   bool      // the process was stopped during the call
	repeated bool      // it is the second call
	counted  int       // how many failures were counted for it since it is overdue
	reruns   uint64    // the value of the check's reruns when the call began
}

// start starts a run. c.mu is held.
func (c *Check) start(now time.Time) *run {
	r := &run{
		asked: now, began: now, deadline: now.Add(c.Timeout), reruns: c.reruns.Load(),
		settled: make(chan struct{}), ended: make(chan struct{}),
	}
	r.timer = time.AfterFunc(c.Timeout, func() { c.expire(r) })
	go c.execute(r)
	return r
}

// await waits until r has an outcome, and then returns nil. If ctx ends first, it returns the result for an
// unfinished run.
func (r *run) await(ctx context.Context, c *Check) *Result {
	select {
	case <-r.settled:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-r.settled: // if both happened at once, use the outcome
		return nil
	default:
		return c.unfinished(r)
	}
}

// execute calls the probe. Its context outlives the timeout: one that ends at the first slow answer makes a
// driver close the application's connection, and RabbitMQ says that a password is wrong only after 3 s.
func (c *Check) execute(r *run) {
	ctx, cancel := context.WithTimeout(c.ctx, c.limit())
	defer cancel()
	outcome := exited
	defer func() { c.finish(r, outcome) }()
	outcome = call(ctx, c.Probe)
}

// limit is how long after its start a run's own context ends.
func (c *Check) limit() time.Duration { return max(5*time.Second, c.Timeout+time.Second) }

// finish takes the outcome of a call, and makes room for the next run.
func (c *Check) finish(r *run, outcome outcome) {
	c.mu.Lock()
	now := time.Now()
	if c.outdated(r, now) || c.repeat(r, outcome, now) {
		c.mu.Unlock()
		go c.execute(r)
		return
	}
	r.timer.Stop()
	c.inFlight = nil
	if !c.engine.Closed() {
		c.record(r, outcome, now)
		c.known.Store(r.reruns) // last, or an old result could pass for one of this call
		c.reportInvalid(outcome.invalid)
		if c.isOutdated() { // Rerun started no run, because this one was in flight
			time.AfterFunc(rerunDelay, func() { c.renew(time.Now(), 0) })
		}
	}
	if !r.overdue {
		close(r.settled)
	}
	c.mu.Unlock()
	close(r.ended)
	c.engine.queue.flush()
}

// pausedUntil reports whether the process was stopped during a call that is not overdue: the timer has come
// late, or still not come.
func (r *run) pausedUntil(now time.Time) bool {
	return r.paused || now.Sub(r.deadline) >= pauseTolerance
}

// outdated reports whether the probe must be called once more, because Rerun was called after the call began.
// The run keeps its deadline. If a call that takes twice as long as the last one would exceed it, the outcome
// is used although it is outdated. Otherwise frequent calls of Rerun would cause a timeout. c.mu is held.
func (c *Check) outdated(r *run, now time.Time) bool {
	reruns, took := c.reruns.Load(), now.Sub(r.began)
	if reruns == r.reruns || r.overdue || now.Add(2*took).After(r.deadline) || c.engine.Closed() {
		return false
	}
	r.began, r.reruns = now, reruns
	return true
}

// repeat reports whether the probe has to be called once more: it failed while the process was stopped, and
// its limits went by without it. The second call has the timeout, or what is left of the time that extend
// gave. c.mu is held.
func (c *Check) repeat(r *run, outcome outcome, now time.Time) bool {
	if outcome.status != probes.Error || r.overdue || r.repeated || !r.pausedUntil(now) || c.engine.Closed() {
		return false
	}
	r.began, r.repeated = now, true
	if !r.paused {
		r.deadline = now.Add(c.Timeout)
		r.timer.Reset(c.Timeout)
	}
	return true
}

// record makes a result of an outcome. One that comes after the timeout never turns the check green, or a
// dependency that is always a bit too slow would flap; but a late failure's own reason says more than that
// it took long.
func (c *Check) record(r *run, outcome outcome, now time.Time) {
	took := now.Sub(r.began)
	paused := r.pausedUntil(now)
	if !r.overdue && (paused || !now.After(r.deadline)) {
		result := outcome.result(took)
		if !paused {
			result = result.withSlow(c.SlowAfter)
		}
		c.store(c.applyThresholds(result), Ended)
		c.report()
		return
	}
	if !r.overdue { // the timer is a bit late itself
		c.store(c.applyThresholds(timedOut(c.Timeout)), Ended)
	}
	if outcome.status == probes.Error {
		result := outcome.result(took)
		result.Status, result.late = c.last.Load().Status, true // it was counted as a failure when it was due
		c.store(result, Late)
	}
	c.engine.Invalidate() // the check is due again when its result has served its time
	c.report()
}

// expire is called when the timeout comes before the probe's answer. It is called once more at the end of the
// run's context if overrun has set the timer again.
func (c *Check) expire(r *run) {
	c.mu.Lock()
	now := time.Now()
	switch {
	case c.inFlight != r: // it ended in this moment
	case r.overdue:
		c.report()
	case now.Before(r.deadline): // the first call ended in this moment, and the second one has its time
	case c.extend(r, now):
	default:
		c.overrun(r)
	}
	c.mu.Unlock()
	c.engine.queue.flush()
}

// extend gives a call more time if the process was stopped: as much as the timer is late, but no more than
// the timeout. c.mu is held.
func (c *Check) extend(r *run, now time.Time) bool {
	if r.paused || !r.pausedUntil(now) {
		return false
	}
	more := min(now.Sub(r.deadline), c.Timeout)
	r.paused, r.deadline = true, now.Add(more)
	r.timer.Reset(more)
	return true
}

// overrun gives all waiting callers a timeout. If the last failure came late too, and only the reason is new,
// overrun does not call the listener yet. Otherwise a failure that always comes late would change the reason
// twice in every run. c.mu is held.
func (c *Check) overrun(r *run) {
	r.overdue = true
	defer close(r.settled)
	if c.engine.Closed() {
		return
	}
	before := c.last.Load()
	c.store(c.applyThresholds(timedOut(c.Timeout)), Ended)
	if before != nil && before.late && before.Status == c.last.Load().Status {
		r.timer.Reset(c.limit() - c.Timeout)
		return
	}
	c.report()
}
