package pgxprobe_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The probe notices immediately when a server stops and when it starts again, with and without connections in
// the pool.
func TestRestart(t *testing.T) {
	for _, idle := range []int{0, 4} {
		t.Run(fmt.Sprint(idle, " idle"), func(t *testing.T) {
			server := testserver.NewPostgres(t)
			pool := newPool(t, server.DSN(), maxConns(4))
			warm(t, pool, idle)
			checks := &checker{probe: newProbe(t, pool), timeout: patient}
			assertResult(t, checks.check(), probes.OK, "")
			server.Stop(t)
			for range 3 {
				assertResult(t, checks.check(), probes.Error, probes.ReasonConnectionRefused)
			}
			server.Start(t)
			assertResult(t, checks.check(), probes.OK, "")

			warm(t, pool, idle)
			server.Kill(t)
			server.Start(t)
			assertResult(t, checks.check(), probes.OK, "")
		})
	}
}

// 60 checks against a frozen server use at most one of the pool's four connections, and only once, because
// after the first timeout the probe uses its own connection.
func TestFrozenServer(t *testing.T) {
	server := testserver.NewPostgres(t)
	pings := map[string]bool{"used within a second": false, "idle for longer": true}
	for name, ping := range pings {
		t.Run(name, func(t *testing.T) {
			pool := newPool(t, server.DSN(), maxConns(4), func(c *pgxpool.Config) {
				c.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return ping }
			})
			warm(t, pool, 4)
			probe := newProbe(t, pool)
			checks := &checker{probe: probe, timeout: patient}
			assertResult(t, checks.check(), probes.OK, "")
			probe.SetRunLimit(time.Second)
			checks.timeout = 100 * time.Millisecond
			server.Freeze(t)
			defer server.Thaw(t)
			acquired := pool.Stat().AcquireCount()
			goroutines := runtime.NumGoroutine()
			for range 60 {
				assertResult(t, checks.check(), probes.Error, probes.ReasonTimeout)
				assert.LessOrEqual(t, pool.Stat().AcquiredConns(), int32(1))
				assert.LessOrEqual(t, runtime.NumGoroutine()-goroutines, 8)
			}
			assert.Equal(t, acquired+1, pool.Stat().AcquireCount())
			assert.EqualValues(t, 4, pool.Stat().NewConnsCount())

			server.Thaw(t)
			thawed := time.Now()
			_, err := pool.Exec(t.Context(), "SELECT 1")
			require.NoError(t, err)
			app := time.Since(thawed)
			assert.EqualValues(t, 4, pool.Stat().NewConnsCount(), "the application had a connection at once")
			for checks.check().Status != probes.OK && time.Since(thawed) < time.Minute {
			}
			t.Logf("after the thaw: the application's first success %s, the check's %s", app, time.Since(thawed))
			assert.Less(t, time.Since(thawed), 30*time.Second)
		})
	}
}

// The probe notices that a frozen database answers again, even if the last dial got no answer and the pool
// has no connection.
func TestThaw(t *testing.T) {
	server := testserver.NewPostgres(t)
	pool := newPool(t, server.DSN()+"&connect_timeout=2")
	probe := newProbe(t, pool)
	checks := &checker{probe: probe, timeout: timeout}
	server.Freeze(t)
	defer server.Thaw(t)
	for range 5 { // for longer than connect_timeout
		assertResult(t, checks.check(), probes.Error, probes.ReasonTimeout)
	}
	server.Thaw(t)
	thawed := time.Now()
	for checks.check().Status != probes.OK && time.Since(thawed) < time.Minute {
	}
	assert.Less(t, time.Since(thawed), 8*time.Second)
}

// If a database always takes longer to answer than the check's timeout, the check is never ok, because an
// answer to an earlier check's query does not count for the next check.
func TestAlwaysTooSlow(t *testing.T) {
	server := testserver.SharedPostgres(t)
	proxy := testserver.NewProxy(t, server.Addr())
	pool := newPool(t, via(t, server.DSN(), proxy.Addr()), maxConns(2))
	warm(t, pool, 2)
	probe := newProbe(t, pool)
	within := func(d time.Duration) probes.Result {
		ctx, cancel := context.WithTimeout(t.Context(), d)
		defer cancel()
		return probe.Check(ctx)
	}
	assertResult(t, within(5*time.Second), probes.OK, "")
	proxy.Delay(time.Second)
	for range 4 {
		assertResult(t, within(600*time.Millisecond), probes.Error, probes.ReasonTimeout)
	}
	proxy.Pass()
	assertResult(t, within(5*time.Second), probes.OK, "")
	assert.EqualValues(t, 2, pool.Stat().NewConnsCount(), "the application's connections are still there")
}
