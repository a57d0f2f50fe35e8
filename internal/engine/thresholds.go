package engine

import (
	"fmt"
	"time"

	"github.com/echo-probes/echohealth/probes"
)

// applyThresholds counts result and returns the result to publish. If the last published result is not an
// Error, fewer than FailureThreshold failures in a row are published as Warnings. If it is an Error, fewer
// than SuccessThreshold successes in a row are published as Errors. The first result of a check is published
// unchanged. c.mu is held.
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

// tolerates reports whether the failures in a row are too few for an Error. It returns false if the check has
// never succeeded, because then the last result is an Error, or there is none.
func (c *Check) tolerates(last *Result) bool {
	return last != nil && last.Status != probes.Error && c.failures < c.FailureThreshold
}

// stillOverdue returns the last result of a check whose run is overdue. It counts one more failure for each
// retryAfter that the run is overdue. Otherwise FailureThreshold would tolerate a dependency that hangs
// forever. c.mu is held.
func (c *Check) stillOverdue(now time.Time) *Result {
	r, last := c.inFlight, c.last.Load()
	periods := int(now.Sub(r.deadline) / c.retryAfter())
	if periods <= r.counted {
		return last
	}
	c.failures += periods - r.counted
	r.counted = periods
	if last.Status == probes.Warning && !c.tolerates(last) {
		c.store(timedOut(c.Timeout), Overdue)
		c.report()
	} else {
		c.tell(last, Overdue, now)
	}
	return c.last.Load()
}
