package engine_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/echo-probes/echohealth/internal/engine"
	"github.com/echo-probes/echohealth/probes"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// journal is a Listener that records its calls.
type journal struct {
	mu      sync.Mutex
	changes []engine.Change
	invalid []string
}

func (j *journal) Changed(c engine.Change) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.changes = append(j.changes, c)
}

func (j *journal) Invalid(check string, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.invalid = append(j.invalid, fmt.Sprintf("%s: %v", check, err))
}

// reasons returns the status and reason of each change, in order.
func (j *journal) reasons() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	var words []string
	for _, c := range j.changes {
		words = append(words, string(c.To)+" "+string(c.Reason))
	}
	return words
}

// script is a probe that calls the function do and counts its runs.
type script struct {
	runs atomic.Int64
	do   func(_ context.Context, run int64) probes.Result
}

func (s *script) Check(ctx context.Context) probes.Result { return s.do(ctx, s.runs.Add(1)) }

func after(d time.Duration, result probes.Result) *script {
	return &script{do: func(context.Context, int64) probes.Result {
		time.Sleep(d)
		return result
	}}
}

var (
	fine   = probes.Result{Status: probes.OK}
	broken = probes.Result{Status: probes.Error, Err: syscall.ECONNREFUSED}
)

// runsInFlight returns the number of goroutines that run a check.
func runsInFlight() int {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	return bytes.Count(stacks, []byte("engine.(*Check).execute("))
}

const (
	timeout   = 800 * time.Millisecond
	freshness = time.Second
)

func start(t *testing.T, list ...probes.Probe) (*engine.Engine, *journal) {
	t.Helper()
	j := &journal{}
	var configs []engine.Config
	for i, p := range list {
		configs = append(configs, engine.Config{Name: string(rune('a' + i)), Probe: p, Timeout: timeout, Freshness: freshness})
	}
	e := engine.New(configs, j)
	t.Cleanup(func() { e.Close(time.Minute) })
	return e, j
}

func collect(e *engine.Engine) []*engine.Result {
	return e.Collect(context.Background(), e.Checks()).Results
}

func TestChecksRunInParallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, _ := start(t, after(300*time.Millisecond, fine), after(300*time.Millisecond, fine), after(200*time.Millisecond, broken))
		began := time.Now()
		results := collect(e)
		assert.Equal(t, 300*time.Millisecond, time.Since(began))
		assert.Equal(t, probes.OK, results[0].Status)
		assert.Equal(t, probes.ReasonConnectionRefused, results[2].Reason)
		assert.Equal(t, 200*time.Millisecond, results[2].Took)
	})
}

func TestOneRunServesAllUntilItIsNotFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		probe := after(100*time.Millisecond, fine)
		e, _ := start(t, probe)
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() { assert.Equal(t, probes.OK, collect(e)[0].Status) })
		}
		wg.Wait()
		assert.EqualValues(t, 1, probe.runs.Load())
		time.Sleep(freshness - time.Nanosecond)
		first := collect(e)[0]
		assert.EqualValues(t, 1, probe.runs.Load())
		time.Sleep(time.Nanosecond)
		second := collect(e)[0]
		assert.EqualValues(t, 2, probe.runs.Load())
		assert.NotSame(t, first, second)
		assert.Equal(t, first.Since, second.Since)
	})
}

func TestTimeoutOfAProbeThatIgnoresItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		deaf := &script{do: func(context.Context, int64) probes.Result { <-release; return fine }}
		e, j := start(t, deaf)
		began := time.Now()
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() { assert.Equal(t, probes.ReasonTimeout, collect(e)[0].Reason) })
		}
		wg.Wait()
		assert.Equal(t, timeout, time.Since(began))
		assert.Equal(t, 1, runsInFlight(), "only the overdue run")

		for range 50 { // no caller waits for the overdue run, and no second run starts
			time.Sleep(freshness)
			began := time.Now()
			result := collect(e)[0]
			assert.Zero(t, time.Since(began))
			assert.Equal(t, probes.ReasonTimeout, result.Reason)
			assert.Equal(t, timeout, result.Took)
			assert.EqualError(t, result.Err, "the probe has not answered within 800ms")
		}
		overdue := e.Generation()
		assert.EqualValues(t, 1, deaf.runs.Load())

		close(release)
		synctest.Wait()
		assert.NotEqual(t, overdue, e.Generation(), "the check is due again")
		assert.Equal(t, probes.OK, collect(e)[0].Status, "the next run is free to start")
		assert.Equal(t, []string{"error timeout", "ok "}, j.reasons())
	})
}

func TestCollectDuringARunWaitsForTheRestOfItsTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, _ := start(t, after(time.Minute, fine))
		go collect(e)
		time.Sleep(timeout - 10*time.Millisecond)
		began := time.Now()
		collect(e)
		assert.Equal(t, 10*time.Millisecond, time.Since(began))
		time.Sleep(time.Minute)
	})
}

func TestTheRunsContextOutlivesTheTimeout(t *testing.T) {
	for _, test := range []struct{ timeout, want time.Duration }{
		{timeout, 5 * time.Second}, {10 * time.Second, 11 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			ended := make(chan time.Duration, 1)
			began := time.Now()
			probe := &script{do: func(ctx context.Context, _ int64) probes.Result {
				<-ctx.Done()
				ended <- time.Since(began)
				return probes.Result{Status: probes.Error, Err: ctx.Err()}
			}}
			e := engine.New([]engine.Config{{Name: "a", Probe: probe, Timeout: test.timeout, Freshness: freshness}}, &journal{})
			collect(e)
			assert.Equal(t, test.want, <-ended)
			synctest.Wait()
		})
	}
}

func TestALateFailureReplacesTheTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slowRefusal := probes.Result{
			Status: probes.Error, Reason: probes.ReasonAuthenticationFailed, Err: errors.New("wrong password"),
			Details: []slog.Attr{slog.Int("pool_max", 4)},
		}
		e, j := start(t, after(3*time.Second, slowRefusal))
		assert.Equal(t, probes.ReasonTimeout, collect(e)[0].Reason)
		time.Sleep(3 * time.Second)
		result := collect(e)[0]
		assert.Equal(t, probes.ReasonAuthenticationFailed, result.Reason)
		assert.Equal(t, 800*time.Millisecond, result.Took, "the timeout still")
		assert.Empty(t, result.Details, "a run that exceeded its timeout has no figures")
		// In later runs the result is a timeout until the late failure arrives. The listener is not called for
		// that.
		for range 40 {
			time.Sleep(500 * time.Millisecond)
			assert.Equal(t, probes.Error, collect(e)[0].Status)
		}
		assert.Equal(t, []string{"error timeout", "error authentication_failed"}, j.reasons())
		time.Sleep(time.Minute)
	})
}

func TestTimeoutAfterLateFailuresIsReportedInTheEnd(t *testing.T) {
	tests := map[string]probes.Probe{
		"the run never ends": &script{do: func(_ context.Context, run int64) probes.Result {
			time.Sleep(3 * time.Second)
			if run > 1 {
				time.Sleep(time.Hour)
			}
			return broken
		}},
		"the run ends well, but late": &script{do: func(_ context.Context, run int64) probes.Result {
			time.Sleep(3 * time.Second)
			if run > 1 {
				return fine
			}
			return broken
		}},
	}
	for name, probe := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e, j := start(t, probe)
				collect(e)
				time.Sleep(5 * time.Second)
				collect(e)
				time.Sleep(5*time.Second - timeout) // the end of the run's own context
				synctest.Wait()
				assert.Equal(t, []string{"error timeout", "error connection_refused", "error timeout"}, j.reasons())
				time.Sleep(2 * time.Hour)
			})
		})
	}
}

// The call of the listener may be delayed only if a timeout follows a late failure. A timeout after a failure
// in time is a change of the reason.
func TestTimeoutAfterAFailureInTimeIsReportedImmediately(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, j := start(t, &script{do: func(_ context.Context, run int64) probes.Result {
			if run > 1 {
				time.Sleep(time.Minute)
			}
			return broken
		}})
		collect(e)
		time.Sleep(freshness)
		collect(e)
		synctest.Wait()
		assert.Equal(t, []string{"error connection_refused", "error timeout"}, j.reasons())
	})
}

func TestTheRunsContextEndsWithTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ctx context.Context
		e, _ := start(t, &script{do: func(run context.Context, _ int64) probes.Result { ctx = run; return fine }})
		collect(e)
		synctest.Wait()
		assert.ErrorIs(t, ctx.Err(), context.Canceled)
	})
}

// A database that always needs 900 ms is always an error. Its late success must not become a result.
func TestAlwaysTooSlowIsAlwaysAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		probe := after(900*time.Millisecond, fine)
		e, j := start(t, probe)
		for began := time.Now(); time.Since(began) < 30*time.Second; time.Sleep(250 * time.Millisecond) {
			result := collect(e)[0]
			require.Equal(t, probes.Error, result.Status)
			require.Equal(t, probes.ReasonTimeout, result.Reason)
		}
		assert.Equal(t, []string{"error timeout"}, j.reasons())
		assert.Greater(t, probe.runs.Load(), int64(10))
		time.Sleep(time.Second)
	})
}

func TestCanceledCallDoesNotAffectTheResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		probe := after(500*time.Millisecond, fine)
		e, j := start(t, probe)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		began := time.Now()
		impatient := e.Collect(ctx, e.Checks())
		assert.False(t, impatient.Whole)
		assert.Equal(t, &engine.Result{
			Status: probes.Error, Reason: probes.ReasonTimeout, Err: context.DeadlineExceeded,
			Took: 100 * time.Millisecond, At: began.Add(100 * time.Millisecond), Since: began,
		}, impatient.Results[0])
		assert.Nil(t, e.Checks()[0].Last())

		patient := e.Collect(t.Context(), e.Checks())
		assert.True(t, patient.Whole)
		assert.Equal(t, probes.OK, patient.Results[0].Status)
		assert.EqualValues(t, 1, probe.runs.Load(), "the run went on")

		gone := e.Collect(ctx, e.Checks())
		assert.True(t, gone.Whole, "fresh results need no waiting")
		assert.Equal(t, []string{"ok "}, j.reasons())
	})
}

func TestPanicAffectsOnlyItsCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		probe := &script{do: func(context.Context, int64) probes.Result { panic("secret") }}
		typedNil := &script{do: func(context.Context, int64) probes.Result {
			return probes.Result{Status: probes.Error, Err: (*nilError)(nil)}
		}}
		exits := &script{do: func(context.Context, int64) probes.Result { runtime.Goexit(); return fine }}
		e, j := start(t, probe, after(0, fine), typedNil, exits)
		results := collect(e)
		assert.Equal(t, probes.ReasonPanic, results[0].Reason)
		assert.ErrorContains(t, results[0].Err, "panic: secret")
		assert.ErrorContains(t, results[0].Err, "engine_test.go", "the stack")
		assert.Equal(t, probes.OK, results[1].Status)
		assert.Equal(t, probes.ReasonPanic, results[2].Reason)
		assert.Equal(t, probes.ReasonFailed, results[3].Reason)
		for _, i := range []int{0, 2, 3} {
			assert.Equal(t, probes.Error, results[i].Status)
		}
		assert.EqualError(t, results[3].Err, "the probe called runtime.Goexit instead of returning a result")
		synctest.Wait()
		assert.Len(t, j.reasons(), 4)
	})
}

type nilError struct{ text string }

func (e *nilError) Error() string { return e.text }

func TestAnOKThatTookTooLongIsSlow(t *testing.T) {
	const limit = 100 * time.Millisecond
	tests := []struct {
		took   time.Duration
		give   probes.Result
		status probes.Status
		reason probes.Reason
		err    string
	}{
		{limit, fine, probes.OK, "", ""},
		{limit + time.Millisecond + 600, fine, probes.Warning, "slow", "the answer took 101.001ms, longer than 100ms"},
		{2 * limit, broken, probes.Error, "connection_refused", "connection refused"},
		{2 * limit, probes.Result{Status: probes.Warning, Reason: "backlog"}, probes.Warning, "backlog", ""},
	}
	for _, test := range tests {
		synctest.Test(t, func(t *testing.T) {
			config := engine.Config{
				Name: "a", Probe: after(test.took, test.give), Timeout: timeout, Freshness: freshness, SlowAfter: limit,
			}
			result := collect(engine.New([]engine.Config{config}, &journal{}))[0]
			assert.Equal(t, test.status, result.Status)
			assert.Equal(t, test.reason, result.Reason)
			if test.err == "" {
				assert.NoError(t, result.Err)
			} else {
				assert.EqualError(t, result.Err, test.err)
			}
		})
	}
}

func TestInvalidResultsAreCorrected(t *testing.T) {
	tests := map[string]struct {
		give    probes.Result
		status  probes.Status
		reason  probes.Reason
		invalid int
	}{
		"ok":                          {fine, probes.OK, "", 0},
		"ok with a reason":            {probes.Result{Status: probes.OK, Reason: "slow"}, probes.OK, "", 0},
		"ok with an error":            {probes.Result{Status: probes.OK, Err: syscall.ECONNREFUSED}, probes.Error, "failed", 1},
		"zero value":                  {probes.Result{}, probes.Error, "failed", 1},
		"unknown status":              {probes.Result{Status: "fine"}, probes.Error, "failed", 1},
		"error without words":         {probes.Result{Status: probes.Error}, probes.Error, "failed", 0},
		"reason from the error":       {broken, probes.Error, "connection_refused", 0},
		"warning, reason from error":  {probes.Result{Status: probes.Warning, Err: syscall.ECONNREFUSED}, probes.Warning, "connection_refused", 0},
		"reason of one's own":         {probes.Result{Status: probes.Error, Reason: "quota_exhausted"}, probes.Error, "quota_exhausted", 0},
		"a reason that is a sentence": {probes.Result{Status: probes.Error, Reason: "db 10.0.0.1 is down"}, probes.Error, "failed", 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e, j := start(t, after(0, test.give))
				for range 3 {
					result := collect(e)[0]
					assert.Equal(t, test.status, result.Status)
					assert.Equal(t, test.reason, result.Reason)
					time.Sleep(2 * freshness)
				}
				assert.Len(t, j.invalid, test.invalid, "once, not at each run")
			})
		})
	}
}

func TestInvalidDetailsAreOmitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		details := []slog.Attr{slog.Int("pending_tasks", 3), slog.String("host", "10.0.0.1:5432"), slog.Int("pending_tasks", 4),
			slog.Bool("read_only", true), slog.String("read_only", "10.0.0.1:5432")}
		e, j := start(t, after(0, probes.Result{Status: probes.OK, Details: details}))
		for range 2 {
			result := collect(e)[0]
			details[0] = slog.Int("pending_tasks", 99) // must not change the result, which has a copy
			assert.Equal(t, []slog.Attr{slog.Int("pending_tasks", 3), slog.Bool("read_only", true)}, result.Details)
		}
		synctest.Wait()
		require.Len(t, j.invalid, 1)
		assert.Contains(t, j.invalid[0], `a: detail "host": a string must match`)
		assert.Contains(t, j.invalid[0], `detail "pending_tasks": the key is used twice`)
	})
}

func TestDetailsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var details []slog.Attr
		for i := range 33 {
			details = append(details, slog.Int(fmt.Sprintf("tenant_%d", i), i))
		}
		badToo := append(slices.Clone(details[:32]), slog.String("host", "10.0.0.1:5432"))
		gives := func(details []slog.Attr) probes.Probe {
			return after(0, probes.Result{Status: probes.OK, Details: details})
		}
		e, j := start(t, gives(details), gives(details[:32]), gives(badToo))
		for _, result := range collect(e) {
			assert.Equal(t, details[:32], result.Details)
		}
		synctest.Wait()
		slices.Sort(j.invalid)
		require.Len(t, j.invalid, 2)
		assert.Equal(t, "a: there are more than 32 details: the rest is left out", j.invalid[0])
		assert.Contains(t, j.invalid[1], `c: detail "host": a string must match`)
	})
}

func TestChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		states := []probes.Result{fine, fine, broken, broken, {Status: probes.Error, Reason: "failed"}, {Status: probes.Warning, Reason: "backlog"}, fine}
		probe := &script{do: func(_ context.Context, run int64) probes.Result { return states[run-1] }}
		e, j := start(t, probe)
		for range states {
			collect(e)
			time.Sleep(10 * time.Second)
		}
		assert.Equal(t, []string{"ok ", "error connection_refused", "error failed", "warning backlog", "ok "}, j.reasons())
		first, second := j.changes[0], j.changes[1]
		assert.Equal(t, engine.Change{Check: "a", To: probes.OK, At: first.At}, first)
		assert.Equal(t, engine.Change{Check: "a", From: probes.OK, To: probes.Error, Reason: "connection_refused", Lasted: 20 * time.Second,
			Err: syscall.ECONNREFUSED, At: first.At.Add(20 * time.Second)}, second)
		assert.Equal(t, 20*time.Second, j.changes[2].Lasted)
	})
}

// ears is a Listener that calls a function for each change.
type ears func(engine.Change)

func (f ears) Changed(c engine.Change) { f(c) }
func (ears) Invalid(string, error)     {}

func TestAListenerMayCallBackPanicOrHang(t *testing.T) {
	t.Run("call back", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var e *engine.Engine
			var heard atomic.Int64
			e = engine.New([]engine.Config{{Name: "a", Probe: after(0, broken), Timeout: timeout, Freshness: freshness}}, ears(func(engine.Change) {
				heard.Add(1)
				collect(e)
			}))
			collect(e)
			synctest.Wait()
			assert.EqualValues(t, 1, heard.Load())
		})
	})
	t.Run("panic", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e := engine.New([]engine.Config{{Name: "a", Probe: after(0, broken), Timeout: timeout, Freshness: freshness}}, ears(func(engine.Change) { panic("boo") }))
			assert.Equal(t, probes.ReasonConnectionRefused, collect(e)[0].Reason)
			synctest.Wait()
		})
	})
	t.Run("hang", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			release := make(chan struct{})
			var heard atomic.Int64
			flapping := &script{do: func(_ context.Context, run int64) probes.Result {
				if run%2 == 0 {
					return broken
				}
				return fine
			}}
			e := engine.New([]engine.Config{{Name: "a", Probe: flapping, Timeout: timeout, Freshness: freshness}}, ears(func(engine.Change) {
				heard.Add(1)
				<-release
			}))
			for range 5000 {
				collect(e)
				time.Sleep(freshness)
			}
			assert.Equal(t, 1, runsInFlight())
			close(release)
			synctest.Wait()
			assert.EqualValues(t, 1+1024, heard.Load(), "the call that hung, and the newest call")
		})
	})
}

func TestGenerationChangesWithEveryResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, _ := start(t, after(10*time.Millisecond, fine))
		before := e.Generation()
		c := e.Collect(t.Context(), e.Checks())
		assert.NotEqual(t, before, c.Generation)
		assert.Equal(t, e.Generation(), c.Generation)
		assert.Equal(t, c.Results[0].At.Add(freshness), c.Until)
		again := e.Collect(t.Context(), e.Checks())
		assert.Equal(t, c.Generation, again.Generation)
		assert.Same(t, c.Results[0], again.Results[0])
	})
}

func TestClose(t *testing.T) {
	t.Run("cancels what heeds its context, and nothing runs afterwards", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			heeding := &script{do: func(ctx context.Context, _ int64) probes.Result {
				<-ctx.Done()
				return probes.Result{Status: probes.Error, Err: ctx.Err()}
			}}
			e, j := start(t, heeding)
			answer := make(chan *engine.Result)
			go func() { answer <- collect(e)[0] }()
			synctest.Wait()
			began, open := time.Now(), e.Generation()
			assert.Empty(t, e.Close(time.Second))
			assert.Zero(t, time.Since(began))
			assert.Equal(t, probes.ReasonStale, (<-answer).Reason)
			assert.Equal(t, probes.ReasonStale, collect(e)[0].Reason)
			assert.NotEqual(t, open, e.Generation(), "answers made from the earlier results are outdated")
			assert.EqualValues(t, 1, heeding.runs.Load())
			assert.Empty(t, j.reasons(), "closing is no failure of the dependency")
			assert.Empty(t, e.Close(time.Second), "a second time too")
		})
	})
	t.Run("leaves alone what does not", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e, j := start(t, after(time.Hour, broken))
			answer := make(chan *engine.Result)
			go func() { answer <- collect(e)[0] }()
			synctest.Wait()
			began := time.Now()
			assert.Equal(t, []string{"a"}, e.Close(time.Second))
			assert.Equal(t, time.Second, time.Since(began))
			assert.Equal(t, probes.ReasonStale, (<-answer).Reason)
			time.Sleep(2 * time.Hour)
			assert.Empty(t, j.reasons())
		})
	})
	t.Run("names those alone that still run", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			list := []probes.Probe{after(time.Hour, fine)}
			for range 20 {
				list = append(list, after(0, fine))
			}
			e, _ := start(t, list...)
			collect(e)
			assert.Equal(t, []string{"a"}, e.Close(time.Second))
			time.Sleep(2 * time.Hour)
		})
	})
}

func TestAClosedResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, _ := start(t, after(5*time.Millisecond, fine))
		ran := collect(e)[0]
		time.Sleep(time.Minute)
		closed := time.Now()
		e.Close(time.Second)
		stale := collect(e)[0]
		require.EqualError(t, stale.Err, "the health checks are closed")
		assert.Equal(t, &engine.Result{
			Status: probes.Error, Reason: probes.ReasonStale, Err: stale.Err,
			Took: 5 * time.Millisecond, At: closed, Since: closed, LastOK: ran.At,
		}, stale)
		select {
		case <-e.Done():
		default:
			t.Error("Done is not closed")
		}
	})
}

func TestLastRunsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		probe := after(0, fine)
		e, _ := start(t, probe, after(0, broken))
		last := func() engine.Collection {
			c, until := e.Last(e.Checks()[:1]), time.Now().Add(time.Second)
			want := engine.Collection{Results: c.Results, Until: until, Due: until, Generation: e.Generation(), Whole: true}
			assert.Equal(t, want, c)
			return c
		}
		assert.Equal(t, []*engine.Result{nil}, last().Results)
		ran := collect(e)
		time.Sleep(time.Hour)
		assert.Equal(t, ran[:1], last().Results)
		assert.EqualValues(t, 1, probe.runs.Load())
	})
}

func TestFlushReportsThePendingChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, j := start(t, after(0, broken))
		collect(e)
		var heard []string
		e.Enqueue(func() { heard = j.reasons() })
		assert.True(t, e.Flush(time.Second))
		assert.Equal(t, []string{"error connection_refused"}, heard, "in the order of the changes")
	})
}

// Until is the end of the result's freshness, or a second from now if that is earlier.
func TestUntilOfACollection(t *testing.T) {
	const ms = time.Millisecond
	tests := map[string]struct {
		takes, freshness, other, wait time.Duration
		want                          time.Duration // after the second call of Collect
	}{
		"the rest of the freshness":             {0, time.Second, 0, 400 * ms, 600 * ms},
		"a second of a longer one":              {0, 10 * time.Second, 0, 400 * ms, time.Second},
		"too old while another was waited for":  {0, 100 * ms, 500 * ms, 600 * ms, -400 * ms},
		"an overdue result while it is new":     {time.Hour, 300 * ms, 0, 100 * ms, 200 * ms},
		"an overdue result: its freshness anew": {time.Hour, 300 * ms, 0, 1000 * ms, 300 * ms},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				config := engine.Config{Name: "a", Probe: after(test.takes, fine), Timeout: timeout, Freshness: test.freshness}
				other := config
				other.Name, other.Probe = "b", after(test.other, fine)
				other.Freshness = cmp.Or(test.other, 20*time.Second)
				e := engine.New([]engine.Config{config, other}, &journal{})
				collect(e)
				time.Sleep(test.wait)
				c := e.Collect(t.Context(), e.Checks())
				assert.Equal(t, test.want, time.Until(c.Until))
				assert.Equal(t, c.Until, c.Due)
				time.Sleep(2 * time.Hour)
			})
		})
	}
}

func TestRaces(t *testing.T) {
	fast := &script{do: func(_ context.Context, run int64) probes.Result {
		if run%3 == 0 {
			return broken
		}
		return fine
	}}
	config := engine.Config{Name: "a", Probe: fast, Timeout: 2 * time.Millisecond, Freshness: time.Millisecond}
	e := engine.New([]engine.Config{config, config, config}, &journal{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				for _, r := range collect(e) {
					assert.NotNil(t, r)
				}
			}
		})
	}
	wg.Wait()
	assert.Empty(t, e.Close(10*time.Second))
}
