package engine

import (
	"time"

	"github.com/echo-probes/echohealth/internal/duration"
)

// Schedule runs the checks without a caller: first after delay, then after each interval, which varies by 10
// %. Each time it runs every check whose result would not stay fresh until the runs of the next time have
// ended, and then calls also. also must return soon. Between two times Schedule has a timer and no goroutine.
// Close ends the schedule. Schedule must be called at most once.
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

// arrange sets the timer for the next call of look. It returns false if the Engine is closed.
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
