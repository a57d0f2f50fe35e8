package engine

import (
	"fmt"
	"time"

	"github.com/echo-probes/echohealth/probes"
)

// damping counts what a check found in a row.
type damping struct {
	failures, successes int
	succeeded           bool // at least once
}

// damped counts result, and returns what to publish for it: a Warning for the first failures of what was well, and still an Error
// for the first successes of what was not. What never succeeded, and the first result of all, is published as it is. c.mu is held.
func (c *Check) damped(result *Result) *Result {
	last := c.last.Load()
	if result.Status == probes.Error {
		c.damping.failures, c.damping.successes = c.damping.failures+1, 0
		if c.tolerated(last) {
			result.Status = probes.Warning
		}
		return result
	}
	c.damping.failures, c.damping.successes, c.damping.succeeded = 0, c.damping.successes+1, true
	if last != nil && last.Status == probes.Error && c.damping.successes < c.SuccessThreshold {
		result.Err = fmt.Errorf("%d of %d successes in a row", c.damping.successes, c.SuccessThreshold)
		result.Status, result.Reason = probes.Error, last.Reason
	}
	return result
}

// tolerated reports whether the failures so far are few enough to be a Warning.
func (c *Check) tolerated(last *Result) bool {
	return c.damping.succeeded && c.damping.failures < c.FailureThreshold && last.Status != probes.Error
}

// stillOverdue returns the result of a run that is overdue. It counts as one more failure each period, or a dependency that hangs
// would be tolerated for ever. c.mu is held.
func (c *Check) stillOverdue(now time.Time) *Result {
	r, last := c.inFlight, c.last.Load()
	periods := int((now.Sub(r.started) - c.Timeout) / c.period())
	if periods > r.counted {
		c.damping.failures += periods - r.counted
		r.counted = periods
	}
	if last.Status == probes.Warning && !c.tolerated(last) {
		c.store(timedOut(now.Sub(r.started).Round(time.Millisecond)))
		c.tell()
	}
	return c.last.Load()
}
