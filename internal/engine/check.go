package engine

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/echo-probes/echohealth/probes"
)

// Config is what a check is made of. Timeout and Freshness are above zero.
type Config struct {
	Name      string
	Probe     probes.Probe
	Timeout   time.Duration // after this a run counts as failed, whether or not the probe has returned
	Freshness time.Duration // how long one result serves
	SlowAfter time.Duration // an OK that took longer is a Warning; zero: never

	Interval         time.Duration // how often the schedule runs it; zero: only when somebody asks
	FailureThreshold int           // as many failures in a row make an Error of what was well before; zero: 1
	SuccessThreshold int           // as many successes in a row end an Error; zero: 1
}

// Result is the outcome of a run. It is never changed once it is published.
type Result struct {
	Status  probes.Status
	Reason  probes.Reason
	Details []slog.Attr
	Err     error
	Took    time.Duration
	At      time.Time // when it was published
	Since   time.Time // since when the check has had this status
	late    bool      // it came after the timeout
}

// Check is one check and its last result.
type Check struct {
	Config
	engine *Engine
	last   atomic.Pointer[Result] // nil before the first result

	mu         sync.Mutex // guards what follows, and is held while last is replaced
	inFlight   *run
	damping    damping
	told       told
	complained bool
	schedule   *time.Timer // nil where there is none
}

// run is one call of the probe.
type run struct {
	started time.Time
	timer   *time.Timer
	settled chan struct{} // closed when there is an outcome for those who wait: a result, or the timeout
	ended   chan struct{} // closed when the probe has returned
	overdue bool          // the timeout came first
	counted int           // as how many failures it counted since
}

// told is what the listener knows of the check.
type told struct {
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
	last := c.last.Load()
	switch {
	case c.engine.Closed():
		return closedResult(last, now), nil
	case c.inFlight != nil && c.inFlight.overdue:
		return c.stillOverdue(now), nil // a second run would hang as well, and hold one goroutine more
	case last != nil && age(last.At, now) < c.lifetime():
		return last, nil
	case last != nil && c.Interval > 0 && now.Sub(last.At) >= c.lifetime():
		return c.goneStale(now), nil
	case c.inFlight == nil:
		c.inFlight = c.start(now)
	}
	return nil, c.inFlight
}

// lifetime is how long a result serves.
func (c *Check) lifetime() time.Duration {
	if c.Interval > 0 {
		return 3*c.Interval + c.Timeout
	}
	return c.Freshness
}

// period is how often a run is due while somebody asks.
func (c *Check) period() time.Duration {
	if c.Interval > 0 {
		return c.Interval
	}
	return c.Freshness
}

// wall is the time by the wall clock alone.
var wall = func(t time.Time) time.Time { return t.Round(0) }

// age is how long ago at was, by the clock that shows more: the monotonic one stands still while a machine is
// suspended, and the other one may be set back.
func age(at, now time.Time) time.Duration {
	return max(now.Sub(at), wall(now).Sub(wall(at)))
}

// freshUntil is when to ask again after result was given: at once, where it has become too old while another check was waited for. An
// overdue run's result has no end of its own, and is looked at anew after each period, so that what is made of it carries a timestamp
// of these days.
func (c *Check) freshUntil(result *Result, now time.Time) time.Time {
	if until := result.At.Add(c.lifetime()); until.After(now) || !c.overdue() {
		return until
	}
	return now.Add(c.period())
}

func (c *Check) overdue() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.inFlight != nil && c.inFlight.overdue
}

func (c *Check) start(now time.Time) *run {
	r := &run{started: now, settled: make(chan struct{}), ended: make(chan struct{})}
	r.timer = time.AfterFunc(c.Timeout, func() { c.expire(r) })
	go c.execute(r)
	return r
}

// await waits until r has an outcome, and returns nil; or what to say instead where ctx ends first.
func (r *run) await(ctx context.Context) *Result {
	select {
	case <-r.settled:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-r.settled: // both at once: the outcome counts
		return nil
	default:
		return unfinished(r)
	}
}

// latest returns the last result, when there is one, as it is to be shown now.
func (c *Check) latest() *Result {
	if c.engine.Closed() {
		return closedResult(c.last.Load(), time.Now())
	}
	return c.last.Load()
}

// execute runs the probe. Its context outlives the timeout: one that ends at the first slow answer makes a driver close
// the application's connection, and RabbitMQ says that a password is wrong only after 3 s.
func (c *Check) execute(r *run) {
	ctx, cancel := context.WithTimeout(c.engine.ctx, c.limit())
	defer cancel()
	outcome := exited
	defer func() { c.finish(r, outcome) }()
	outcome = call(ctx, c.Probe)
}

// limit is how long after its start a run's own context ends.
func (c *Check) limit() time.Duration { return max(5*time.Second, c.Timeout+time.Second) }

// finish takes the outcome of a run, and makes room for the next one.
func (c *Check) finish(r *run, outcome outcome) {
	r.timer.Stop()
	took := time.Since(r.started)
	c.mu.Lock()
	c.inFlight = nil
	if !c.engine.Closed() {
		c.record(r, outcome, took)
		c.complain(outcome.complaint)
	}
	if !r.overdue {
		close(r.settled)
	}
	c.mu.Unlock()
	close(r.ended)
	c.engine.relay.flush()
}

// record makes a result of an outcome. One that comes after the timeout never turns the check green, or a dependency
// that is always a bit too slow would flap; but a late failure's own reason says more than that it took long.
func (c *Check) record(r *run, outcome outcome, took time.Duration) {
	if !r.overdue && took <= c.Timeout {
		c.store(c.damped(outcome.result(took).orSlow(c.SlowAfter)))
		c.tell()
		return
	}
	if !r.overdue { // the timer is late itself
		c.store(c.damped(timedOut(c.Timeout)))
	}
	if outcome.status == probes.Error {
		result := outcome.result(took)
		result.Status, result.late = c.last.Load().Status, true // it was counted as a failure when it was due
		c.store(result)
	}
	c.engine.Renew() // the check is due again when its result has served its time
	c.tell()
}

// expire is called when the timeout comes before the probe's answer, and once more at the end of the run's context where
// overrun asked for it.
func (c *Check) expire(r *run) {
	c.mu.Lock()
	switch {
	case c.inFlight != r: // it ended in this moment
	case r.overdue:
		c.tell()
	default:
		c.overrun(r)
	}
	c.mu.Unlock()
	c.engine.relay.flush()
}

// overrun gives those who wait a timeout. Where the last failure came late too, and all that is new is the reason, the listener
// hears of it only if this run ends otherwise, or not at all: a failure that always comes late would change the reason twice in
// every run.
func (c *Check) overrun(r *run) {
	r.overdue = true
	defer close(r.settled)
	if c.engine.Closed() {
		return
	}
	before := c.last.Load()
	c.store(c.damped(timedOut(c.Timeout)))
	if before != nil && before.late && before.Status == c.last.Load().Status {
		r.timer.Reset(c.limit() - c.Timeout)
		return
	}
	c.tell()
}

// store makes result the last one. c.mu is held.
func (c *Check) store(result *Result) {
	result.At = time.Now()
	result.Since = result.At
	if last := c.last.Load(); last != nil && last.Status == result.Status {
		result.Since = last.Since
	}
	c.last.Store(result)
	c.engine.Renew()
}

// tell puts the last result before the listener, if it is news. c.mu is held, so that the news are in order.
func (c *Check) tell() {
	last := c.last.Load()
	if last.Status == c.told.status && last.Reason == c.told.reason {
		return
	}
	change := Change{Check: c.Name, From: c.told.status, To: last.Status, Reason: last.Reason, Err: last.Err, At: last.At}
	if c.told.status != "" {
		change.Lasted = last.At.Sub(c.told.at)
	}
	c.told = told{status: last.Status, reason: last.Reason, at: last.At}
	c.engine.relay.put(func() { c.engine.listener.Changed(change) })
}

// complain tells the listener once of what the probe gave and nobody can be shown. c.mu is held.
func (c *Check) complain(err error) {
	if err == nil || c.complained {
		return
	}
	c.complained = true
	c.engine.relay.put(func() { c.engine.listener.Complained(c.Name, err) })
}

// stop ends the schedule, and returns a channel that is closed when the run in flight has ended.
func (c *Check) stop() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.schedule != nil {
		c.schedule.Stop()
	}
	if c.inFlight == nil {
		return nothing
	}
	return c.inFlight.ended
}

// nothing is closed.
var nothing = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()
