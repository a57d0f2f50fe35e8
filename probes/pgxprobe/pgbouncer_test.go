package pgxprobe_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/echo-probes/echohealth/internal/reason"
	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/pgxprobe"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// An error of PgBouncer has the same reason as the error of PostgreSQL in the same situation. The probe does
// not repeat a refused login in every check.
func TestPgBouncerRefuses(t *testing.T) {
	bouncer := testserver.NewPgBouncer(t, testserver.NewPostgres(t))
	tests := map[string]struct {
		reason probes.Reason
		adjust func(*pgxpool.Config)
	}{
		"wrong password": {probes.ReasonAuthenticationFailed,
			func(c *pgxpool.Config) { c.ConnConfig.Password = "wrong" }},
		"unknown user": {probes.ReasonAuthenticationFailed,
			func(c *pgxpool.Config) { c.ConnConfig.User = "nobody" }},
		"unknown database": {probes.ReasonNotFound,
			func(c *pgxpool.Config) { c.ConnConfig.Database = "nothing" }},
		"startup parameter": {probes.ReasonMisconfigured,
			func(c *pgxpool.Config) { c.ConnConfig.RuntimeParams["statement_timeout"] = "9" }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			proxy := testserver.NewProxy(t, bouncer.Addr())
			probe := newProbe(t, newPool(t, via(t, bouncer.DSN(), proxy.Addr()), test.adjust))
			for range 3 {
				assertResult(t, probe.Check(t.Context()), probes.Error, test.reason)
			}
			assert.Equal(t, 1, proxy.Accepted())
			probe.Shift(pgxprobe.DialPause)
			assertResult(t, probe.Check(t.Context()), probes.Error, test.reason)
			assert.Equal(t, 2, proxy.Accepted())
		})
	}
}

// behindPgBouncer is a server behind a PgBouncer.
type behindPgBouncer struct {
	*testserver.Postgres
	bouncer *testserver.PgBouncer
}

// change executes statements and ends the connections, so that both log in anew.
func (b behindPgBouncer) change(t *testing.T, statements string) {
	b.Exec(t, statements)
	b.bouncer.Admin(t, "KILL app; RESUME app;")
}

// The probe notices faults of PgBouncer, or of the server behind it, on a connection that PgBouncer has
// accepted before. It also notices the end of a fault.
func TestBehindPgBouncer(t *testing.T) {
	server := testserver.NewPostgres(t)
	tests := map[string]struct {
		reason     probes.Reason
		begin, end func(t *testing.T, b behindPgBouncer)
	}{
		"paused": {probes.ReasonTimeout,
			func(t *testing.T, b behindPgBouncer) { b.bouncer.Admin(t, "PAUSE app;") },
			func(t *testing.T, b behindPgBouncer) { b.bouncer.Admin(t, "RESUME app;") }},
		"disabled": {probes.ReasonDependencyStarting,
			func(t *testing.T, b behindPgBouncer) { b.bouncer.Admin(t, "DISABLE app; KILL app;") },
			func(t *testing.T, b behindPgBouncer) { b.bouncer.Admin(t, "RESUME app; ENABLE app;") }},
		"password changed behind it": {probes.ReasonAuthenticationFailed,
			func(t *testing.T, b behindPgBouncer) { b.change(t, "ALTER ROLE app PASSWORD 'other'") },
			func(t *testing.T, b behindPgBouncer) { b.Exec(t, "ALTER ROLE app PASSWORD 'app-secret'") }},
		"PostgreSQL full": {probes.ReasonTooManyConnections,
			func(t *testing.T, b behindPgBouncer) { b.change(t, "ALTER ROLE app CONNECTION LIMIT 0") },
			func(t *testing.T, b behindPgBouncer) { b.Exec(t, "ALTER ROLE app CONNECTION LIMIT -1") }},
		"PgBouncer stopped": {probes.ReasonConnectionRefused,
			func(t *testing.T, b behindPgBouncer) { b.bouncer.Stop(t) },
			func(t *testing.T, b behindPgBouncer) { b.bouncer.Start(t) }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := behindPgBouncer{server,
				testserver.NewPgBouncer(t, server, "server_login_retry = 1")}
			pool := newPool(t, b.bouncer.DSN(), maxConns(2))
			warm(t, pool, 2)
			probe := newProbe(t, pool)
			assertResult(t, probe.Check(t.Context()), probes.OK, "")
			b.bouncer.Admin(t, "SET query_wait_timeout = 1;")
			test.begin(t, b)
			for range 2 {
				assertResult(t, probe.Check(t.Context()), probes.Error, test.reason)
			}
			test.end(t, b)
			require.EventuallyWithT(t, func(c *assert.CollectT) {
				probe.Shift(pgxprobe.DialPause)
				assert.Equal(c, probes.OK, probe.Check(t.Context()).Status)
			}, 30*time.Second, 10*time.Millisecond)
		})
	}
}

// While PostgreSQL is down, PgBouncer makes its clients wait, or refuses them after a failed login.
func TestPostgresStopsBehindPgBouncer(t *testing.T) {
	server := testserver.NewPostgres(t)
	bouncer := testserver.NewPgBouncer(t, server, "server_login_retry = 1")
	pool := newPool(t, bouncer.DSN(), maxConns(2))
	warm(t, pool, 2)
	probe := newProbe(t, pool)
	assertResult(t, probe.Check(t.Context()), probes.OK, "")
	bouncer.Admin(t, "SET query_wait_timeout = 1;")
	server.Stop(t)
	for range 4 {
		result := probe.Check(t.Context())
		assert.Equal(t, probes.Error, result.Status)
		assert.Contains(t, []probes.Reason{probes.ReasonTimeout, probes.ReasonUnreachable}, reason.Of(result.Err),
			"%v", result.Err)
		probe.Shift(pgxprobe.DialPause)
	}
	server.Start(t)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		probe.Shift(pgxprobe.DialPause)
		assert.Equal(c, probes.OK, probe.Check(t.Context()).Status)
	}, 30*time.Second, 10*time.Millisecond)
}

// If both PgBouncer and the pool are full, the pool has all connections that it may have, so the check is
// only a warning.
func TestFullPoolBehindAFullPgBouncer(t *testing.T) {
	bouncer := testserver.NewPgBouncer(t, testserver.SharedPostgres(t), "max_client_conn = 2")
	pool := newPool(t, bouncer.DSN(), maxConns(2))
	require.EventuallyWithT(t, func(c *assert.CollectT) { // wait until the connection of testserver has ended
		for range 2 {
			conn, err := pool.Acquire(context.Background())
			if assert.NoError(c, err) {
				defer conn.Release()
			}
		}
	}, 10*time.Second, time.Millisecond)
	release := take(t, pool, 2)
	probe := newProbe(t, pool)
	for range 3 {
		assertResult(t, probe.Check(t.Context()), probes.Warning, probes.ReasonPoolSaturated)
	}
	release()
	assertResult(t, probe.Check(t.Context()), probes.OK, "")
	other := newProbe(t, newPool(t, bouncer.DSN()))
	assertResult(t, other.Check(t.Context()), probes.Error, probes.ReasonTooManyConnections)
}

// PgBouncer may send a client the parameters of a server that it no longer uses.
func TestReadOnlyBehindPgBouncer(t *testing.T) {
	primary := testserver.NewPostgres(t)
	standby := primary.Standby(t)
	bouncer := testserver.NewPgBouncer(t, primary)
	pool := newPool(t, bouncer.DSN())
	warm(t, pool, 1)
	probe := newProbe(t, pool, pgxprobe.RequireWritable())
	assertResult(t, probe.Check(t.Context()), probes.OK, "")
	bouncer.Use(t, standby)
	var result probes.Result
	require.Eventually(t, func() bool { result = probe.Check(t.Context()); return result.Status == probes.Error },
		10*time.Second, 10*time.Millisecond)
	assertResult(t, result, probes.Error, probes.ReasonReadOnly)
	assert.Contains(t, result.Details, slog.Bool("read_only", true))

	fresh := newPool(t, bouncer.DSN()) // this client logged in while the server was a standby
	warm(t, fresh, 1)
	after := newProbe(t, fresh, pgxprobe.RequireWritable())
	assertResult(t, after.Check(t.Context()), probes.Error, probes.ReasonReadOnly)
	standby.Promote(t)
	for _, p := range []*pgxprobe.Probe{probe, after} {
		assertResult(t, p.Check(t.Context()), probes.OK, "")
	}
}

// The probe prepares no statement in any mode of pgx. Otherwise another client of PgBouncer could get a
// connection with that statement.
func TestEveryExecModeBehindPgBouncer(t *testing.T) {
	bouncer := testserver.NewPgBouncer(t, testserver.SharedPostgres(t), "default_pool_size = 1")
	for _, mode := range []string{"cache_statement", "cache_describe", "describe_exec", "exec", "simple_protocol"} {
		t.Run(mode, func(t *testing.T) {
			for range 3 {
				pool := newPool(t, bouncer.DSN()+"&default_query_exec_mode="+mode)
				own, writable := newProbe(t, pool), newProbe(t, pool, pgxprobe.RequireWritable())
				for _, p := range []*pgxprobe.Probe{own, writable} {
					assertResult(t, p.Check(t.Context()), probes.OK, "")
				}
				warm(t, pool, 1)
				for _, p := range []*pgxprobe.Probe{own, writable, own} {
					assertResult(t, p.Check(t.Context()), probes.OK, "")
				}
			}
		})
	}
}
