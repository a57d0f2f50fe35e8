package echohealth

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/echo-probes/echohealth/internal/engine"
	"github.com/echo-probes/echohealth/probes"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Two checks that change at once may be heard of in the other order: nothing has lasted less than no time.
func TestReadinessIsToldInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []Change
		down := probes.Func(func(context.Context) error { return errors.New("down") })
		h, err := New(WithLogger(slog.New(slog.DiscardHandler)), WithoutSystemMetrics(), WithRedis(down),
			WithOnChange(func(c Change) { told = append(told, c) }))
		require.NoError(t, err)
		h.Report(t.Context())
		synctest.Wait()

		told, h.notifier.reported = nil, readiness{known: true, ready: true, at: time.Now()}
		h.monitor.engine.Enqueue(func() { h.notifier.reportReadiness(time.Now().Add(-time.Second)) })
		synctest.Wait()
		assert.Equal(t, []Change{{From: probes.OK, To: probes.Error, At: time.Now()}}, told)
		require.NoError(t, h.Close())
	})
}

func TestTheStatesOfReadiness(t *testing.T) {
	for want, change := range map[string]Change{
		"ready":              {To: probes.OK},
		"not_ready_draining": {To: probes.Error, Reason: "draining"},
		"not_ready_a_b":      {To: probes.Error},
	} {
		assert.Equal(t, want, readinessState(change, []string{"a", "b"}))
	}
}
