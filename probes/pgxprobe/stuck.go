package pgxprobe

import "time"

// stuckAfter is how long the application's calls must have failed for the pool to count as stuck. In a burst
// of load they fail for less time than that.
const stuckAfter = 30 * time.Second

// dialingAfter is the same for a pool that has no connection yet. Dials that get an answer end sooner.
const dialingAfter = 2 * time.Second

// stuckDetector tells a pool that works from one whose calls all fail: a busy pool, whose connections are
// still released now and then, from one whose connections have all leaked, and a pool that connects from one
// whose dials get no answer.
type stuckDetector struct {
	watching           bool
	acquired, canceled int64     // the pool's counters
	began              time.Time // of the watching
	first, last        time.Time // when failed calls were noticed; zero: never
}

// update takes the pool's counters, and returns for how long calls have failed while none succeeded.
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
		d.first = time.Time{} // no call has failed for that long
	}
	if d.first.IsZero() {
		return 0
	}
	return now.Sub(d.first)
}

// lasted returns for how long the pool has been watched, or 0 if no call has failed.
func (d *stuckDetector) lasted(now time.Time) time.Duration {
	if d.first.IsZero() {
		return 0
	}
	return now.Sub(d.began)
}
