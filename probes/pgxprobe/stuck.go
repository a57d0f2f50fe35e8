package pgxprobe

import "time"

// stuckAfter is how long the application's calls must have failed for the pool to count as stuck. In a burst
// of load they fail for less time than that.
const stuckAfter = 30 * time.Second

// stuckDetector tells a busy pool, whose connections are still released now and then, from a pool whose
// connections have all leaked.
type stuckDetector struct {
	watching           bool
	acquired, canceled int64     // the pool's counters
	first, last        time.Time // when failed calls were noticed; zero: never
}

// update takes the pool's counters, and returns for how long calls have failed while none succeeded.
func (d *stuckDetector) update(saturated bool, now time.Time, acquired, canceled int64) time.Duration {
	if !saturated || !d.watching || acquired != d.acquired {
		*d = stuckDetector{watching: saturated, acquired: acquired, canceled: canceled}
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
