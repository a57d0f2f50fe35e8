package echohealth_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/probes"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A function of WithOnChange may call any method, even a Drain that waits, while many checks change. There is
// no deadlock.
func TestAListenerThatCallsBack(t *testing.T) {
	const enough = 10_000
	var h *echohealth.Health
	var inside, heard atomic.Int64
	told := map[string]time.Time{} // without a lock, because the calls come one at a time
	listener := func(change echohealth.Change) {
		assert.EqualValues(t, 1, inside.Add(1), "one call at a time")
		defer inside.Add(-1)
		assert.False(t, change.Check != "" && change.At.Before(told[change.Check]), "the changes of a check come in order")
		told[change.Check] = change.At
		switch n := heard.Add(1); {
		case n == enough/2:
			assert.NoError(t, h.Drain(t.Context()))
		case n < enough:
			h.Report(t.Context())
		}
	}
	options := []echohealth.Option{quiet, echohealth.WithoutSystemMetrics(), echohealth.WithFreshness(time.Millisecond),
		echohealth.WithDrainDelay(20 * time.Millisecond), echohealth.WithOnChange(listener)}
	for i := range 20 {
		options = append(options, echohealth.WithCheck(fmt.Sprint("check", i), alternating()))
	}
	h = newHealth(t, options...)

	var askers sync.WaitGroup
	for _, path := range []string{"/ready/", "/detailed/", "/checks/check7/"} {
		askers.Go(func() {
			for heard.Load() < enough {
				get(h, "/api/health"+path)
				time.Sleep(time.Millisecond)
			}
		})
	}
	require.Eventually(t, func() bool { return heard.Load() >= enough }, 2*time.Minute, 10*time.Millisecond, "something waits for itself")
	askers.Wait()
	assert.Contains(t, get(h, "/api/health/ready/").Body.String(), `"reason":"draining"`)
}

// alternating returns a probe that succeeds and fails in turn.
func alternating() probes.Func {
	down := false
	return func(context.Context) error {
		if down = !down; down {
			return errors.New("down")
		}
		return nil
	}
}
