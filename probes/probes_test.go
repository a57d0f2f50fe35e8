package probes_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/echo-probes/echohealth/probes"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFunc(t *testing.T) {
	cause := io.ErrUnexpectedEOF
	tests := map[string]struct {
		err    error
		status probes.Status
		reason probes.Reason
		text   string
	}{
		"nil":               {nil, probes.OK, "", ""},
		"plain":             {cause, probes.Error, "", "unexpected EOF"},
		"warn":              {probes.Warn("backlog", cause), probes.Warning, "backlog", "backlog: unexpected EOF"},
		"fail":              {probes.Fail("failed", cause), probes.Error, "failed", "failed: unexpected EOF"},
		"warn without err":  {probes.Warn("slow", nil), probes.Warning, "slow", "slow"},
		"fail without word": {probes.Fail("", cause), probes.Error, "", "unexpected EOF"},
		"wrapped warn":      {fmt.Errorf("orders: %w", probes.Warn("backlog", cause)), probes.Warning, "backlog", "orders: backlog: unexpected EOF"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			result := probes.Func(func(context.Context) error { return test.err }).Check(t.Context())
			assert.Equal(t, test.status, result.Status)
			assert.Equal(t, test.reason, result.Reason)
			if test.err == nil {
				assert.NoError(t, result.Err)
				return
			}
			assert.EqualError(t, result.Err, test.text)
		})
	}
	assert.ErrorIs(t, probes.Warn("backlog", cause), cause)
	assert.Error(t, probes.Func(nil).Validate())
	assert.NoError(t, probes.Func(func(context.Context) error { return nil }).Validate())
}

func TestReasonValid(t *testing.T) {
	for _, r := range []probes.Reason{"a", "pool_saturated", "x9_", probes.Reason(strings.Repeat("a", 32))} {
		assert.True(t, r.Valid(), r)
	}
	for _, r := range []probes.Reason{"", "9a", "_a", "A", "a-b", "a b", "ä", "a\n", probes.Reason(strings.Repeat("a", 33))} {
		assert.False(t, r.Valid(), r)
	}
}

func TestCheckDetail(t *testing.T) {
	good := []slog.Attr{
		slog.Int("pending_tasks", -1), slog.Uint64("n", math.MaxUint64), slog.Float64("ratio", 0.5), slog.Bool("read_only", true),
		slog.String("role", "master"), slog.String("v", "7.0.15"), slog.String("s", strings.Repeat("a", 64)), slog.Int(strings.Repeat("k", 64), 1),
	}
	for _, a := range good {
		assert.NoError(t, probes.CheckDetail(a))
	}
	bad := []slog.Attr{
		slog.Int("", 1), slog.Int("9a", 1), slog.Int("a b", 1), slog.Int(strings.Repeat("k", 65), 1),
		slog.String("status", "x"), slog.Int("reason", 1), slog.Int("response_time_ms", 1),
		slog.String("since", "x"), slog.String("last_ok", "x"), slog.String("error", "x"),
		slog.Float64("f", math.NaN()), slog.Float64("f", math.Inf(1)),
		slog.String("s", ""), slog.String("s", "10.0.0.1:5432"), slog.String("s", "two words"), slog.String("s", strings.Repeat("a", 65)),
		slog.Any("a", errors.New("x")), slog.Duration("d", 1), slog.Time("t", time.Now()), slog.Group("g", "a", 1),
	}
	for _, a := range bad {
		assert.Error(t, probes.CheckDetail(a), a.Key)
	}
	err := probes.CheckDetail(slog.String("dsn", "postgres://app:secret@db/app"))
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "secret")
}

func TestHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := probes.NewHeartbeat(time.Minute)
		assert.Equal(t, probes.OK, h.Check(t.Context()).Status)
		time.Sleep(time.Minute)
		assert.Equal(t, probes.OK, h.Check(t.Context()).Status, "exactly the limit is not more than the limit")
		time.Sleep(time.Second)
		result := h.Check(t.Context())
		assert.Equal(t, probes.Error, result.Status)
		assert.Equal(t, probes.ReasonStuck, result.Reason)
		assert.EqualError(t, result.Err, "the last beat was 1m1s ago, more than 1m0s")
		assert.Equal(t, []slog.Attr{slog.Int64("last_beat_ms", 61000)}, result.Details)
		h.Beat()
		assert.Equal(t, probes.OK, h.Check(t.Context()).Status)
	})
	for _, d := range []time.Duration{-1, 0, 800} {
		assert.ErrorContains(t, probes.NewHeartbeat(d).Validate(), d.String())
	}
	assert.NoError(t, probes.NewHeartbeat(time.Millisecond).Validate())
}
