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

// The changes of two checks may arrive out of order. A change of readiness must not have a negative duration
// because of that.
func TestReadinessIsReportedInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []Change
		down := probes.Func(func(context.Context) error { return errors.New("down") })
		h, err := New(WithLogger(slog.New(slog.DiscardHandler)), WithoutSystemMetrics(), WithRedis(down),
			WithOnChange(func(c Change) { told = append(told, c) }))
		require.NoError(t, err)
		h.Report(t.Context())
		synctest.Wait()

		told, h.notifier.reported = nil, readiness{known: true, ready: true, at: time.Now(), since: time.Now()}
		h.monitor.engine.Enqueue(func() { h.notifier.reportReadiness(time.Now().Add(-time.Second)) })
		synctest.Wait()
		assert.Equal(t, []Change{{From: probes.OK, To: probes.Error, At: time.Now()}}, told)
		require.NoError(t, h.Close())
	})
}

// A change before Close is reported, even if the report is made after Close.
func TestReadinessThatChangedBeforeClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []Change
		h, err := New(WithLogger(slog.New(slog.DiscardHandler)), WithoutSystemMetrics(),
			WithRedis(probes.Func(func(context.Context) error { return nil })))
		require.NoError(t, err)
		h.Report(t.Context())
		synctest.Wait()
		began := time.Now()
		time.Sleep(time.Second)
		down := h.monitor.checks[0]
		*down.Last() = engine.Result{Status: probes.Error, Reason: "failed"}
		h.monitor.engine.Close(time.Second)
		h.OnChange(func(c Change) { told = append(told, c) })
		h.notifier.reportReadiness(began)
		synctest.Wait()
		assert.Len(t, told, 1)
		h.notifier.reported = readiness{known: true, ready: true}
		h.notifier.reportReadiness(time.Now())
		synctest.Wait()
		assert.Len(t, told, 1, "that Close ends readiness is no change")
		require.NoError(t, h.Close())
	})
}

func TestReadinessStatesAreDistinct(t *testing.T) {
	down := Change{To: probes.Error}
	states := map[string]bool{
		readinessState(down, []string{"a", "b"}): true, readinessState(down, []string{"a_b"}): true, readinessState(down, []string{"a.b"}): true,
		readinessState(down, []string{"draining"}): true, readinessState(Change{To: probes.Error, Reason: "draining"}, nil): true,
		readinessState(Change{To: probes.OK}, nil): true,
	}
	assert.Len(t, states, 6)
}
