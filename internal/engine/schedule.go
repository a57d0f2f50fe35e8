package engine

import (
	"time"

	"github.com/echo-probes/echohealth/internal/duration"
)

// Schedule starts looks at an interval: the first after delay, the next after each interval, 10 % more or
// less. A look runs every check whose result would not stay fresh until the next look's runs have ended. It
// also calls also, which must return soon. Between two looks there is a timer and no goroutine. Close ends
// it. Call it once.
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
