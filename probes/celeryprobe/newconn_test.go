package celeryprobe

import (
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/probes"
)

// everySecond checks once a second for d, and returns the last result.
func everySecond(check func() probes.Result, d time.Duration) (result probes.Result) {
	for range d / time.Second {
		result = check()
		time.Sleep(time.Second)
		synctest.Wait()
	}
	return result
}

func TestNewConnectionsOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{queues: rabbit(1)}
		check := probing(t, b)
		everySecond(check, 53*time.Second)
		assert.Zero(t, b.made)
		assert.Equal(t, probes.OK, everySecond(check, 15*time.Second).Status)
		assert.Equal(t, 1, b.made)

		b.refused = probes.Fail(probes.ReasonAuthenticationFailed, errors.New("refused"))
		result := everySecond(check, 70*time.Second)
		assert.Equal(t, probes.Warning, result.Status)
		assert.Equal(t, probes.ReasonAuthenticationFailed, result.Reason)
		requireNumbers(t, result, map[string]int64{"pending_tasks": 0, "consumers": 1})

		b.queues = rabbit(0)
		assert.Equal(t, probes.ReasonNoConsumers, check().Reason, "the check's own reason has priority")
		b.queues = rabbit(1)
		assert.Equal(t, probes.ReasonAuthenticationFailed, check().Reason)
		b.refused = nil
		assert.Equal(t, probes.OK, everySecond(check, 70*time.Second).Status)
	})
}

func requireNumbers(t *testing.T, result probes.Result, want map[string]int64) {
	t.Helper()
	got := make(map[string]int64)
	for _, detail := range result.Details {
		if detail.Value.Kind() == slog.KindInt64 {
			got[detail.Key] = detail.Value.Int64()
		}
	}
	require.Equal(t, want, got)
}

func TestNoNewConnectionWhileTheCheckFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{queues: redisLike(), err: errors.New("lost")}
		check := probing(t, b, PingWorkers(1), PingEvery(time.Second))
		assert.Equal(t, probes.Error, everySecond(check, 5*time.Minute).Status)
		assert.Zero(t, b.made)
	})
}

func TestNewConnectionEvery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never, often := &fakeBroker{queues: redisLike()}, &fakeBroker{queues: redisLike()}
		everySecond(probing(t, never, NewConnectionEvery(0)), time.Hour)
		assert.Zero(t, never.made)
		twice := probing(t, often, NewConnectionEvery(time.Hour), NewConnectionEvery(10*time.Second))
		everySecond(twice, time.Hour)
		assert.InDelta(t, 340, often.made, 30)
	})
	err := New("redis://", NewConnectionEvery(-time.Second)).Validate()
	assert.EqualError(t, err, "celeryprobe.NewConnectionEvery(-1s): "+
		"the duration must be 0, for never, or at least 1ms and at most 8760h0m0s (a year)")
}

// After Close no attempt begins.
func TestNoNewConnectionAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New("redis://", NewConnectionEvery(10*time.Second))
		b := &fakeBroker{queues: redisLike()}
		p.use(b)
		p.Check(t.Context())
		require.NoError(t, p.Close())
		everySecond(func() probes.Result { return p.Check(t.Context()) }, time.Minute)
		assert.Zero(t, b.made)
	})
}
