package echohealth

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/echo-probes/echohealth/probes"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// stoppable is a loop whose calls of judge the test makes instead of a timer, as late as in a process that is
// stopped.
type stoppable struct {
	*loop
	beat *probes.Heartbeat
}

func newStoppable(t *testing.T, limit time.Duration) *stoppable {
	h, err := New(WithoutSystemMetrics(), WithLogger(slog.New(slog.DiscardHandler)))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, h.Close()) })
	beat := probes.NewHeartbeat(limit)
	l := &loop{heartbeat: beat, monitor: h.monitor, notifier: h.notifier, since: time.Now()}
	l.start()
	require.True(t, l.timer.Stop())
	return &stoppable{l, beat}
}

// run lets the time d pass and calls judge whenever it is due.
func (s *stoppable) run(d time.Duration) {
	for end := time.Now().Add(d); ; {
		if s.due.After(end) {
			time.Sleep(time.Until(end))
			return
		}
		time.Sleep(time.Until(s.due))
		s.judged()
	}
}

// stop lets the time d pass as in a stopped process. It calls judge only at the end, if it is due.
func (s *stoppable) stop(d time.Duration) {
	time.Sleep(d)
	if !s.due.After(time.Now()) {
		s.judged()
	}
}

func (s *stoppable) judged() { s.due = time.Now().Add(s.judge(time.Now())) }

// The time during which the process was stopped does not count as time without a beat.
func TestLivenessOfAStoppedProcess(t *testing.T) {
	const s = time.Second
	tests := []struct {
		name  string
		act   func(*stoppable)
		stuck bool
	}{
		{"never stopped, in time", func(l *stoppable) { l.run(10 * s) }, false},
		{"never stopped, late", func(l *stoppable) { l.run(10*s + s/2) }, true},
		{"stopped for long, and then at work", func(l *stoppable) { l.run(s); l.stop(time.Hour); l.run(8 * s) }, false},
		{"stopped for long, and then it hangs", func(l *stoppable) { l.run(s); l.stop(time.Hour); l.run(11 * s) }, true},
		{"stopped within the maximum, and then at work", func(l *stoppable) { l.run(2 * s); l.stop(7 * s); l.run(6 * s) }, false},
		{"stopped within the maximum, and then it hangs", func(l *stoppable) { l.run(2 * s); l.stop(7 * s); l.run(9 * s) }, true},
		{"stopped at the end of the maximum", func(l *stoppable) { l.run(9 * s); l.stop(9 * s) }, false},
		{"stopped twice", func(l *stoppable) { l.run(s); l.stop(6 * s); l.run(s); l.stop(60 * s); l.run(5 * s) }, false},
		{"stopped just after a beat", func(l *stoppable) { l.run(5 * s); l.beat.Beat(); l.stop(30 * s); l.run(8 * s) }, false},
		{"a beat just after the stop", func(l *stoppable) { l.stop(30 * s); l.beat.Beat(); l.run(9 * s) }, false},
		{"a beat just after the stop, and then it hangs", func(l *stoppable) { l.stop(30 * s); l.beat.Beat(); l.run(11 * s) }, true},
		{"stopped all the time, and it hangs", func(l *stoppable) {
			for range 60 {
				l.run(s / 10)
				l.stop(s + s/5)
			}
		}, true},
		{"it hangs already", func(l *stoppable) { l.run(11 * s); l.stop(time.Hour) }, true},
		{"it has hung, and beats", func(l *stoppable) { l.run(11 * s); l.beat.Beat(); l.run(s) }, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newStoppable(t, 10*s)
				test.act(l)
				assert.Equal(t, test.stuck, l.stuck.Load())
			})
		})
	}
}
