package pgxprobe_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/pgxprobe"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tenant is the key of a value that the application's requests have in their contexts, and checks do not.
type tenant struct{}

func withTenant(ctx context.Context) context.Context { return context.WithValue(ctx, tenant{}, "acme") }

var errNoTenant = errors.New("no tenant")

// wantsTenant answers (true, nil) to a context with a tenant, else what it is told to.
func wantsTenant(ok bool, err error) func(*pgxpool.Config) {
	return func(c *pgxpool.Config) {
		c.PrepareConn = func(ctx context.Context, _ *pgx.Conn) (bool, error) {
			if ctx.Value(tenant{}) != nil {
				return true, nil
			}
			return ok, err
		}
	}
}

// hooked returns a pool with four idle connections, made by calls that have a tenant.
func hooked(t *testing.T, dsn string, adjust ...func(*pgxpool.Config)) *pgxpool.Pool {
	t.Helper()
	pool := newPool(t, dsn, append(adjust, maxConns(4))...)
	var conns []*pgxpool.Conn
	for range 4 {
		conn, err := pool.Acquire(withTenant(t.Context()))
		require.NoError(t, err)
		conns = append(conns, conn)
	}
	for _, conn := range conns {
		conn.Release()
	}
	require.Eventually(t, func() bool { return pool.Stat().IdleConns() == 4 }, 10*time.Second, time.Millisecond,
		"AfterRelease runs in a goroutine of its own")
	return pool
}

// checkOften checks 50 times, and requires that the pool does not notice.
func checkOften(t *testing.T, pool *pgxpool.Pool, probe *pgxprobe.Probe,
	status probes.Status, reason probes.Reason) (last probes.Result) {
	t.Helper()
	before := pool.Stat()
	for range 50 {
		last = probe.Check(t.Context())
		assertResult(t, last, status, reason)
		require.EqualValues(t, 4, pool.Stat().IdleConns())
	}
	after := pool.Stat()
	assert.Equal(t, before.NewConnsCount(), after.NewConnsCount())
	assert.Equal(t, before.AcquireCount(), after.AcquireCount())
	assert.Equal(t, before.TotalConns(), after.TotalConns())
	return last
}

// A hook that refuses costs the pool none of its connections, and a healthy database is not red because of
// it.
func TestRefusingHooks(t *testing.T) {
	tests := map[string]struct {
		hook func(*pgxpool.Config)
		text string
	}{
		"BeforeAcquire false": {func(c *pgxpool.Config) {
			//lint:ignore SA1019 it is deprecated, but the pool still calls it
			c.BeforeAcquire = func(ctx context.Context, _ *pgx.Conn) bool { return ctx.Value(tenant{}) != nil }
		}, "BeforeAcquire"},
		"PrepareConn true, err":  {wantsTenant(true, errNoTenant), "PrepareConn refuses a connection for a check: no"},
		"PrepareConn false, err": {wantsTenant(false, errNoTenant), "PrepareConn refuses a connection for a check: no"},
		"PrepareConn false, nil": {wantsTenant(false, nil), "PrepareConn"},
		"PrepareConn panics": {func(c *pgxpool.Config) {
			c.PrepareConn = func(ctx context.Context, _ *pgx.Conn) (bool, error) {
				return ctx.Value(tenant{}).(string) != "", nil
			}
		}, "panic: interface conversion"},
		"PrepareConn closes": {func(c *pgxpool.Config) {
			c.PrepareConn = func(ctx context.Context, conn *pgx.Conn) (bool, error) {
				if ctx.Value(tenant{}) == nil {
					conn.Close(ctx)
				}
				return !conn.IsClosed(), nil
			}
		}, "PrepareConn"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			proxy := testserver.NewProxy(t, testserver.SharedPostgres(t).Addr())
			pool := hooked(t, via(t, testserver.SharedPostgres(t).DSN(), proxy.Addr()), test.hook)
			refused := newProbe(t, pool)
			result := checkOften(t, pool, refused, probes.Warning, probes.ReasonMisconfigured)
			assert.ErrorContains(t, result.Err, test.text)
			assert.ErrorContains(t, result.Err, "pgxprobe.BaseContext")
			assert.Equal(t, 5, proxy.Accepted(), "it keeps its own connection, or makes no other for 10 s")
			refused.Shift(pgxprobe.DialPause)
			assertResult(t, refused.Check(t.Context()), probes.Warning, probes.ReasonMisconfigured)
			assertResult(t, refused.Check(t.Context()), probes.Warning, probes.ReasonMisconfigured)
			assert.LessOrEqual(t, proxy.Accepted(), 6)

			base := pgxprobe.BaseContext(withTenant(context.Background()))
			checkOften(t, pool, newProbe(t, pool, base), probes.OK, "")
			proxy.Reset()
			proxy.Refuse()
			assertResult(t, newProbe(t, pool).Check(t.Context()), probes.Error, probes.ReasonConnectionRefused)
		})
	}
}

// A pool with a hook is asked only when it has lost its last connection, to know whether it is closed.
func TestClosedPoolWithHook(t *testing.T) {
	pool := hooked(t, testserver.SharedPostgres(t).DSN(), wantsTenant(false, nil))
	probe := newProbe(t, pool, pgxprobe.BaseContext(withTenant(context.Background())))
	assertResult(t, probe.Check(t.Context()), probes.OK, "")
	pool.Close()
	for range 2 {
		assertResult(t, probe.Check(t.Context()), probes.Error, probes.ReasonClientClosed)
	}
}

// A pool that closes what it gets back has the same right to be left alone.
func TestAfterRelease(t *testing.T) {
	keep := atomic.Bool{}
	keep.Store(true)
	pool := hooked(t, testserver.SharedPostgres(t).DSN(), func(c *pgxpool.Config) {
		c.AfterRelease = func(*pgx.Conn) bool { return keep.Load() }
	})
	keep.Store(false)
	checkOften(t, pool, newProbe(t, pool), probes.OK, "")
}

// The hooks are called on the probe's connection as on the pool's: in pairs, and what they cancel behind is
// not kept.
func TestHooksInPairs(t *testing.T) {
	server := testserver.SharedPostgres(t)
	proxy := testserver.NewProxy(t, server.Addr())
	var calls []string
	statement, keep := "SELECT 1", func() bool { return true }
	pool := newPool(t, via(t, server.DSN(), proxy.Addr()), func(c *pgxpool.Config) {
		c.PrepareConn = func(ctx context.Context, conn *pgx.Conn) (bool, error) {
			calls = append(calls, "prepare")
			_, err := conn.Exec(ctx, statement)
			return true, err
		}
		c.AfterRelease = func(*pgx.Conn) bool { calls = append(calls, "release"); return keep() }
	})
	probe := newProbe(t, pool)
	check := func(status probes.Status, reason probes.Reason, accepted int, called ...string) {
		t.Helper()
		calls = nil
		assertResult(t, probe.Check(t.Context()), status, reason)
		assert.Equal(t, called, calls)
		assert.Equal(t, accepted, proxy.Accepted())
	}
	check(probes.OK, "", 1, "prepare", "release")
	check(probes.OK, "", 1, "prepare", "release")
	keep = func() bool { return false }
	check(probes.OK, "", 1, "prepare", "release")
	assertOwnConnections(t, server, 0)
	keep = func() bool { panic("release") }
	check(probes.OK, "", 2, "prepare", "release")
	assertOwnConnections(t, server, 0)
	statement, keep = "BEGIN", func() bool { return true }
	check(probes.OK, "", 3, "prepare")
	assertOwnConnections(t, server, 0)
	statement = "SELECT 1 FROM pg_authid"
	check(probes.Error, probes.ReasonPermissionDenied, 4, "prepare")
	statement = "SELECT pg_terminate_backend(pg_backend_pid())"
	check(probes.Error, probes.ReasonDependencyStarting, 5, "prepare", "prepare") // the second on a new connection
	statement = "SELECT 1"
	check(probes.OK, "", 6, "prepare", "release")
}

// A connection that the hook had taken and then refuses is replaced, at once: it may be too old for the hook.
func TestHookThatRefusesAnOldConnection(t *testing.T) {
	server := testserver.SharedPostgres(t)
	var refused *pgx.Conn
	refuse := false
	pool := newPool(t, server.DSN(), func(c *pgxpool.Config) {
		c.PrepareConn = func(_ context.Context, conn *pgx.Conn) (bool, error) {
			if refuse {
				refuse, refused = false, conn
			}
			return conn != refused, nil
		}
	})
	probe := newProbe(t, pool)
	assertResult(t, probe.Check(t.Context()), probes.OK, "")
	refuse = true
	assertResult(t, probe.Check(t.Context()), probes.OK, "")
	assertOwnConnections(t, server, 1)
	assert.True(t, refused.IsClosed())
}

// A hook that works again is seen to at once, on the connection that it refused.
func TestHookThatRecovers(t *testing.T) {
	var err error
	pool := newPool(t, testserver.SharedPostgres(t).DSN(), func(c *pgxpool.Config) {
		c.PrepareConn = func(context.Context, *pgx.Conn) (bool, error) { return err == nil, err }
	})
	probe := newProbe(t, pool)
	err = errNoTenant
	assertResult(t, probe.Check(t.Context()), probes.Warning, probes.ReasonMisconfigured)
	err = context.DeadlineExceeded // of a call to another service
	assertResult(t, probe.Check(t.Context()), probes.Warning, probes.ReasonTimeout)
	err = nil
	assertResult(t, probe.Check(t.Context()), probes.OK, "")
}

// A hook that hangs is seen as a timeout.
func TestHookThatHangs(t *testing.T) {
	pool := newPool(t, testserver.SharedPostgres(t).DSN(), func(c *pgxpool.Config) {
		c.PrepareConn = func(ctx context.Context, _ *pgx.Conn) (bool, error) { <-ctx.Done(); return false, ctx.Err() }
	})
	probe := newProbe(t, pool)
	probe.SetRunLimit(time.Second)
	for range 2 {
		assertResult(t, probe.Check(context.Background()), probes.Error, probes.ReasonTimeout)
	}
}

// A full pool is what the application needs to know first.
func TestFullPoolWithRefusingHook(t *testing.T) {
	pool := hooked(t, testserver.SharedPostgres(t).DSN(), wantsTenant(false, nil))
	for range 4 {
		conn, err := pool.Acquire(withTenant(t.Context()))
		require.NoError(t, err)
		t.Cleanup(conn.Release)
	}
	assertResult(t, newProbe(t, pool).Check(t.Context()), probes.Warning, probes.ReasonPoolSaturated)
}

// A panic in the pool costs it a connection for good, and the probe no second one.
func TestPanicInThePool(t *testing.T) {
	panics := false
	pool, err := pgxpool.NewWithConfig(t.Context(), panickingPing(t, &panics)) // it can't be closed any more
	require.NoError(t, err)
	warm(t, pool, 4)
	panics = true
	probe := newProbe(t, pool)
	assertResult(t, probe.Check(t.Context()), probes.Error, probes.ReasonPanic)
	for range 10 {
		assertResult(t, probe.Check(t.Context()), probes.OK, "")
	}
	assert.EqualValues(t, 3, pool.Stat().IdleConns())
	panics = false
	for range 3 {
		conn, err := pool.Acquire(t.Context())
		require.NoError(t, err)
		conn.Conn().Close(t.Context())
		conn.Release()
	}
}

func panickingPing(t *testing.T, panics *bool) *pgxpool.Config {
	config, err := pgxpool.ParseConfig(testserver.SharedPostgres(t).DSN() + "&pool_max_conns=4")
	require.NoError(t, err)
	config.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool {
		if *panics {
			panic("ping")
		}
		return false
	}
	return config
}

// The hooks of a connection's making see the values too, and the deadline of the base context does not count.
func TestBaseContext(t *testing.T) {
	ended, cancel := context.WithCancel(withTenant(context.Background()))
	cancel()
	var seen []any
	pool := newPool(t, testserver.SharedPostgres(t).DSN(), func(c *pgxpool.Config) {
		c.BeforeConnect = func(ctx context.Context, _ *pgx.ConnConfig) error {
			seen = append(seen, ctx.Value(tenant{}))
			return nil
		}
		c.AfterConnect = func(ctx context.Context, _ *pgx.Conn) error {
			seen = append(seen, ctx.Value(tenant{}))
			return nil
		}
		c.ShouldPing = func(ctx context.Context, _ pgxpool.ShouldPingParams) bool {
			seen = append(seen, ctx.Value(tenant{}))
			return false
		}
	})
	probe := newProbe(t, pool, pgxprobe.BaseContext(ended))
	assertResult(t, probe.Check(t.Context()), probes.OK, "")
	assert.Equal(t, []any{"acme", "acme"}, seen)
	warm(t, pool, 1)
	seen = nil
	assertResult(t, probe.Check(t.Context()), probes.OK, "")
	assert.Equal(t, []any{"acme"}, seen)
}
