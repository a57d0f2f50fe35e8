package engine

import (
	"time"

	"github.com/echo-probes/echohealth/internal/duration"
)

// Schedule looks by itself: after delay, and then each interval, 10 % more or less. It runs every check
// whose result would not serve until the runs of the next look have ended, and calls also, which must
// return soon. A timer, and no goroutine, waits for the next look. Close ends it. Call it once.
func (e *Engine) Schedule(delay, interval time.Duration, also func()) {
	e.scheduleMu.Lock()
	defer e.scheduleMu.Unlock()
	e.schedule = time.AfterFunc(delay, func() { e.look(interval, also) })
}

func (e *Engine) look(interval time.Duration, also func()) {
	if !e.arrange(duration.Jittered(interval)) {
		return
	}
	now := time.Now()
	for _, check := range e.checks {
		check.renew(now, interval+interval/10+check.Timeout)
	}
	also()
	e.queue.flush()
}

// arrange sets the timer for the next look, unless the Engine is closed.
func (e *Engine) arrange(next time.Duration) bool {
	e.scheduleMu.Lock()
	defer e.scheduleMu.Unlock()
	if e.Closed() {
		return false
	}
	e.schedule.Reset(next)
	return true
}

func (e *Engine) stopSchedule() {
	e.scheduleMu.Lock()
	defer e.scheduleMu.Unlock()
	if e.schedule != nil {
		e.schedule.Stop()
	}
}
