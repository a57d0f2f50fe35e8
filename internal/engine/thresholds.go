package engine

import (
	"fmt"
	"time"

	"github.com/echo-probes/echohealth/probes"
)

// applyThresholds counts result, and returns what to publish for it: a Warning for the first failures of
// what was well, and still an Error for the first successes of what was not. What never succeeded, and the
// first result of all, is published as it is. c.mu is held.
func (c *Check) applyThresholds(result *Result) *Result {
	last := c.last.Load()
	if result.Status == probes.Error {
		c.failures, c.successes = c.failures+1, 0
		if c.tolerates(last) {
			result.Status = probes.Warning
		}
		return result
	}
	c.failures, c.successes = 0, c.successes+1
	if last != nil && last.Status == probes.Error && c.successes < c.SuccessThreshold {
		result.Err = fmt.Errorf("%d of %d successes in a row", c.successes, c.SuccessThreshold)
		result.Status, result.Reason = probes.Error, last.Reason
	}
	return result
}

// tolerates reports whether the failures so far are few enough to be a Warning. What never succeeded has no
// last result, or an Error.
func (c *Check) tolerates(last *Result) bool {
	return last != nil && last.Status != probes.Error && c.failures < c.FailureThreshold
}

// stillOverdue returns the result of a run that is overdue. It counts as one more failure each freshness
// time, or a dependency that hangs would be tolerated for ever. c.mu is held.
func (c *Check) stillOverdue(now time.Time) *Result {
	r, last := c.inFlight, c.last.Load()
	periods := int(now.Sub(r.deadline) / c.retryAfter())
	if periods <= r.counted {
		return last
	}
	c.failures += periods - r.counted
	r.counted = periods
	if last.Status == probes.Warning && !c.tolerates(last) {
		c.store(timedOut(now.Sub(r.began).Round(time.Millisecond)), Overdue)
		c.report()
	} else {
		c.tell(last, Overdue, now)
	}
	return c.last.Load()
}
