package engine

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/echo-probes/echohealth/probes"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type noListener struct{}

func (noListener) Changed(Change)        {}
func (noListener) Invalid(string, error) {}

// heard is a Listener that records the status and reason of each change.
type heard struct{ words []string }

func (h *heard) Changed(c Change)    { h.words = append(h.words, string(c.To)+" "+string(c.Reason)) }
func (*heard) Invalid(string, error) {}

// switchable is a probe whose state the test sets.
type switchable struct {
	runs  atomic.Int64
	down  atomic.Bool
	takes atomic.Int64 // nanoseconds
}

func (s *switchable) Check(ctx context.Context) probes.Result {
	s.runs.Add(1)
	select {
	case <-time.After(time.Duration(s.takes.Load())):
	case <-ctx.Done():
		return probes.Result{Status: probes.Error, Err: ctx.Err()}
	}
	if s.down.Load() {
		return probes.Result{Status: probes.Error, Err: syscall.ECONNREFUSED}
	}
	return probes.Result{Status: probes.OK}
}

// hanging is a probe whose first run succeeds. Each later run hangs until release is closed.
type hanging struct {
	runs    atomic.Int64
	release chan struct{}
}

func newHanging() *hanging { return &hanging{release: make(chan struct{})} }

func (h *hanging) Check(context.Context) probes.Result {
	if h.runs.Add(1) > 1 {
		<-h.release
	}
	return probes.Result{Status: probes.OK}
}

const (
	interval = 10 * time.Second
	timeout  = 800 * time.Millisecond
)

func scheduled(t *testing.T, config Config) *Engine {
	t.Helper()
	config.Name, config.Timeout = "a", timeout
	if config.Freshness == 0 {
		config.Freshness = time.Second
	}
	e := New([]Config{config}, &heard{})
	e.Schedule(0, interval, func() {})
	t.Cleanup(func() { e.Close(time.Minute) })
	return e
}

func (e *Engine) state() string {
	result := e.Collect(context.Background(), e.checks).Results[0]
	return strings.TrimSpace(string(result.Status) + " " + string(result.Reason))
}

// Collect runs the checks without a fresh result, with a schedule as without. The schedule only adds runs at
// times when Collect is not called.
func TestAScheduleOnlyAddsRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		probe := &switchable{}
		e := scheduled(t, Config{Probe: probe})
		synctest.Wait()
		assert.EqualValues(t, 1, probe.runs.Load(), "immediately")
		time.Sleep(100 * interval)
		assert.InDelta(t, 101, probe.runs.Load(), 11, "within the jitter of 10 %%")

		probe.down.Store(true)
		time.Sleep(interval + interval/10)
		synctest.Wait()
		assert.Equal(t, []string{"ok ", "error connection_refused"}, e.listener.(*heard).words, "though there was no look")

		probe.down.Store(false)
		time.Sleep(time.Second)
		assert.Equal(t, "ok", e.state(), "a look does not wait for the schedule")
		runs := probe.runs.Load()
		for range 100 {
			assert.Equal(t, "ok", e.state())
			time.Sleep(time.Second)
		}
		assert.GreaterOrEqual(t, probe.runs.Load(), runs+99)
	})
}

// If the freshness is longer than the interval, Collect never waits, because the schedule renews each result
// before it expires.
func TestALongFreshnessNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		probe := &switchable{}
		probe.takes.Store(int64(timeout - time.Millisecond))
		for _, freshness := range []time.Duration{interval + interval/10 + timeout, 2 * interval, 25 * time.Second, 3 * interval} {
			e := scheduled(t, Config{Probe: probe, Freshness: freshness})
			time.Sleep(time.Second)
			for range 10000 {
				began := time.Now()
				require.Equal(t, "ok", e.state())
				require.Zero(t, time.Since(began), "with a freshness of %s", freshness)
				time.Sleep(73 * time.Millisecond)
			}
		}
	})
}

func TestScheduleRespectsTheFreshness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		probe := &switchable{}
		scheduled(t, Config{Probe: probe, Freshness: time.Hour})
		time.Sleep(24 * time.Hour)
		assert.InDelta(t, 24, probe.runs.Load(), 2)
	})
}

// The schedule does not renew a result that is fresh until the next scheduled runs have ended.
func TestScheduleRunsNothingTooSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		probe := &switchable{}
		var looks atomic.Int64
		const freshness = 2*(interval+interval/10) + timeout + 1
		e := New([]Config{{Name: "a", Probe: probe, Timeout: timeout, Freshness: freshness}}, noListener{})
		e.Schedule(0, interval, func() { looks.Add(1) })
		time.Sleep(1000 * interval)
		e.Close(time.Minute)
		assert.Equal(t, (looks.Load()+1)/2, probe.runs.Load(), "at every second look")
	})
}

func TestScheduleCallsItsFunction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var looks atomic.Int64
		e := New(nil, noListener{})
		e.Schedule(time.Second, interval, func() { looks.Add(1) })
		time.Sleep(time.Second - time.Nanosecond)
		assert.Zero(t, looks.Load())
		time.Sleep(100 * interval)
		assert.InDelta(t, 101, looks.Load(), 11)
		e.Close(time.Minute)
		before := looks.Load()
		time.Sleep(time.Hour)
		assert.Equal(t, before, looks.Load())
	})
}

// Collect also runs a check that is not shown, but does not wait for it.
func TestCollectRunsAllChecksAndWaitsForTheShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shown, other := &switchable{}, &switchable{}
		other.takes.Store(int64(500 * time.Millisecond))
		config := Config{Name: "a", Probe: shown, Timeout: timeout, Freshness: time.Second}
		config2 := config
		config2.Name, config2.Probe = "b", other
		listener := &heard{}
		e := New([]Config{config, config2}, listener)
		defer e.Close(time.Minute)
		look := func() (Collection, time.Duration) {
			began := time.Now()
			c := e.Collect(t.Context(), e.checks[:1])
			return c, time.Since(began)
		}
		c, took := look()
		assert.Len(t, c.Results, 1)
		assert.Zero(t, took)
		time.Sleep(500 * time.Millisecond)
		synctest.Wait()
		assert.EqualValues(t, 1, other.runs.Load())
		assert.NotNil(t, e.checks[1].Last())

		time.Sleep(500 * time.Millisecond)
		c, _ = look()
		assert.EqualValues(t, 2, shown.runs.Load())
		assert.EqualValues(t, 1, other.runs.Load(), "it is fresh")
		assert.Equal(t, 500*time.Millisecond, time.Until(c.Due), "when the other check is due")
		assert.Equal(t, time.Second, time.Until(c.Until))

		other.down.Store(true)
		time.Sleep(500 * time.Millisecond)
		c, _ = look()
		synctest.Wait()
		assert.EqualValues(t, 2, shown.runs.Load(), "it is fresh")
		assert.EqualValues(t, 2, other.runs.Load())
		assert.Equal(t, 500*time.Millisecond, time.Until(c.Due))
		time.Sleep(timeout)
		synctest.Wait()
		assert.Contains(t, listener.words, "error connection_refused")
	})
}

// The process was stopped for 4 s during a run. The dependency had no time to answer and gets it afterwards.
func TestAStoppedProcessIsNoTimeout(t *testing.T) {
	// stop has the same effect as stopping the process for d during a run: the run's timer fires too late.
	stop := func(c *Check, d time.Duration) *run {
		c.mu.Lock()
		defer c.mu.Unlock()
		r := c.inFlight
		r.began, r.deadline = r.began.Add(-d), r.deadline.Add(-d)
		return r
	}
	start := func(t *testing.T, takes time.Duration) (*Engine, *switchable, *heard) {
		probe, listener := &switchable{}, &heard{}
		probe.takes.Store(int64(takes))
		e := New([]Config{{Name: "a", Probe: probe, Timeout: timeout, Freshness: time.Second, SlowAfter: 700 * time.Millisecond}}, listener)
		t.Cleanup(func() { e.Close(time.Minute) })
		go e.state()
		synctest.Wait()
		return e, probe, listener
	}
	t.Run("the timer comes first", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e, _, listener := start(t, 500*time.Millisecond)
			e.checks[0].expire(stop(e.checks[0], 4*time.Second))
			assert.Equal(t, "ok", e.state())
			synctest.Wait()
			assert.Equal(t, []string{"ok "}, listener.words)
		})
	})
	t.Run("the answer comes first", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e, probe, listener := start(t, 500*time.Millisecond)
			stop(e.checks[0], 4*time.Second)
			assert.Equal(t, "ok", e.state())
			synctest.Wait()
			assert.EqualValues(t, 1, probe.runs.Load())
			assert.Equal(t, []string{"ok "}, listener.words)
		})
	})
	t.Run("the dependency hangs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e, _, _ := start(t, time.Hour)
			began := time.Now()
			e.checks[0].expire(stop(e.checks[0], 4*time.Second))
			assert.Equal(t, "error timeout", e.state())
			assert.Equal(t, timeout, time.Since(began), "no more than the timeout")
		})
	})
	t.Run("the dependency is too slow all the same", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e, _, listener := start(t, 2*timeout)
			e.checks[0].expire(stop(e.checks[0], 4*time.Second))
			time.Sleep(2 * timeout)
			synctest.Wait()
			assert.Equal(t, []string{"error timeout"}, listener.words, "it gets its timeout once more, and is late")
		})
	})
	t.Run("the timer is merely a bit late", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e, _, _ := start(t, time.Hour)
			began := time.Now()
			e.checks[0].expire(stop(e.checks[0], timeout+pauseTolerance-1))
			assert.Equal(t, "error timeout", e.state())
			assert.Zero(t, time.Since(began))
		})
	})
	t.Run("the answer comes when the timer is a bit late", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			for _, down := range []bool{false, true} {
				e, probe, listener := start(t, 500*time.Millisecond)
				probe.down.Store(down)
				stop(e.checks[0], 350*time.Millisecond) // the timer is 50 ms late
				want := "error timeout"
				if down {
					want = "error connection_refused"
				}
				assert.Equal(t, want, e.state())
				synctest.Wait()
				assert.Equal(t, []string{want}, listener.words)
				assert.Equal(t, 1, e.checks[0].failures)
				assert.EqualValues(t, 1, probe.runs.Load())
			}
		})
	})
	t.Run("a short stop", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e, _, _ := start(t, time.Hour)
			began := time.Now()
			r := stop(e.checks[0], timeout+pauseTolerance)
			e.checks[0].expire(r)
			e.checks[0].expire(r) // too early, so nothing may happen
			assert.Equal(t, "error timeout", e.state())
			assert.Equal(t, pauseTolerance, time.Since(began), "not longer than it lasted")
		})
	})
	t.Run("the probe's own limits went by", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			for _, timerFirst := range []bool{true, false} {
				e, probe, listener := start(t, 300*time.Millisecond)
				probe.down.Store(true)
				r := stop(e.checks[0], 10*time.Second)
				if timerFirst {
					e.checks[0].expire(r)
				}
				go func() {
					time.Sleep(400 * time.Millisecond)
					probe.down.Store(false)
				}()
				assert.Equal(t, "ok", e.state())
				assert.EqualValues(t, 2, probe.runs.Load(), "it is called once more")
				synctest.Wait()
				assert.Equal(t, []string{"ok "}, listener.words)
			}
		})
	})
	t.Run("no answer takes longer than the timeout", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e, probe, _ := start(t, 700*time.Millisecond)
			probe.down.Store(true)
			began := time.Now()
			e.checks[0].expire(stop(e.checks[0], 10*time.Second))
			assert.Equal(t, "error timeout", e.state())
			assert.Equal(t, timeout, time.Since(began))
		})
	})
	t.Run("the second call hangs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e, probe, _ := start(t, 10*time.Millisecond)
			probe.down.Store(true)
			stop(e.checks[0], 10*time.Second)
			go func() {
				time.Sleep(5 * time.Millisecond)
				probe.takes.Store(int64(time.Hour))
			}()
			began := time.Now()
			assert.Equal(t, "error timeout", e.state())
			assert.Equal(t, 10*time.Millisecond+timeout, time.Since(began))
			assert.EqualValues(t, 2, probe.runs.Load())
		})
	})
	t.Run("it is no failure of a check with a threshold", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			probe := &switchable{}
			e := New([]Config{{Name: "a", Probe: probe, Timeout: timeout, Freshness: time.Second, FailureThreshold: 3}}, noListener{})
			defer e.Close(time.Minute)
			assert.Equal(t, "ok", e.state())
			time.Sleep(time.Second)
			probe.takes.Store(int64(time.Hour))
			go e.state()
			synctest.Wait()
			e.checks[0].expire(stop(e.checks[0], 10*time.Second))
			assert.Equal(t, "warning timeout", e.state())
			assert.Equal(t, "warning timeout", e.state(), "one failure, not ten")
		})
	})
	t.Run("the second call", func(t *testing.T) {
		tests := map[string]struct {
			timerFirst bool
			takes      time.Duration
			want       string
			answered   time.Duration
		}{
			"is slow":                      {false, 750 * time.Millisecond, "warning slow", 1250 * time.Millisecond},
			"is slow, the timer was first": {true, 750 * time.Millisecond, "error timeout", timeout},
			"hangs":                        {false, time.Hour, "error timeout", 500*time.Millisecond + timeout},
		}
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					e, probe, _ := start(t, 500*time.Millisecond)
					probe.down.Store(true)
					if r := stop(e.checks[0], 10*time.Second); test.timerFirst {
						e.checks[0].expire(r)
					}
					probe.takes.Store(int64(test.takes))
					began := time.Now()
					time.Sleep(499 * time.Millisecond)
					go func() {
						time.Sleep(2 * time.Millisecond)
						probe.down.Store(false)
					}()
					assert.Equal(t, test.want, e.state())
					assert.Equal(t, test.answered, time.Since(began))
				})
			})
		}
	})
	t.Run("a stop in each call", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e, probe, _ := start(t, 500*time.Millisecond)
			probe.down.Store(true)
			stop(e.checks[0], 10*time.Second)
			time.Sleep(600 * time.Millisecond)
			stop(e.checks[0], 10*time.Second)
			assert.Equal(t, "error connection_refused", e.state())
			synctest.Wait()
			assert.EqualValues(t, 2, probe.runs.Load(), "it is called only once more")
		})
	})
	t.Run("it is closed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e, probe, _ := start(t, time.Hour)
			stop(e.checks[0], 10*time.Second)
			assert.Empty(t, e.Close(time.Second))
			assert.EqualValues(t, 1, probe.runs.Load())
		})
	})
	t.Run("a failure that lasts", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e, probe, listener := start(t, 10*time.Millisecond)
			probe.down.Store(true)
			stop(e.checks[0], 10*time.Second)
			assert.Equal(t, "error connection_refused", e.state())
			assert.EqualValues(t, 2, probe.runs.Load())
			synctest.Wait()
			assert.Equal(t, []string{"error connection_refused"}, listener.words)
		})
	})
}

func TestSinceAndLastOK(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		probe := &switchable{}
		e := New([]Config{{Name: "a", Probe: probe, Timeout: timeout, Freshness: time.Second}}, noListener{})
		began := time.Now()
		look := func(down bool) *Result {
			probe.down.Store(down)
			result := e.Collect(t.Context(), e.checks).Results[0]
			time.Sleep(time.Second)
			return result
		}
		never := look(true)
		assert.Equal(t, began, never.Since)
		assert.Zero(t, never.LastOK)
		look(false)
		assert.Equal(t, began.Add(2*time.Second), look(false).LastOK)
		down := look(true)
		assert.Equal(t, began.Add(3*time.Second), down.Since)
		assert.Equal(t, began.Add(2*time.Second), down.LastOK)
		again := look(true)
		assert.Equal(t, down.Since, again.Since)
		assert.Equal(t, down.LastOK, again.LastOK)
		e.Close(time.Second)
		for range 2 {
			stale := look(false)
			assert.Equal(t, down.Since, stale.Since, "it was an error before")
			assert.Equal(t, down.LastOK, stale.LastOK)
		}
	})
}

func TestSinceWhenClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := New([]Config{{Name: "a", Probe: &switchable{}, Timeout: timeout, Freshness: time.Second}}, noListener{})
		began := time.Now()
		e.state()
		time.Sleep(time.Minute)
		e.Close(time.Second)
		for range 2 {
			time.Sleep(time.Minute)
			stale := e.Collect(t.Context(), e.checks).Results[0]
			assert.Equal(t, began.Add(time.Minute), stale.Since, "which does not change with each look")
			assert.Equal(t, began, stale.LastOK)
		}
	})
}

// The result for a caller whose context ended must have the Since and LastOK of the check.
func TestSinceOfAnUnfinishedRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		probe := &switchable{}
		e := New([]Config{{Name: "a", Probe: probe, Timeout: timeout, Freshness: time.Second}}, noListener{})
		defer e.Close(time.Minute)
		leave := func() *Result {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			return e.Collect(ctx, e.checks).Results[0]
		}
		began := time.Now()
		e.state()
		time.Sleep(time.Hour)
		probe.takes.Store(int64(500 * time.Millisecond))
		unfinished := leave()
		assert.Equal(t, began, unfinished.LastOK)
		assert.Equal(t, began.Add(time.Hour), unfinished.Since)
		time.Sleep(time.Second)
		probe.down.Store(true)
		time.Sleep(time.Second)
		assert.Equal(t, "error connection_refused", e.state())
		down := e.checks[0].Last()
		time.Sleep(time.Hour)
		unfinished = leave()
		assert.Equal(t, began.Add(time.Hour+500*time.Millisecond), unfinished.LastOK)
		assert.Equal(t, down.Since, unfinished.Since)
		time.Sleep(time.Second)
	})
}

// While a machine is suspended its monotonic clock stands still, but its wall clock does not. The result from
// before must not be used, and Collect must wait for a new one.
func TestResultsExpireWhenTheClockJumps(t *testing.T) {
	now := time.Now()
	assert.True(t, now.Equal(wall(now)))
	assert.Contains(t, now.String(), "m=")
	assert.NotContains(t, wall(now).String(), "m=", "it has no monotonic clock reading")
	synctest.Test(t, func(t *testing.T) {
		probe := &switchable{}
		e := New([]Config{{Name: "a", Probe: probe, Timeout: timeout, Freshness: time.Hour}}, noListener{})
		defer e.Close(time.Minute)
		assert.Equal(t, "ok", e.state())
		probe.down.Store(true)

		jump := time.Now()
		before := wall
		defer func() { wall = before }()
		wall = func(t time.Time) time.Time {
			if t.After(jump) {
				return t.Round(0).Add(24 * time.Hour)
			}
			return t.Round(0)
		}
		time.Sleep(time.Nanosecond)
		assert.Equal(t, "error connection_refused", e.state())

		probe.down.Store(false)
		wall = before // the clock is set back: the age by the monotonic clock is used
		time.Sleep(2 * time.Hour)
		assert.Equal(t, "ok", e.state())
	})
}

func TestOverdueRunIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		probe := &switchable{}
		hang := make(chan struct{})
		deaf := probes.Func(func(context.Context) error { probe.runs.Add(1); <-hang; return nil })
		e := scheduled(t, Config{Probe: deaf})
		time.Sleep(time.Hour)
		assert.EqualValues(t, 1, probe.runs.Load())
		assert.Equal(t, "error timeout", e.state())
		close(hang)
		synctest.Wait()
		time.Sleep(2 * interval)
		assert.Equal(t, "ok", e.state())
	})
}

func TestCloseEndsTheSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		probe := &switchable{}
		e := scheduled(t, Config{Probe: probe})
		time.Sleep(time.Minute)
		assert.Empty(t, e.Close(time.Second))
		assert.False(t, e.schedule.Stop(), "no timer is left")
		runs := probe.runs.Load()
		time.Sleep(time.Hour)
		assert.Equal(t, runs, probe.runs.Load())
		e.round(interval, func() { t.Error("it is closed") })
		synctest.Wait()
		assert.Equal(t, runs, probe.runs.Load())
	})
}

func TestBetweenTwoRunsThereIsNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		scheduled(t, Config{Probe: &switchable{}})
		time.Sleep(interval / 2)
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		assert.NotContains(t, string(stacks), "engine.(*Check)")
	})
}

func TestDamping(t *testing.T) {
	tests := map[string]struct {
		failures, successes int
		found, published    string // one letter for each run: o for OK, w for Warning, e for Error
	}{
		"none":                                  {0, 0, "oeoeeo", "oeoeeo"},
		"three failures make an error":          {3, 1, "oeeoeeeo", "owwowweo"},
		"what never succeeded is an error":      {3, 1, "eeeo", "eeeo"},
		"two successes end an error":            {1, 2, "eoeooo", "eeeeoo"},
		"not before the first result":           {1, 3, "ooo", "ooo"},
		"both":                                  {2, 2, "oeeoeooe", "oweeeeow"},
		"a warning is a success":                {2, 2, "oeewwo", "oweewo"},
		"a success starts the failures anew":    {3, 1, "oeeoee", "owwoww"},
		"an error's failures are not tolerated": {3, 3, "oeeeoeo", "owweeee"},
		"a failure starts the successes anew":   {1, 3, "eooeooo", "eeeeeeo"},
		"after an error failures are tolerated": {2, 1, "oeeoe", "oweow"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := &Check{Config: Config{Name: "a", Freshness: time.Second, Timeout: time.Second, FailureThreshold: test.failures, SuccessThreshold: test.successes}}
			c.engine = New(nil, noListener{})
			require.Len(t, test.published, len(test.found))
			got := ""
			for _, letter := range test.found {
				status := map[rune]probes.Status{'o': probes.OK, 'w': probes.Warning, 'e': probes.Error}[letter]
				result := &Result{Status: status}
				if status != probes.OK {
					result.Reason = "failed"
				}
				before := c.Last()
				c.store(c.applyThresholds(result), Ended)
				if letter != 'e' && before != nil && c.Last().Status == probes.Error {
					want := fmt.Sprintf("%d of %d successes in a row", c.successes, test.successes)
					assert.EqualError(t, c.Last().Err, want)
				}
				got += string(c.Last().Status[0])
				assert.Equal(t, c.Last().Status == probes.OK, c.Last().Reason == "", "a reason if it is not OK")
			}
			assert.Equal(t, test.published, got)
		})
	}
}

// A dependency that hangs becomes an Error in spite of FailureThreshold, because each freshness time of its
// only run counts as a failure.
func TestHungDependencyReachesTheFailureThreshold(t *testing.T) {
	for _, every := range []time.Duration{0, interval} {
		synctest.Test(t, func(t *testing.T) {
			probe := newHanging()
			e := New([]Config{{Name: "a", Probe: probe, Timeout: timeout, Freshness: time.Second, FailureThreshold: 3}}, noListener{})
			if every > 0 {
				e.Schedule(0, every, func() {})
			}
			assert.Equal(t, "ok", e.state())
			time.Sleep(time.Second)
			began := time.Now()
			for e.state() != "error timeout" {
				require.Less(t, time.Since(began), time.Minute)
				assert.Contains(t, []string{"ok", "warning timeout"}, e.state())
				time.Sleep(100 * time.Millisecond)
			}
			assert.GreaterOrEqual(t, time.Since(began), time.Second, "not at the first failure")
			assert.EqualValues(t, 2, probe.runs.Load())
			close(probe.release)
			synctest.Wait()
			time.Sleep(2 * interval)
			e.state()
			synctest.Wait()
			assert.Equal(t, "ok", e.state())
			e.Close(time.Minute)
		})
	}
}

// Collect is not called for ten freshness times. Each of them counts as a failure.
func TestHungDependencyCountsWithoutCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		probe := newHanging()
		defer close(probe.release)
		listener := &heard{}
		config := Config{Name: "a", Probe: probe, Timeout: timeout, Freshness: time.Second, FailureThreshold: 5}
		e := New([]Config{config}, listener)
		assert.Equal(t, "ok", e.state())
		time.Sleep(time.Second)
		assert.Equal(t, "warning timeout", e.state())
		time.Sleep(10*time.Second + 1300*time.Microsecond)
		assert.Equal(t, "error timeout", e.state())
		assert.Equal(t, timeout, e.checks[0].Last().Took)
		synctest.Wait()
		assert.Equal(t, []string{"ok ", "warning timeout", "error timeout"}, listener.words)
	})
}

// A freshness time counts as one failure, however often Collect is called in it.
func TestAHungDependencyFailsOnceAPeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		probe := newHanging()
		defer close(probe.release)
		config := Config{Name: "a", Probe: probe, Timeout: timeout, Freshness: time.Second, FailureThreshold: 10}
		e := New([]Config{config}, noListener{})
		assert.Equal(t, "ok", e.state())
		time.Sleep(time.Second)
		began := time.Now()
		for e.state() != "error timeout" {
			require.Less(t, time.Since(began), time.Minute)
			time.Sleep(100 * time.Millisecond)
		}
		assert.Equal(t, timeout+9*time.Second, time.Since(began), "the timeout, and nine periods")
	})
}

// The schedule finds a hung dependency without a call of Collect.
func TestHungDependencyIsReportedWithoutCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		probe := newHanging()
		defer close(probe.release)
		e := scheduled(t, Config{Probe: probe, FailureThreshold: 3})
		time.Sleep(5 * interval)
		synctest.Wait()
		assert.Equal(t, []string{"ok ", "warning timeout", "error timeout"}, e.listener.(*heard).words)
	})
}

// With FailureThreshold, the reason of a late failure replaces the timeout, but the status does not change.
func TestALateFailureIsDampedAsTheTimeoutWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		probe := &switchable{}
		e := New([]Config{{Name: "a", Probe: probe, Timeout: timeout, Freshness: time.Second, FailureThreshold: 2}}, noListener{})
		defer e.Close(time.Minute)
		assert.Equal(t, "ok", e.state())
		time.Sleep(time.Second)
		probe.down.Store(true)
		probe.takes.Store(int64(900 * time.Millisecond))
		assert.Equal(t, "warning timeout", e.state())
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		assert.Equal(t, "warning connection_refused", e.state())
		time.Sleep(time.Second)
		assert.Equal(t, "error timeout", e.state())
	})
}

// changes is a Listener that sends each change to a channel.
type changes struct{ heard chan Change }

func (c changes) Changed(change Change) { c.heard <- change }
func (changes) Invalid(string, error)   {}

// If a failure is always late, the listener is not called for a new reason. It must be called for a new
// status.
func TestNewStatusIsReportedImmediately(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		probe, listener := &switchable{}, changes{make(chan Change, 100)}
		e := New([]Config{{Name: "a", Probe: probe, Timeout: timeout, Freshness: time.Second, FailureThreshold: 2}}, listener)
		defer e.Close(time.Minute)
		e.state()
		probe.down.Store(true)
		probe.takes.Store(int64(3 * time.Second))
		time.Sleep(time.Second)
		assert.Equal(t, "warning timeout", e.state())
		time.Sleep(5 * time.Second)
		began := time.Now()
		assert.Equal(t, "error timeout", e.state())
		synctest.Wait()
		var last Change
		for len(listener.heard) > 0 {
			last = <-listener.heard
		}
		assert.Equal(t, probes.Error, last.To)
		assert.Equal(t, began.Add(timeout), last.At)
	})
}
