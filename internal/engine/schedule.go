package engine

import (
	"time"

	"github.com/echo-probes/echohealth/internal/duration"
)

// Schedule runs the checks in rounds, without a caller. The first round begins after delay, and each further
// round one interval after the round before, more or less 10 %. A round runs every check whose result would
// expire before its run in the next round has ended. Then it calls afterRound, which must return soon.
// Between two rounds there is a timer and no goroutine. Close ends the schedule. Schedule must be called at
// most once.
func (e *Engine) Schedule(delay, interval time.Duration, afterRound func()) {
	e.scheduleMu.Lock()
	defer e.scheduleMu.Unlock()
	e.schedule = time.AfterFunc(delay, func() { e.round(interval, afterRound) })
}

func (e *Engine) round(interval time.Duration, afterRound func()) {
	if !e.arrange(duration.Jittered(interval)) {
		return
	}
	now := time.Now()
	for _, check := range e.checks {
		check.renew(now, interval+interval/10+check.Timeout)
	}
	afterRound()
	e.queue.flush()
}

// arrange sets the timer for the next round. It returns false if the Engine is closed.
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
