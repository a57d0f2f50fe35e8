package echohealth_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/probes"
)

// A switch takes effect immediately, even if its last result is fresh. Its change is logged even without a
// request.
func TestSwitch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &logBuffer{}
		rotation := probes.NewSwitch()
		h := newHealth(t, logTo(log), echohealth.WithoutSystemMetrics(), echohealth.WithDatabase(well),
			echohealth.WithCheck("rotation", rotation), echohealth.WithFreshness(time.Hour))
		require.Equal(t, 200, get(h, "/api/health/ready/").Code)
		for range 3 {
			rotation.Off("maintenance")
			answer := get(h, "/api/health/ready/")
			assert.Equal(t, 503, answer.Code)
			assert.Contains(t, answer.Body.String(), `"rotation":{"status":"error","reason":"maintenance"`)
			rotation.On()
			assert.Equal(t, 200, get(h, "/api/health/ready/").Code)
		}
		time.Sleep(time.Hour)
		rotation.Off("not_leader")
		synctest.Wait()
		assert.Contains(t, log.String(), `level=INFO msg="health check changed" check=rotation from=ok to=error lasted=1h0m0s reason=not_leader`)
		assert.Contains(t, log.String(), `level=INFO msg="readiness changed" from=ready to=not_ready lasted=1h0m0s failing=[rotation]`)
		assert.NotContains(t, log.String(), "level=ERROR", "the application itself has decided it")
		assert.Equal(t, 1, strings.Count(log.String(), "not_leader"))
		require.NoError(t, h.Close())
		rotation.On() // has no effect after Close
	})
}

// If a switch is off from the start, the first run reports it.
func TestSwitchThatIsOffFromTheStart(t *testing.T) {
	rotation := probes.NewSwitch()
	rotation.Off("")
	h := newHealth(t, quiet, echohealth.WithoutSystemMetrics(), echohealth.WithCheck("rotation", rotation))
	assert.Equal(t, probes.Reason("switched_off"), h.Report(t.Context()).Checks[0].Reason)
}

// After Off has returned no answer is 200, and after On no answer is 503, even with other concurrent
// requests.
func TestSwitchTakesEffectImmediately(t *testing.T) {
	rotation := probes.NewSwitch()
	h := newHealth(t, quiet, echohealth.WithoutSystemMetrics(), echohealth.WithCheck("rotation", rotation),
		echohealth.WithGroup("all", "rotation"))
	done := make(chan struct{})
	var others sync.WaitGroup
	for range 4 {
		others.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					get(h, "/api/health/ready/")
				}
			}
		})
	}
	for range 500 {
		rotation.Off("maintenance")
		require.False(t, h.Available(t.Context(), "all"))
		require.Equal(t, 503, get(h, "/api/health/ready/").Code)
		rotation.On()
		require.True(t, h.Available(t.Context(), "all"))
		require.Equal(t, 200, get(h, "/api/health/ready/").Code)
	}
	close(done)
	others.Wait()
}

// watched is a custom probe with the method Watch, which returns no stop function.
type watched struct {
	probes.Probe
	changed func()
}

func (w *watched) Watch(changed func()) (stop func()) {
	w.changed = changed
	return nil
}

// A probe with the method Watch runs as soon as it reports a change, even if its last result is fresh.
func TestProbeThatReportsItsChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		probe := &counting{}
		w := &watched{Probe: probe}
		h := newHealth(t, quiet, echohealth.WithoutSystemMetrics(), echohealth.WithCheck("leader", w, echohealth.FreshFor(time.Hour)))
		for range 3 {
			get(h, "/api/health/ready/")
		}
		assert.EqualValues(t, 1, probe.runs.Load())
		time.Sleep(time.Second)
		w.changed()
		synctest.Wait()
		assert.EqualValues(t, 2, probe.runs.Load())
		require.NoError(t, h.Close())
		w.changed()
		synctest.Wait()
		assert.EqualValues(t, 2, probe.runs.Load(), "nothing runs after Close")
	})
}

// panicking is a probe whose Watch, or the end of it, panics.
type panicking struct {
	probes.Probe
	later bool
}

func (p *panicking) Watch(func()) (stop func()) {
	if !p.later {
		panic("password=s3cret")
	}
	return func() { panic("password=s3cret") }
}

func TestProbeWhoseWatchPanics(t *testing.T) {
	for what, probe := range map[string]*panicking{
		"Watch": {Probe: well}, "the end of Watch": {Probe: well, later: true},
	} {
		log := &logBuffer{}
		h := newHealth(t, logTo(log), echohealth.WithoutSystemMetrics(), echohealth.WithCheck("leader", probe))
		assert.Equal(t, 200, get(h, "/api/health/ready/").Code)
		require.NoError(t, h.Close())
		require.Len(t, records(log), 1)
		assert.Contains(t, records(log)[0], `WARN msg="the probe breaks the rules of package probes" check=leader `+
			`error="`+what+` of *echohealth_test.panicking panicked: password=***\ngoroutine `)
	}
}

// A switch that is off hides no failure: another check's failure is an ERROR as always.
func TestSwitchBesideAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &logBuffer{}
		rotation := probes.NewSwitch()
		rotation.Off("maintenance")
		h := newHealth(t, logTo(log), echohealth.WithoutSystemMetrics(), echohealth.WithCheck("rotation", rotation),
			echohealth.WithDatabase(failing(errors.New("down"))))
		get(h, "/api/health/ready/")
		synctest.Wait() // what changes at the moment of Close is not reported
		require.NoError(t, h.Close())
		assert.Contains(t, log.String(), `level=INFO msg="health check changed" check=rotation`)
		assert.Contains(t, log.String(), `level=ERROR msg="health check changed" check=database`)
		assert.Contains(t, log.String(), `level=ERROR msg="readiness changed" from=unknown to=not_ready`)
	})
}

// A switch is turned off, and then the database fails. The log must have an ERROR that the service is not
// ready because of the failure, although readiness itself did not change. OnChange must not be called a
// second time.
func TestFailureWhileASwitchIsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &logBuffer{}
		rotation := probes.NewSwitch()
		var down atomic.Bool
		database := probes.Func(func(context.Context) error {
			if down.Load() {
				return errors.New("down")
			}
			return nil
		})
		var changes []echohealth.Change
		h := newHealth(t, logTo(log), echohealth.WithoutSystemMetrics(), echohealth.WithCheck("rotation", rotation),
			echohealth.WithDatabase(database), echohealth.WithOnChange(func(c echohealth.Change) {
				if c.Check == "" {
					changes = append(changes, c)
				}
			}))
		ask := func() int {
			defer synctest.Wait() // until it is reported
			return get(h, "/api/health/ready/").Code
		}
		ask()
		rotation.Off("maintenance")
		ask()
		down.Store(true)
		time.Sleep(2 * time.Second)
		ask()
		rotation.On()
		require.Equal(t, 503, ask())
		down.Store(false)
		time.Sleep(3 * time.Second)
		require.Equal(t, 200, ask())
		require.NoError(t, h.Close())
		assert.Contains(t, log.String(), `level=INFO msg="readiness changed" from=ready to=not_ready`)
		assert.Contains(t, log.String(), `level=ERROR msg="readiness changed" from=not_ready to=not_ready lasted=2s failing="[rotation database]"`)
		assert.Contains(t, log.String(), `level=INFO msg="readiness changed" from=not_ready to=ready lasted=5s`)
		assert.Equal(t, 3, strings.Count(log.String(), "readiness changed"))
		require.Len(t, changes, 2)
		assert.Equal(t, 5*time.Second, changes[1].Lasted, "since the switch was turned off")
	})
}

// eager is a probe that reports a change as soon as it is watched.
type eager struct{ counting }

func (*eager) Watch(changed func()) (stop func()) {
	changed()
	time.Sleep(50 * time.Millisecond)
	return nil
}

// No check runs before New has returned, even if its probe reports a change.
func TestChangeDuringNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		probe := &eager{}
		h := newHealth(t, quiet, echohealth.WithoutSystemMetrics(), echohealth.WithCheck("leader", probe))
		synctest.Wait()
		assert.Zero(t, probe.runs.Load())
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		assert.EqualValues(t, 1, probe.runs.Load(), "but soon after")
		require.NoError(t, h.Close())
	})
}
