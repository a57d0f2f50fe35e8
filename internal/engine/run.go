package engine

import (
	"context"
	"time"

	"github.com/echo-probes/echohealth/probes"
)

// pauseTolerance is the delay of a timer that counts as proof that the process was stopped by SIGSTOP, a
// debugger, a frozen control group or a CPU quota. The timers of a busy machine are usually less late. If one
// is later, the run only gets more time.
const pauseTolerance = 100 * time.Millisecond

// run is a run of a check. It calls the probe once, and once more if the process was stopped during a call
// that failed.
type run struct {
	asked   time.Time // when the run was started
	timer   *time.Timer
	settled chan struct{} // closed when waiting callers get a result: the run has ended or timed out
	ended   chan struct{} // closed when the probe has returned

	// The check's mutex guards the fields below.

	began    time.Time // when the probe call began
	deadline time.Time // when the probe call is overdue
	overdue  bool      // the deadline passed before the probe returned
	paused   bool      // the process was stopped during the probe call, and extend has moved the deadline
	repeated bool      // repeat has started a second probe call
	counted  int       // how many failures stillOverdue has counted for this run
	reruns   uint64    // the value of the check's reruns when the probe call began
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

// wait is what a caller of ask waits for: the end of run, and a result of a probe call that began after the
// calls of Rerun that preceded ask.
type wait struct {
	run    *run // nil: there is nothing to wait for
	asked  time.Time
	reruns uint64 // how often Rerun had been called
}

// await waits for a result, and then returns nil. It does not wait longer than the timeout. If ctx ends
// first, it returns the result of an unfinished run.
func (w wait) await(ctx context.Context, c *Check) *Result {
	if unfinished := w.run.await(ctx, c); unfinished != nil {
		return unfinished
	}
	if c.known.Load() >= w.reruns {
		return nil
	}
	// Rerun was called during the run. The caller asked later, and so must get the result of the next run.
	_, next := c.ask(time.Now())
	if next.run == nil {
		return nil
	}
	limit := time.NewTimer(time.Until(w.asked.Add(c.Timeout)))
	defer limit.Stop()
	select {
	case <-next.run.settled:
	case <-limit.C: // the last result is at most as old as the timeout
	case <-ctx.Done():
		return next.run.await(ctx, c) // nil if it is settled, too
	}
	return nil
}

// await waits until r is settled, and then returns nil. If ctx ends first, it returns the result of an
// unfinished run.
func (r *run) await(ctx context.Context, c *Check) *Result {
	select {
	case <-r.settled:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-r.settled: // both happened: the run's result is better
		return nil
	default:
		return c.unfinished(r)
	}
}

// execute calls the probe. The probe's context ends later than the timeout, for two reasons. A context that
// ended at the first slow answer would make a driver close the application's connection. And RabbitMQ reports
// a wrong password only after 3 s.
func (c *Check) execute(r *run) {
	ctx, cancel := context.WithTimeout(c.ctx, c.limit())
	defer cancel()
	outcome := exited
	defer func() { c.finish(r, outcome) }()
	outcome = call(ctx, c.Probe)
}

// limit returns how long the context of a probe call lasts.
func (c *Check) limit() time.Duration { return max(5*time.Second, c.Timeout+time.Second) }

// finish ends a run with the outcome of its probe call, unless the probe must be called again.
func (c *Check) finish(r *run, outcome outcome) {
	c.mu.Lock()
	now := time.Now()
	if c.repeat(r, outcome, now) {
		c.mu.Unlock()
		go c.execute(r)
		return
	}
	r.timer.Stop()
	c.inFlight = nil
	if !c.engine.Closed() {
		c.record(r, outcome, now)
		// This must follow record. Otherwise isFresh could take the older last result for a result of this call.
		c.known.Store(r.reruns)
		c.reportInvalid(outcome.invalid)
		c.rerun() // if Rerun was called during this run
	}
	if !r.overdue {
		close(r.settled)
	}
	c.mu.Unlock()
	close(r.ended)
	c.engine.queue.flush()
}

// pausedUntil reports whether the process was stopped during a probe call. This is so if the timer was much
// too late, or has not fired although the deadline is long past. For an overdue run the answer has no
// meaning.
func (r *run) pausedUntil(now time.Time) bool {
	return r.paused || now.Sub(r.deadline) >= pauseTolerance
}

// repeat reports whether the probe must be called again because it failed while the process was stopped. The
// probe's own time limits may have passed during the stop. The second call gets the whole timeout, or the
// rest of the time that extend gave. c.mu is held.
func (c *Check) repeat(r *run, outcome outcome, now time.Time) bool {
	if outcome.status != probes.Error || r.overdue || r.repeated || !r.pausedUntil(now) || c.engine.Closed() {
		return false
	}
	r.began, r.repeated, r.reruns = now, true, c.reruns.Load()
	if !r.paused {
		r.deadline = now.Add(c.Timeout)
		r.timer.Reset(c.Timeout)
	}
	return true
}

// record makes a result of a probe's outcome and stores it. A success after the timeout is not stored:
// otherwise a dependency that is always slightly too slow would alternate between OK and Error. A failure
// after the timeout is stored, because its reason says more than ReasonTimeout.
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
	if !r.overdue { // the deadline has passed, but the timer has not fired yet
		c.store(c.applyThresholds(timedOut(c.Timeout)), Ended)
	}
	if outcome.status == probes.Error {
		// The timeout counted as the failure, and its duration remains. Only the cause is new.
		result := &Result{Reason: outcome.reason, Err: outcome.err, Took: c.Timeout}
		result.Status, result.late = c.last.Load().Status, true
		c.store(result, Late)
	}
	c.engine.Invalidate() // the check is no longer overdue, and so Collection.Due is another
	c.report()
}

// expire is called by the timer at the timeout of a run in progress. If overrun set the timer again, expire
// is also called at the end of the run's context.
func (c *Check) expire(r *run) {
	c.mu.Lock()
	now := time.Now()
	switch {
	case c.inFlight != r: // the run has just ended
	case r.overdue:
		c.report()
	case now.Before(r.deadline): // the run has just got a second probe call with a later deadline
	case c.extend(r, now):
	default:
		c.overrun(r)
	}
	c.mu.Unlock()
	c.engine.queue.flush()
}

// extend gives a probe call more time if the process was stopped: as much as the timer was late, but no more
// than the timeout. It does so once in a run and reports whether it did. c.mu is held.
func (c *Check) extend(r *run, now time.Time) bool {
	if r.paused || !r.pausedUntil(now) {
		return false
	}
	more := min(now.Sub(r.deadline), c.Timeout)
	r.paused, r.deadline = true, now.Add(more)
	r.timer.Reset(more)
	return true
}

// overrun gives all waiting callers a timeout. It calls the listener later if the last failure was late too
// and only the reason has changed. Otherwise a failure that is always late would change the reason twice in
// every run. c.mu is held.
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
