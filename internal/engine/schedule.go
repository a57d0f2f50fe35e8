package engine

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/echo-probes/echohealth/probes"
)

// Start begins the schedule of the checks that have an Interval: a run at once, and then one each interval. A timer, and no goroutine,
// waits for the next. Close ends it.
func (e *Engine) Start() {
	for _, check := range e.checks {
		if check.Interval > 0 {
			check.tick()
		}
	}
}

// tick runs the check, unless it is running, and arranges for the next tick.
func (c *Check) tick() {
	c.mu.Lock()
	now := time.Now()
	switch {
	case c.engine.Closed():
		c.mu.Unlock()
		return
	case c.inFlight == nil:
		c.inFlight = c.start(now)
	case c.inFlight.overdue:
		c.stillOverdue(now)
	}
	c.schedule = time.AfterFunc(jittered(c.Interval), c.tick)
	c.mu.Unlock()
	c.engine.relay.flush()
}

// jittered is d, 10 % more or less, so that the replicas of a service don't ask their database in step.
func jittered(d time.Duration) time.Duration {
	return d - d/10 + rand.N(d/5+1)
}

// goneStale makes an Error of a result for which no other has come in three intervals: the schedule has stopped, and nobody knows
// how the dependency is. c.mu is held.
func (c *Check) goneStale(now time.Time) *Result {
	last := c.last.Load()
	c.store(&Result{
		Status: probes.Error, Reason: probes.ReasonStale, Took: last.Took,
		Err: fmt.Errorf("the last result is %s old, and one is due every %s", now.Sub(last.At).Round(time.Millisecond), c.Interval),
	})
	c.tell()
	return c.last.Load()
}
