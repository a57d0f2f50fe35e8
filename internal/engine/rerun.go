package engine

import "time"

// rerunDelay is the shortest time between the starts of two runs that only Rerun causes. It limits the load
// of a probe that calls Rerun all the time, for example in each of its runs.
const rerunDelay = 100 * time.Millisecond

// Rerun runs the check even if its result is fresh, at most once in rerunDelay. After Rerun no caller gets a
// result of a probe call that began before Rerun, with two exceptions: if it would have to wait longer than
// the timeout, and if that call still hangs after its timeout.
func (c *Check) Rerun() {
	c.reruns.Add(1)
	c.engine.Invalidate()
	c.mu.Lock()
	c.rerun()
	c.mu.Unlock()
	c.engine.flushSoon()
}

// DelayRerun makes the next Rerun start its run in rerunDelay at the earliest.
func (c *Check) DelayRerun() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rerunAt = time.Now()
}

// rerun starts a run if the last result is outdated, or sets a timer for it. If a run is in flight, its end
// calls rerun again. c.mu is held.
func (c *Check) rerun() {
	now := time.Now()
	switch {
	case c.engine.Closed() || !c.isOutdated() || c.rerunTimer != nil:
	case c.isOverdue():
		c.stillOverdue(now)
	case c.inFlight != nil:
	case now.Sub(c.rerunAt) >= rerunDelay:
		c.rerunAt, c.inFlight = now, c.start(now)
	default:
		c.rerunTimer = time.AfterFunc(c.rerunAt.Add(rerunDelay).Sub(now), c.rerunLate)
	}
}

func (c *Check) rerunLate() {
	c.mu.Lock()
	c.rerunTimer = nil
	c.rerun()
	c.mu.Unlock()
	c.engine.flushSoon()
}

func (c *Check) stopRerun() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rerunTimer != nil {
		c.rerunTimer.Stop()
	}
}
