package engine_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/echo-probes/echohealth/internal/engine"
	"github.com/echo-probes/echohealth/probes"
	"github.com/stretchr/testify/assert"
)

// The result of a failed run is fresh for RetryAfter, and any other result for Freshness.
func TestRetryAfter(t *testing.T) {
	warning := probes.Result{Status: probes.Warning, Reason: "expires_soon"}
	tests := map[string]struct {
		config engine.Config
		result func(run int64) probes.Result
		runs   int64 // the number of runs in an hour, a minute and a second
	}{
		"well":                  {engine.Config{}, func(int64) probes.Result { return fine }, 2},
		"a warning":             {engine.Config{}, func(int64) probes.Result { return warning }, 2},
		"broken":                {engine.Config{}, func(int64) probes.Result { return broken }, 62},
		"broken once":           {engine.Config{}, failsIn(1), 3},
		"damped":                {engine.Config{FailureThreshold: 3}, failsIn(2), 3},
		"not well for long yet": {engine.Config{SuccessThreshold: 3}, failsIn(1), 4},
		"longer than Freshness": {engine.Config{RetryAfter: 2 * time.Hour}, func(int64) probes.Result { return broken }, 2},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				probe := &script{do: func(_ context.Context, run int64) probes.Result { return test.result(run) }}
				config := test.config
				config.Name, config.Probe, config.Timeout, config.Freshness = "certificate", probe, time.Second, time.Hour
				if config.RetryAfter == 0 {
					config.RetryAfter = time.Minute
				}
				e := engine.New([]engine.Config{config}, &journal{})
				defer e.Close(time.Second)
				for range 3662 {
					due := e.Collect(t.Context(), e.Checks()).Due
					assert.LessOrEqual(t, time.Until(due), time.Second)
					time.Sleep(time.Second)
				}
				assert.Equal(t, test.runs, probe.runs.Load())
			})
		})
	}
}

// failsIn returns a function that fails in one run only.
func failsIn(bad int64) func(run int64) probes.Result {
	return func(run int64) probes.Result {
		if run == bad {
			return broken
		}
		return fine
	}
}

// A run that hangs counts as one more failure each RetryAfter. Otherwise FailureThreshold would hide it for
// hours.
func TestRetryAfterOfAHangingRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		probe := &script{do: func(_ context.Context, run int64) probes.Result {
			if run > 1 {
				<-release
			}
			return fine
		}}
		e := engine.New([]engine.Config{{
			Name: "certificate", Probe: probe, Timeout: time.Second, Freshness: time.Hour, RetryAfter: time.Minute,
			FailureThreshold: 3,
		}}, &journal{})
		look := func() probes.Status { return e.Collect(t.Context(), e.Checks()).Results[0].Status }
		assert.Equal(t, probes.OK, look())
		time.Sleep(time.Hour)
		assert.Equal(t, probes.Warning, look())
		time.Sleep(time.Minute + time.Second)
		assert.Equal(t, probes.Warning, look())
		time.Sleep(time.Minute)
		assert.Equal(t, probes.Error, look())
		close(release)
		e.Close(time.Second)
	})
}
