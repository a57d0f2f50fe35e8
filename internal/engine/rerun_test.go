package engine_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/echo-probes/echohealth/internal/engine"
	"github.com/echo-probes/echohealth/probes"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// After Rerun, Recent must not return the result of a probe call that began before, whenever the new call
// ends.
func TestRecentAfterRerun(t *testing.T) {
	var status atomic.Value
	status.Store(probes.OK)
	probe := &script{do: func(context.Context, int64) probes.Result {
		return probes.Result{Status: status.Load().(probes.Status)}
	}}
	e := engine.New([]engine.Config{{Name: "a", Probe: probe, Timeout: time.Minute, Freshness: time.Hour}}, &journal{})
	defer e.Close(time.Second)
	check := e.Checks()[0]
	began := time.Now()
	for i := range 10_000 {
		want := probes.OK
		if i%2 == 0 {
			want = probes.Error
		}
		status.Store(want)
		check.Rerun()
		for try := 0; ; try++ {
			if result := check.Recent(time.Now(), time.Minute); result != nil {
				require.Equal(t, want, result.Status, "round %d, try %d, after %s", i, try, time.Since(began))
				break
			}
		}
	}
}

// A probe that reports changes repeatedly, also during its own calls, must be neither a timeout nor slow,
// because all its calls end in time.
func TestRepeatedRerun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		probe := after(100*time.Millisecond, fine)
		e := engine.New([]engine.Config{{
			Name: "a", Probe: probe, Timeout: 800 * time.Millisecond, Freshness: time.Second, SlowAfter: 300 * time.Millisecond,
		}}, &j)
		check := e.Checks()[0]
		for range 200 {
			check.Rerun()
			time.Sleep(30 * time.Millisecond)
			if result := check.Last(); result != nil {
				require.Equal(t, probes.OK, result.Status, result.Reason)
				require.LessOrEqual(t, result.Took, 100*time.Millisecond)
			}
		}
		e.Flush(time.Second)
		assert.Equal(t, []string{"ok "}, j.reasons())
		last := time.Now()
		time.Sleep(time.Second)
		assert.True(t, !check.Last().At.Before(last.Add(100*time.Millisecond)), "a call that began after the last Rerun")
		runs := probe.runs.Load()
		time.Sleep(time.Minute)
		assert.Equal(t, runs, probe.runs.Load(), "no run without callers")
		e.Close(time.Second)
	})
}

// A change that is reported during a run that hangs must be found when the run has ended, even without
// callers.
func TestRerunDuringAHangingRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		probe := &script{do: func(_ context.Context, run int64) probes.Result {
			if run == 1 {
				time.Sleep(2 * time.Second)
			}
			return fine
		}}
		e := engine.New([]engine.Config{{Name: "a", Probe: probe, Timeout: 800 * time.Millisecond, Freshness: time.Hour}}, &j)
		e.Checks()[0].Rerun()
		time.Sleep(time.Second)
		e.Checks()[0].Rerun()
		time.Sleep(1100 * time.Millisecond)
		synctest.Wait()
		assert.EqualValues(t, 2, probe.runs.Load())
		assert.Equal(t, probes.OK, e.Checks()[0].Last().Status)
		e.Flush(time.Second)
		assert.Equal(t, []string{"error timeout", "ok "}, j.reasons())
		e.Close(time.Second)
	})
}

// A caller that calls Collect after Rerun must get the result of a later probe call, even if it must wait for
// an earlier call.
func TestCollectAfterRerun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		probe := &script{do: func(context.Context, int64) probes.Result {
			result := fine
			if down.Load() {
				result = broken
			}
			time.Sleep(300 * time.Millisecond)
			return result
		}}
		e := engine.New([]engine.Config{{Name: "a", Probe: probe, Timeout: 800 * time.Millisecond, Freshness: time.Hour}}, &journal{})
		check := e.Checks()[0]
		check.Rerun()
		time.Sleep(100 * time.Millisecond)
		down.Store(true)
		check.Rerun()
		began := time.Now()
		for range 2 {
			assert.Equal(t, probes.Error, e.Collect(t.Context(), e.Checks()).Results[0].Status)
			assert.Equal(t, 500*time.Millisecond, time.Since(began), "the rest of the first run, and the second")
		}
		assert.EqualValues(t, 2, probe.runs.Load())
		e.Close(time.Second)
	})
}

// No caller waits longer than the timeout. It gets the last result if the next one takes too long.
func TestCollectAfterRerunOfASlowProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := engine.New([]engine.Config{{
			Name: "a", Probe: after(700*time.Millisecond, fine), Timeout: 800 * time.Millisecond, Freshness: time.Hour,
		}}, &journal{})
		e.Checks()[0].Rerun()
		time.Sleep(100 * time.Millisecond)
		e.Checks()[0].Rerun()
		began := time.Now()
		assert.Equal(t, probes.OK, e.Collect(t.Context(), e.Checks()).Results[0].Status)
		assert.Equal(t, 800*time.Millisecond, time.Since(began))
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		e.Checks()[0].Rerun()
		assert.Equal(t, probes.ReasonTimeout, e.Collect(ctx, e.Checks()).Results[0].Reason)
		assert.Equal(t, 900*time.Millisecond, time.Since(began))
		time.Sleep(time.Minute)
		e.Close(time.Second)
	})
}

// A probe that reports a change in each of its calls, against the rule, must run at most ten times a second.
func TestRerunFromTheProbeItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var check *engine.Check
		probe := &script{do: func(context.Context, int64) probes.Result {
			check.Rerun()
			return fine
		}}
		e := engine.New([]engine.Config{{Name: "a", Probe: probe, Timeout: 800 * time.Millisecond, Freshness: time.Hour}}, &journal{})
		check = e.Checks()[0]
		assert.Equal(t, probes.OK, e.Collect(t.Context(), e.Checks()).Results[0].Status)
		time.Sleep(10 * time.Second)
		assert.LessOrEqual(t, probe.runs.Load(), int64(102))
		e.Close(time.Second)
	})
}

// A probe that reports changes continuously from another goroutine also runs at most ten times a second.
func TestContinuousRerun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		probe := &script{do: func(context.Context, int64) probes.Result { return fine }}
		e := engine.New([]engine.Config{{Name: "a", Probe: probe, Timeout: 800 * time.Millisecond, Freshness: time.Hour}}, &journal{})
		for range 10_000 {
			e.Checks()[0].Rerun()
			time.Sleep(time.Millisecond)
		}
		assert.InDelta(t, 100, probe.runs.Load(), 1)
		last := time.Now()
		time.Sleep(time.Second)
		assert.False(t, e.Checks()[0].Last().At.Before(last.Add(-time.Millisecond)), "the last change is seen")
		e.Close(time.Second)
	})
}

// If Rerun or Recent detect a run that hangs, the listener must be called, even if nothing calls Collect.
func TestRerunReportsARunThatHangs(t *testing.T) {
	for name, call := range map[string]func(*engine.Check){
		"Rerun":  (*engine.Check).Rerun,
		"Recent": func(c *engine.Check) { c.Recent(time.Now(), time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var j journal
				release := make(chan struct{})
				probe := &script{do: func(_ context.Context, run int64) probes.Result {
					if run > 1 {
						<-release
					}
					return fine
				}}
				e := engine.New([]engine.Config{{
					Name: "a", Probe: probe, Timeout: 800 * time.Millisecond, Freshness: time.Second, FailureThreshold: 3,
				}}, &j)
				e.Collect(t.Context(), e.Checks())
				for range 10 {
					time.Sleep(time.Second)
					call(e.Checks()[0])
				}
				synctest.Wait()
				assert.Equal(t, []string{"ok ", "warning timeout", "error timeout"}, j.reasons())
				close(release)
				e.Close(time.Second)
			})
		})
	}
}
