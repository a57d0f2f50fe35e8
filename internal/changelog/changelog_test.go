package changelog

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// journal is a Log and its records, one line for each.
type journal struct {
	*Log
	lines []string
	at    []time.Time
}

func newJournal() *journal {
	j := &journal{}
	j.Log = New(func(level slog.Level, message string, attrs ...slog.Attr) {
		var b bytes.Buffer
		handler := slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}})
		record := slog.NewRecord(time.Time{}, level, message, 0)
		record.AddAttrs(attrs...)
		_ = handler.Handle(context.Background(), record)
		j.lines = append(j.lines, strings.TrimSpace(strings.TrimPrefix(b.String(), "level=")))
		j.at = append(j.at, time.Now())
	}, func(call func()) { call() })
	return j
}

// change adds a change to a state, which is "ok", or "error" or "warning" followed by a reason.
func (j *journal) change(subject, state string) {
	level := slog.LevelInfo
	switch {
	case strings.HasPrefix(state, "debug"):
		level = slog.LevelDebug
	case strings.HasPrefix(state, "error"):
		level = slog.LevelError
	case strings.HasPrefix(state, "warning"):
		level = slog.LevelWarn
	}
	j.Add(Change{
		Subject: subject, State: strings.ReplaceAll(state, " ", "_"), Bad: state != "ok", At: time.Now(), Level: level,
		Message: "changed", Summary: "flapping", Attrs: []slog.Attr{slog.String("check", subject), slog.String("to", state)},
	})
}

// written returns the records, after those that a timer writes at this moment.
func (j *journal) written() []string {
	synctest.Wait()
	return j.lines
}

func (j *journal) text() string { return strings.Join(j.written(), "\n") }

func TestSecondOutageIsWrittenImmediately(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, second := range []string{"error connection_refused", "error timeout", "warning slow"} {
			j := newJournal()
			j.change("redis", "error connection_refused")
			time.Sleep(10 * time.Second)
			j.change("redis", "ok")
			time.Sleep(10 * time.Second)
			j.change("redis", second)
			assert.Len(t, j.written(), 3)
			assert.Equal(t, time.Now(), j.at[2])
			assert.Contains(t, j.written()[2], second)
			time.Sleep(10 * time.Second)
			j.change("redis", "ok")
			assert.Len(t, j.written(), 4)
		}
	})
}

func TestRepeatedChangesAreSummarized(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJournal()
		for range 5 {
			j.change("redis", "error timeout")
			time.Sleep(300 * time.Millisecond)
			j.change("redis", "ok")
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		assert.Equal(t, []string{
			`ERROR msg=changed check=redis to="error timeout"`,
			`INFO msg=changed check=redis to=ok`,
			`ERROR msg=changed check=redis to="error timeout"`,
			`INFO msg=changed check=redis to=ok`,
			`ERROR msg=changed check=redis to="error timeout"`,
			`ERROR msg=flapping changes=4 in=1s bad_for=800ms states.ok=2 states.error_timeout=2 check=redis to="error timeout"`,
			`INFO msg=changed check=redis to=ok late=1.9s`,
		}, j.written())
	})
}

// A new reason or a worse status is logged immediately, after a summary of the changes that were held.
func TestNewStateIsWrittenImmediately(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJournal()
		for range 5 {
			j.change("redis", "warning slow")
			time.Sleep(100*time.Millisecond + 325*time.Microsecond)
			j.change("redis", "ok")
			time.Sleep(100*time.Millisecond + 325*time.Microsecond)
		}
		before := len(j.written())
		j.change("redis", "error timeout")
		assert.Equal(t, []string{
			`WARN msg=flapping changes=5 in=602ms bad_for=301ms states.ok=3 states.warning_slow=2 check=redis to=ok`,
			`ERROR msg=changed check=redis to="error timeout"`,
		}, j.written()[before:])
		before = len(j.written())
		time.Sleep(time.Hour)
		assert.Len(t, j.written(), before, "nothing is written twice")
	})
}

// The subject changes once a second for an hour, and one of its reasons occurs only once. No change may be
// missing from the records, and no record may be late.
func TestAnHourOfFlapping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, every := range []time.Duration{time.Second, 100 * time.Millisecond, 7 * time.Second, 31 * time.Second, 61 * time.Second} {
			j := newJournal()
			changed := map[string]int{}
			began, n := time.Now(), 0
			for ; time.Since(began) < time.Hour; n++ {
				state := "ok"
				if n%2 == 0 {
					state = fmt.Sprintf("error reason%d", rand.N(5))
				}
				if n == int(time.Hour/every)/4*2 {
					state = "error rare"
				}
				written := len(j.written())
				j.change("redis", state)
				changed[state]++
				if changed[state] == 1 {
					assert.Greater(t, len(j.written()), written, "the first %s at once", state)
				}
				time.Sleep(every)
			}
			j.Close()
			assert.LessOrEqual(t, len(j.written()), 12*len(changed)+70, "every %s", every)
			total := 0
			for _, line := range j.written() {
				var changes int
				_, after, _ := strings.Cut(line, "msg=")
				if _, err := fmt.Sscanf(after, "flapping changes=%d", &changes); err != nil {
					changes = 1
				}
				total += changes
			}
			assert.Equal(t, n, total, "every change is in a record")
			for i, at := range j.at[1:] {
				if every < maxQuiet {
					assert.LessOrEqual(t, at.Sub(j.at[i]), maxQuiet+every)
				}
			}
			for state := range changed {
				assert.Contains(t, j.text(), state)
			}
			t.Logf("a change every %s for an hour: %d changes, %d states, %d records", every, n, len(changed), len(j.written()))
		}
	})
}

// The changes of a subject that changes rarely are logged immediately.
func TestChangesAfterAQuietTimeAreLoggedImmediately(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJournal()
		for range 50 {
			j.change("redis", "error timeout")
			time.Sleep(50 * time.Millisecond)
			j.change("redis", "ok")
			time.Sleep(50 * time.Millisecond)
		}
		for range 20 {
			time.Sleep(calm)
			written := len(j.written())
			j.change("redis", "error timeout")
			time.Sleep(50 * time.Millisecond)
			j.change("redis", "ok")
			assert.Len(t, j.written(), written+2)
		}
	})
}

// The second change is added to a summary, because the quiet time is not over.
func TestChangesBeforeTheQuietTimeEndsAreHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJournal()
		for range 50 {
			j.change("redis", "error timeout")
			time.Sleep(50 * time.Millisecond)
			j.change("redis", "ok")
			time.Sleep(50 * time.Millisecond)
		}
		time.Sleep(calm - 50*time.Millisecond - 1)
		written := len(j.written())
		j.change("redis", "error timeout")
		j.change("redis", "ok")
		assert.Len(t, j.written(), written+1)
	})
}

// A summary is logged before the next change, even if enqueue calls its function late.
func TestALateSummaryKeepsTheOrder(t *testing.T) {
	for _, late := range []time.Duration{2 * firstQuiet, calm} {
		synctest.Test(t, func(t *testing.T) {
			j := newJournal()
			var queue []func()
			j.enqueue = func(call func()) { queue = append(queue, call) }
			for range 3 {
				j.change("redis", "error timeout")
				j.change("redis", "ok")
			}
			time.Sleep(late)
			j.change("redis", "error timeout")
			assert.Len(t, j.written(), 5)
			for _, call := range queue {
				call()
			}
			assert.Len(t, j.written(), 6)
			assert.Contains(t, j.written()[5], "changes=2")
		})
	}
}

// A change can be older than the last record, because a summary has the time at which it was logged.
func TestOldChangeDoesNotShortenTheQuietTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJournal()
		for range 3 {
			j.change("redis", "error timeout")
			j.change("redis", "ok")
		}
		j.change("redis", "error timeout")
		time.Sleep(firstQuiet)
		assert.Len(t, j.written(), 6)
		j.Add(Change{Subject: "redis", State: "ok", At: time.Now().Add(-100 * time.Millisecond)})
		j.change("redis", "error timeout")
		time.Sleep(50 * time.Millisecond)
		j.change("redis", "ok")
		time.Sleep(time.Minute)
		assert.Contains(t, j.written()[6], " bad_for=50ms ")
	})
}

func TestASummaryHasTheWorstLevel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJournal()
		for range 2 {
			j.change("redis", "debug on")
			j.change("redis", "debug off")
		}
		time.Sleep(time.Minute)
		assert.Equal(t, `DEBUG msg=changed check=redis to="debug off" late=1s`, j.written()[3])
	})
}

func TestSubjectsAreIndependent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJournal()
		for i := range 100 {
			j.change(fmt.Sprint("check", i), "error timeout")
		}
		assert.Len(t, j.written(), 100)
	})
}

func TestCloseWritesHeldChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJournal()
		for _, subject := range []string{"b", "a"} {
			for range 2 {
				j.change(subject, "error timeout")
				j.change(subject, "ok")
			}
			j.change(subject, "error timeout")
			j.change(subject, "ok")
		}
		before := len(j.written())
		time.Sleep(100 * time.Millisecond)
		j.Close()
		assert.Equal(t, []string{
			`INFO msg=changed check=a to=ok late=100ms`,
			`INFO msg=changed check=b to=ok late=100ms`,
		}, j.written()[before:])
		j.change("a", "error timeout")
		assert.Equal(t, `ERROR msg=changed check=a to="error timeout"`, j.written()[before+2], "the last change is logged immediately")
		time.Sleep(time.Hour)
		assert.Len(t, j.written(), before+3)
	})
}

// The first error after half an hour of warnings is logged immediately, although the same error had occurred
// before.
func TestWorseStatusIsWrittenImmediately(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, trouble := range []string{"warning slow", "error connection_refused"} {
			j := newJournal()
			j.change("redis", "error timeout")
			time.Sleep(time.Second)
			for range 1000 {
				j.change("redis", "ok")
				time.Sleep(time.Second)
				j.change("redis", trouble)
				time.Sleep(time.Second)
			}
			before := len(j.written())
			j.change("redis", "error timeout")
			lines := j.written()
			assert.Equal(t, `ERROR msg=changed check=redis to="error timeout"`, lines[len(lines)-1])
			assert.LessOrEqual(t, len(lines), before+2, "with a summary of the held changes")
		}
	})
}

// The log must not keep all states of a probe that invents new reasons.
func TestStatesAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJournal()
		for i := range 10000 {
			j.change("redis", fmt.Sprint("error reason", i))
			time.Sleep(time.Second)
		}
		assert.LessOrEqual(t, len(j.subjects["redis"].seen), 601)
	})
}
