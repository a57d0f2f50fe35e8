package pgxprobe

import "time"

// stuckAfter is how long the application's calls must have been failing for the pool to count as stuck. In a burst of
// load they fail for less than that.
const stuckAfter = 30 * time.Second

// stuckWatch tells a busy pool, where somebody gets a connection now and then, from one whose connections have all
// leaked.
type stuckWatch struct {
	watching           bool
	acquired, canceled int64     // the pool's counters
	first, last        time.Time // when calls were seen to fail; zero for never
}

// look takes note of the pool's counters, and returns for how long calls have been failing while none succeeded.
func (w *stuckWatch) look(saturated bool, now time.Time, acquired, canceled int64) time.Duration {
	if !saturated || !w.watching || acquired != w.acquired {
		*w = stuckWatch{watching: saturated, acquired: acquired, canceled: canceled}
		return 0
	}
	switch {
	case canceled > w.canceled:
		if w.first.IsZero() {
			w.first = now
		}
		w.last, w.canceled = now, canceled
	case now.Sub(w.last) >= stuckAfter:
		w.first = time.Time{} // nobody has asked for that long
	}
	if w.first.IsZero() {
		return 0
	}
	return now.Sub(w.first)
}
