package engine

import (
	"context"
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

func (noListener) Changed(Change)           {}
func (noListener) Complained(string, error) {}

// heard is a Listener that keeps the words.
type heard struct{ words []string }

func (h *heard) Changed(c Change)       { h.words = append(h.words, string(c.To)+" "+string(c.Reason)) }
func (*heard) Complained(string, error) {}

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

// hanging is a probe of which every run but the first hangs until it is released.
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
	config.Name, config.Timeout, config.Freshness, config.Interval = "a", timeout, time.Second, interval
	e := New([]Config{config}, &heard{})
	e.Start()
	t.Cleanup(func() { e.Close(time.Minute) })
	return e
}

func (e *Engine) state() string {
	result := e.Collect(context.Background(), e.checks).Results[0]
	return strings.TrimSpace(string(result.Status) + " " + string(result.Reason))
}

func TestAScheduleRunsAndRequestsOnlyRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		probe := &switchable{}
		e := scheduled(t, Config{Probe: probe})
		synctest.Wait()
		assert.EqualValues(t, 1, probe.runs.Load(), "at once")
		for range 1000 {
			assert.Equal(t, "ok", e.state())
			time.Sleep(100 * time.Millisecond)
		}
		runs := probe.runs.Load()
		assert.GreaterOrEqual(t, runs, int64(1+9))
		assert.LessOrEqual(t, runs, int64(1+11), "within the jitter of 10 %%")
		probe.down.Store(true)
		time.Sleep(interval + interval/10)
		assert.Equal(t, "error connection_refused", e.state())
	})
}

func TestTheFirstAnswerWaitsForTheFirstResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		probe := &switchable{}
		probe.takes.Store(int64(300 * time.Millisecond))
		e := scheduled(t, Config{Probe: probe})
		began := time.Now()
		assert.Equal(t, "ok", e.state())
		assert.Equal(t, 300*time.Millisecond, time.Since(began))
		assert.EqualValues(t, 1, probe.runs.Load())
	})
}

func TestJitter(t *testing.T) {
	var least, most time.Duration = time.Hour, 0
	for range 10000 {
		d := jittered(interval)
		least, most = min(least, d), max(most, d)
	}
	assert.GreaterOrEqual(t, least, 9*time.Second)
	assert.LessOrEqual(t, most, 11*time.Second)
	assert.Less(t, least, 9100*time.Millisecond)
	assert.Greater(t, most, 10900*time.Millisecond)
	assert.Equal(t, time.Nanosecond, jittered(time.Nanosecond))
}

func TestAStoppedScheduleNeverStaysGreen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		probe := &switchable{}
		probe.takes.Store(int64(30 * time.Millisecond))
		e := scheduled(t, Config{Probe: probe})
		assert.Equal(t, "ok", e.state())
		at := e.checks[0].Last().At
		e.checks[0].stop() // as if the timer had been lost
		time.Sleep(time.Until(at.Add(3*interval + timeout - time.Nanosecond)))
		assert.Equal(t, "ok", e.state())
		time.Sleep(time.Nanosecond)
		assert.Equal(t, "error stale", e.state())
		assert.Equal(t, 30*time.Millisecond, e.checks[0].Last().Took, "the last run's")
		synctest.Wait()
		assert.Equal(t, []string{"ok ", "error stale"}, e.listener.(*heard).words, "the request that found it out told it")
		time.Sleep(time.Hour)
		assert.Equal(t, "error stale", e.state())
		e.checks[0].tick() // it goes on
		time.Sleep(time.Second)
		assert.Equal(t, "ok", e.state())
	})
}

// While a machine is suspended its monotonic clock stands still; the wall clock tells afterwards. The old result is then no answer: a new one
// is waited for.
func TestAClockThatJumpsIsNotGreen(t *testing.T) {
	for _, config := range []Config{
		{Interval: interval, Freshness: time.Second},
		{Freshness: time.Hour},
	} {
		synctest.Test(t, func(t *testing.T) {
			probe := &switchable{}
			config.Name, config.Probe, config.Timeout = "a", probe, timeout
			e := New([]Config{config}, noListener{})
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
			wall = before // and back: what is younger than the clock says is as old as the monotonic one says
			time.Sleep(2 * time.Hour)
			assert.NotEqual(t, "ok", e.checks[0].Last().Status)
		})
	}
}

func TestAnOverdueRunNeverStacks(t *testing.T) {
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
		runs := probe.runs.Load()
		time.Sleep(time.Hour)
		assert.Equal(t, runs, probe.runs.Load())
		e.checks[0].tick()
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
		found, published    string // o, w or e for each run
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
				c.store(c.damped(result))
				got += string(c.Last().Status[0])
				assert.Equal(t, c.Last().Status == probes.OK, c.Last().Reason == "", "a reason where it is not OK")
			}
			assert.Equal(t, test.published, got)
		})
	}
}

// A dependency that hangs turns red, though its failures are damped: its one run counts as a failure each period.
func TestAHungDependencyIsNotToleratedForEver(t *testing.T) {
	for _, every := range []time.Duration{0, interval} {
		synctest.Test(t, func(t *testing.T) {
			probe := newHanging()
			e := New([]Config{{Name: "a", Probe: probe, Timeout: timeout, Freshness: time.Second, Interval: every, FailureThreshold: 3}}, noListener{})
			e.Start()
			assert.Equal(t, "ok", e.state())
			time.Sleep(e.checks[0].period() + interval/10)
			began := time.Now()
			for e.state() != "error timeout" {
				require.Less(t, time.Since(began), time.Minute)
				assert.Contains(t, []string{"ok", "warning timeout"}, e.state())
				time.Sleep(100 * time.Millisecond)
			}
			assert.GreaterOrEqual(t, time.Since(began), e.checks[0].period(), "not at the first failure")
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

// Nobody has asked for ten periods: each of them was a failure.
func TestAHungDependencyCountsWhileNobodyAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		probe := newHanging()
		defer close(probe.release)
		e := New([]Config{{Name: "a", Probe: probe, Timeout: timeout, Freshness: time.Second, FailureThreshold: 5}}, noListener{})
		assert.Equal(t, "ok", e.state())
		time.Sleep(time.Second)
		assert.Equal(t, "warning timeout", e.state())
		time.Sleep(10 * time.Second)
		assert.Equal(t, "error timeout", e.state())
	})
}

// A schedule finds it out by itself.
func TestAHungDependencyIsToldOfWhenNobodyAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		probe := newHanging()
		defer close(probe.release)
		e := scheduled(t, Config{Probe: probe, FailureThreshold: 3})
		time.Sleep(5 * interval)
		synctest.Wait()
		assert.Equal(t, []string{"ok ", "warning timeout", "error timeout"}, e.listener.(*heard).words)
	})
}

// With damping a late failure's reason replaces the timeout, and its status stays what it was.
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

// changes is a Listener that keeps what it hears, with the time.
type changes struct{ heard chan Change }

func (c changes) Changed(change Change)  { c.heard <- change }
func (changes) Complained(string, error) {}

// What is kept quiet of a failure that always comes late is its reason, never its status.
func TestAStatusIsToldAtOnce(t *testing.T) {
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
