package engine

import (
	"fmt"
	"time"

	"github.com/echo-probes/echohealth/probes"
)

// applyThresholds counts result and returns the result to publish. While the last published result is not an
// Error, fewer than FailureThreshold failures in a row are published as Warnings. While it is an Error, fewer
// than SuccessThreshold successes in a row are still published as Errors. The first result of all is
// published unchanged. The caller must hold c.mu.
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

// tolerates reports whether the failures so far are few enough to be a Warning. A check that has never
// succeeded is not tolerated: it has no last result, or an Error.
func (c *Check) tolerates(last *Result) bool {
	return last != nil && last.Status != probes.Error && c.failures < c.FailureThreshold
}

// stillOverdue returns the result of a run that is overdue. Each freshness time of such a run is one more
// failure, or FailureThreshold would tolerate a dependency that hangs for ever. The caller must hold c.mu.
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
