package pgxprobe

import "time"

// stuckAfter is how long the application's calls of Acquire must have failed for the pool to count as stuck.
// In a burst of load they fail for less time than that.
const stuckAfter = 30 * time.Second

// dialingAfter is how long a pool must have had only unanswered dials, and no connection, to count as failed.
// A dial that gets an answer takes less time.
const dialingAfter = 2 * time.Second

// stuckDetector detects from the counters of a pool whether all calls of Acquire fail. It distinguishes a
// busy pool, whose connections are still released now and then, from a pool whose connections have all
// leaked. It also distinguishes a pool that connects from a pool whose dials get no answer.
type stuckDetector struct {
	watching           bool
	acquired, canceled int64     // counters of the pool's Stat at the last update
	began              time.Time // when watching began
	first, last        time.Time // when update noticed failed calls; zero: never
}

// update takes the counters of the pool's Stat. It returns for how long calls of Acquire have failed while
// none succeeded, or 0 if the pool is not saturated.
func (d *stuckDetector) update(saturated bool, now time.Time, acquired, canceled int64) time.Duration {
	if !saturated || !d.watching || acquired != d.acquired {
		*d = stuckDetector{watching: saturated, acquired: acquired, canceled: canceled, began: now}
		return 0
	}
	switch {
	case canceled > d.canceled:
		if d.first.IsZero() {
			d.first = now
		}
		d.last, d.canceled = now, canceled
	case now.Sub(d.last) >= stuckAfter:
		d.first = time.Time{} // no call has failed for so long that the earlier failures no longer count
	}
	if d.first.IsZero() {
		return 0
	}
	return now.Sub(d.first)
}

// lasted returns for how long the pool has been watched, or 0 if no call has failed in that time.
func (d *stuckDetector) lasted(now time.Time) time.Duration {
	if d.first.IsZero() {
		return 0
	}
	return now.Sub(d.began)
}
