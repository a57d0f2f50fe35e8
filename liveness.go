package echohealth

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/echo-probes/echohealth/probes"
)

// WithLiveness makes /live/ answer 503 while a loop of the process itself hangs: while one of these
// heartbeats has not beaten for longer than its maximum. Without this option /live/ is always 200.
//
// A failing liveness probe restarts the service. So only a Heartbeat is accepted, and no dependency can
// cause a restart: a loop that waits for a broker must call Beat while it waits. The maximum must be longer
// than the longest round of the loop.
//
// While the service starts, drains or is closed, /live/ is 200, whatever the heartbeats say. A loop has the
// whole maximum for its first beat after New, and after MarkStarted with WithStartupGate. The time for which
// the process itself was stopped does not count.
//
// The log has each change, with the name of the check whose probe the heartbeat is too, or else its place
// among the heartbeats. Repeated use is additive. No heartbeat, a nil heartbeat, a heartbeat that is given
// twice and one with a maximum under 1 ms are errors.
func WithLiveness(heartbeats ...*probes.Heartbeat) Option {
	heartbeats = slices.Clone(heartbeats)
	return func(c *config) error {
		if len(heartbeats) == 0 {
			return fmt.Errorf("WithLiveness(): there must be at least one heartbeat")
		}
		for i, h := range heartbeats {
			call := fmt.Sprintf("WithLiveness: heartbeat %d", i+1)
			if h == nil {
				return fmt.Errorf("%s must not be nil", call)
			}
			if slices.Contains(c.heartbeats, heartbeat(h)) {
				return fmt.Errorf("%s must not be given twice", call)
			}
			if err := h.Validate(); err != nil {
				return fmt.Errorf("%s: %w", call, err)
			}
			c.heartbeats = append(c.heartbeats, h)
		}
		c.addFeature(Live, func(m *monitor, _ *router, n *notifier) any {
			l := newLiveness(c, m, n)
			m.stuck, m.unwatch = l.stuck, append(m.unwatch, l.stop)
			return l
		})
		return nil
	}
}

// liveness watches loops of the process.
type liveness struct{ loops []*loop }

// loop is a loop of the process, which beats.
type loop struct {
	name      string
	heartbeat heartbeat
	monitor   *monitor
	notifier  *notifier
	stuck     atomic.Bool

	mu       sync.Mutex // guards the fields below
	timer    *time.Timer
	step     time.Duration // at most so long between two looks
	due      time.Time     // when the timer was to fire
	deadline time.Time     // when the loop hangs, unless it beats
	since    time.Time     // since when it has been alive or stuck
}

func newLiveness(c *config, m *monitor, n *notifier) *liveness {
	l := &liveness{}
	for i, h := range c.heartbeats {
		name := fmt.Sprintf("heartbeat %d", i+1)
		for _, check := range c.checks {
			if check.probe == probes.Probe(h) {
				name = check.name
			}
		}
		loop := &loop{name: name, heartbeat: h, monitor: m, notifier: n, since: time.Now()}
		loop.start()
		l.loops = append(l.loops, loop)
	}
	return l
}

// stuck reports whether a loop hangs. One that has beaten since its timer fired last does not.
func (l *liveness) stuck() bool {
	return slices.ContainsFunc(l.loops, func(l *loop) bool {
		return l.stuck.Load() && time.Now().After(l.heartbeat.Deadline(time.Time{}))
	})
}

// stop stops the timers. It does not wait for a running call of look.
func (l *liveness) stop() {
	for _, loop := range l.loops {
		loop.mu.Lock()
		loop.timer.Stop()
		loop.mu.Unlock()
	}
}

func (l *loop) start() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deadline = l.heartbeat.Deadline(l.since)
	limit := l.deadline.Sub(l.since)
	l.step = max(limit/10, minStep)
	wait := max(startDelay, min(limit, l.step))
	l.due = l.since.Add(wait)
	l.timer = time.AfterFunc(wait, l.look)
}

const (
	// stopTolerance is how late a timer must be to show that the process was stopped, and its loops too.
	stopTolerance = 100 * time.Millisecond

	// minStep is the shortest step. A step is a tenth of the maximum, because a timer shows only the stop of
	// the process that it fires in or after: what is left of the step before it is not seen.
	minStep = time.Second

	// recoveryPoll is how often a loop that hangs is looked at, so that the log has the time of its recovery.
	recoveryPoll = time.Second
)

// look is called in each step.
func (l *loop) look() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.monitor.engine.Closed() {
		return
	}
	now := time.Now()
	next := l.judge(now)
	l.due = now.Add(next)
	l.timer.Reset(next)
}

// judge returns the time until the next call of look. l.mu is held.
func (l *loop) judge(now time.Time) time.Duration {
	l.postpone(now)
	switch left := l.deadline.Sub(now); {
	case left >= 0:
		l.change(false, now)
		return max(min(left, l.step), time.Millisecond)
	case l.monitor.phase() == running: // else it may not run yet, or not any more
		l.change(true, now)
	}
	return recoveryPoll
}

// postpone moves the deadline after each beat and after the start of the service, and then by the time for
// which the process was stopped. After a stop a loop needs its maximum at most. A process that is stopped
// again and again does not hide a loop that hangs, because each stop counts for less than the time that went
// by. l.mu is held.
func (l *loop) postpone(now time.Time) {
	if due := l.heartbeat.Deadline(l.monitor.startedAt()); due.After(l.deadline) {
		l.deadline = due
	}
	if stopped := now.Sub(l.due); stopped >= stopTolerance {
		l.deadline = l.deadline.Add(stopped)
		if whole := l.heartbeat.Deadline(now); l.deadline.After(whole) {
			l.deadline = whole
		}
	}
}

// change reports that the loop hangs, or that it goes on, unless it did so before. l.mu is held.
func (l *loop) change(stuck bool, now time.Time) {
	if l.stuck.Swap(stuck) == stuck {
		return
	}
	lasted := now.Sub(l.since)
	l.since = now
	l.monitor.engine.Enqueue(func() { l.notifier.reportLoop(l.name, stuck, now, lasted) })
}
