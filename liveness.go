package echohealth

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/echo-probes/echohealth/probes"
)

// WithLiveness makes /live/ answer 503 while a background loop of the process hangs. A loop hangs if it has
// not called the Beat of its heartbeat for longer than the heartbeat's maximum. Without this option /live/ is
// always 200.
//
// Kubernetes restarts a service whose liveness probe fails. A restart does not repair a dependency. So only
// heartbeats are accepted, and a loop that waits for a dependency must call Beat while it waits. The maximum
// must be longer than the longest round of the loop.
//
// While the service starts, drains or is closed, /live/ is always 200. The first Beat is due one maximum
// after New or, with WithStartupGate, one maximum after MarkStarted. The time during which the process itself
// was stopped, for example by SIGSTOP, does not count.
//
// Each change is logged. The record names the check whose probe is the heartbeat, or else the heartbeat's
// number, such as "heartbeat 2". Repeated use is additive. No heartbeat, a nil heartbeat, a heartbeat that is
// given twice and one with a maximum under 1 ms are errors.
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

// liveness watches the loops of WithLiveness.
type liveness struct{ loops []*loop }

// loop watches one loop of the process by its heartbeat.
type loop struct {
	name      string
	heartbeat heartbeat
	monitor   *monitor
	notifier  *notifier
	stuck     atomic.Bool

	mu       sync.Mutex // guards the fields below
	timer    *time.Timer
	step     time.Duration // the longest time between two calls of look
	due      time.Time     // when timer should fire
	deadline time.Time     // when the loop counts as hanging, unless it beats before
	since    time.Time     // when stuck last changed, or else the time of New
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

// stuck reports whether a loop hangs. It also reads the heartbeat, because loop.stuck stays true after a beat
// until the next call of look.
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
	// stopTolerance is how late a timer must fire to show that the process, with its loops, was stopped.
	stopTolerance = 100 * time.Millisecond

	// minStep is the shortest step. A step is a tenth of the heartbeat's maximum, but not less than minStep. It
	// must be short because a late timer shows a stop of the process only from the time on when the timer was
	// due. The part of the stop before that, up to one step, is wrongly counted as time that the loop took.
	minStep = time.Second

	// recoveryPoll is the time between two calls of look while a loop hangs, so that its recovery is logged
	// soon.
	recoveryPoll = time.Second
)

// look judges the loop and sets the timer for its next call.
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

// judge updates whether the loop hangs, and returns the time until the next call of look. l.mu is held.
func (l *loop) judge(now time.Time) time.Duration {
	l.postpone(now)
	switch left := l.deadline.Sub(now); {
	case left >= 0:
		l.change(false, now)
		return max(min(left, l.step), time.Millisecond)
	case l.monitor.phase() == running: // in any other phase the loop may not run
		l.change(true, now)
	}
	return recoveryPoll
}

// postpone updates the deadline. The deadline is one maximum after the last beat, or after the start of the
// service if that is later. If the process was stopped since the last call, postpone adds the time of the
// stop, but the deadline is at most one maximum from now. Repeated stops can't hide a loop that hangs,
// because each stop adds less time than has passed since the last call. l.mu is held.
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

// change stores whether the loop hangs, and reports it if that has changed. l.mu is held.
func (l *loop) change(stuck bool, now time.Time) {
	if l.stuck.Swap(stuck) == stuck {
		return
	}
	lasted := now.Sub(l.since)
	l.since = now
	l.monitor.engine.Enqueue(func() { l.notifier.reportLoop(l.name, stuck, now, lasted) })
}
