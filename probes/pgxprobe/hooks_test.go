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
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tenant is the key of a value that the application's requests have in their contexts, and checks do not.
type tenant struct{}

func withTenant(ctx context.Context) context.Context { return context.WithValue(ctx, tenant{}, "acme") }

var errNoTenant = errors.New("no tenant")

// wantsTenant sets a hook that accepts a context with a tenant, and returns ok and err for any other context.
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

// checkOften checks 50 times, and requires that the pool loses no connection.
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

// A hook that refuses a check or panics costs the pool none of its connections, from the first check on.
func TestRefusingHooks(t *testing.T) {
	tests := map[string]func(*pgxpool.Config){
		"BeforeAcquire false": func(c *pgxpool.Config) {
			//lint:ignore SA1019 it is deprecated, but the pool still calls it
			c.BeforeAcquire = func(ctx context.Context, _ *pgx.Conn) bool { return ctx.Value(tenant{}) != nil }
		},
		"BeforeAcquire panics": func(c *pgxpool.Config) {
			//lint:ignore SA1019 it is deprecated, but the pool still calls it
			c.BeforeAcquire = func(ctx context.Context, _ *pgx.Conn) bool { return ctx.Value(tenant{}).(string) != "" }
		},
		"PrepareConn true, err":  wantsTenant(true, errNoTenant),
		"PrepareConn false, err": wantsTenant(false, errNoTenant),
		"PrepareConn false, nil": wantsTenant(false, nil),
		"PrepareConn panics": func(c *pgxpool.Config) {
			c.PrepareConn = func(ctx context.Context, _ *pgx.Conn) (bool, error) {
				return ctx.Value(tenant{}).(string) != "", nil
			}
		},
		"PrepareConn closes": func(c *pgxpool.Config) {
			c.PrepareConn = func(ctx context.Context, conn *pgx.Conn) (bool, error) {
				if ctx.Value(tenant{}) == nil {
					conn.Close(ctx)
				}
				return !conn.IsClosed(), nil
			}
		},
	}
	for name, hook := range tests {
		t.Run(name, func(t *testing.T) {
			proxy := testserver.NewProxy(t, testserver.SharedPostgres(t).Addr())
			pool := hooked(t, via(t, testserver.SharedPostgres(t).DSN(), proxy.Addr()), hook)
			checkOften(t, pool, newProbe(t, pool), probes.OK, "")
			assert.Equal(t, 5, proxy.Accepted(), "it keeps its own connection")
			proxy.Reset()
			proxy.Refuse()
			assertResult(t, newProbe(t, pool).Check(t.Context()), probes.Error, probes.ReasonConnectionRefused)
		})
	}
}

// To find out whether a pool is closed, the probe makes an open pool dial a connection, and calls no hook for
// it.
func TestEmptyPoolWithHook(t *testing.T) {
	pool := hooked(t, testserver.SharedPostgres(t).DSN(), func(c *pgxpool.Config) {
		c.PrepareConn = func(ctx context.Context, _ *pgx.Conn) (bool, error) {
			return ctx.Value(tenant{}).(string) != "", nil
		}
	})
	probe := newProbe(t, pool)
	for made := int64(5); made < 10; made++ {
		pool.Reset()
		require.Eventually(t, func() bool { return pool.Stat().TotalConns() == 0 }, 10*time.Second, time.Millisecond)
		for range 5 {
			assertResult(t, probe.Check(t.Context()), probes.OK, "")
		}
		require.Eventually(t, func() bool { return pool.Stat().IdleConns() == 1 }, 10*time.Second, time.Millisecond,
			"the pool can use the connection")
		assertResult(t, probe.Check(t.Context()), probes.OK, "") // the probe sees that the pool has a connection
		assert.Equal(t, made, pool.Stat().NewConnsCount())
	}
}

// A pool with a hook is used only after it has lost its last connection, to find out whether it is closed.
func TestClosedPoolWithHook(t *testing.T) {
	pool := hooked(t, testserver.SharedPostgres(t).DSN(), wantsTenant(false, nil))
	probe := newProbe(t, pool)
	assertResult(t, probe.Check(t.Context()), probes.OK, "")
	pool.Close()
	for range 2 {
		assertResult(t, probe.Check(t.Context()), probes.Error, probes.ReasonClientClosed)
	}
}

// The probe does not use a pool with an AfterRelease hook either.
func TestAfterRelease(t *testing.T) {
	keep := atomic.Bool{}
	keep.Store(true)
	pool := hooked(t, testserver.SharedPostgres(t).DSN(), func(c *pgxpool.Config) {
		c.AfterRelease = func(*pgx.Conn) bool { return keep.Load() }
	})
	keep.Store(false)
	checkOften(t, pool, newProbe(t, pool), probes.OK, "")
}

// A full pool is reported, even if its hook refuses checks.
func TestFullPoolWithRefusingHook(t *testing.T) {
	pool := hooked(t, testserver.SharedPostgres(t).DSN(), wantsTenant(false, nil))
	for range 4 {
		conn, err := pool.Acquire(withTenant(t.Context()))
		require.NoError(t, err)
		t.Cleanup(conn.Release)
	}
	assertResult(t, newProbe(t, pool).Check(t.Context()), probes.Warning, probes.ReasonPoolSaturated)
}

// A panic in the pool's Acquire costs the pool a connection. The probe does not cause a second panic.
func TestPanicInThePool(t *testing.T) {
	panics := false
	pool, err := pgxpool.NewWithConfig(t.Context(), panickingPing(t, &panics)) // the pool can't be closed after the panic
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

// The hooks that are called for a new connection see the values of the base context, but not its deadline.
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

// connectHooks are hooks of a new connection that panic for a context without a tenant.
var connectHooks = map[string]func(*pgxpool.Config){
	"BeforeConnect": func(c *pgxpool.Config) {
		c.BeforeConnect = func(ctx context.Context, _ *pgx.ConnConfig) error {
			_ = ctx.Value(tenant{}).(string)
			return nil
		}
	},
	"AfterConnect": func(c *pgxpool.Config) {
		c.AfterConnect = func(ctx context.Context, _ *pgx.Conn) error {
			_ = ctx.Value(tenant{}).(string)
			return nil
		}
	},
	"AfterConnect of pgconn": func(c *pgxpool.Config) {
		c.ConnConfig.AfterConnect = func(ctx context.Context, _ *pgconn.PgConn) error {
			_ = ctx.Value(tenant{}).(string)
			return nil
		}
	},
	"ConnectTracer": func(c *pgxpool.Config) { c.ConnConfig.Tracer = tenantTracer{} },
}

type tenantTracer struct{}

func (tenantTracer) TraceConnectStart(ctx context.Context, _ pgx.TraceConnectStartData) context.Context {
	_ = ctx.Value(tenant{}).(string)
	return ctx
}
func (tenantTracer) TraceConnectEnd(context.Context, pgx.TraceConnectEndData) {}
func (tenantTracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}
func (tenantTracer) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// pingAlways makes the pool ping a connection before it hands it out. If the ping fails, the pool makes a new
// connection for the caller.
func pingAlways(c *pgxpool.Config) {
	c.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return true }
}

// If the pool made a connection for a check, a panic of such a hook would end the process, also this test's.
func TestPanickingConnectHooks(t *testing.T) {
	for name, hook := range connectHooks {
		t.Run(name, func(t *testing.T) {
			proxy := testserver.NewProxy(t, testserver.SharedPostgres(t).Addr())
			pool := hooked(t, via(t, testserver.SharedPostgres(t).DSN(), proxy.Addr()), hook, pingAlways)
			before := pool.Stat()
			probe := newProbe(t, pool)
			for i := range 60 {
				if i == 30 {
					proxy.Reset() // all connections of the pool are dead now
				}
				result := probe.Check(t.Context())
				assertResult(t, result, probes.Error, probes.ReasonPanic)
				require.ErrorContains(t, result.Err, "pgxprobe.BaseContext")
				probe.Shift(time.Second)
			}
			assert.Equal(t, before.NewConnsCount(), pool.Stat().NewConnsCount())
			assert.Equal(t, before.AcquireCount(), pool.Stat().AcquireCount())
			assert.LessOrEqual(t, proxy.Accepted(), 4+6, "one dial in 10 s")
			assert.Eventually(t, func() bool { return proxy.Open() == 0 }, 10*time.Second, time.Millisecond,
				"the probe closes the connection for which the hook panicked")
			require.NoError(t, probe.Close())
			probe = newProbe(t, pool, pgxprobe.BaseContext(withTenant(context.Background())))
			for range 10 {
				assertResult(t, probe.Check(t.Context()), probes.OK, "")
			}
			for range 4 { // the pool replaces its dead connections
				conn, err := pool.Acquire(withTenant(t.Context()))
				require.NoError(t, err)
				defer conn.Release()
			}
		})
	}
}

// A hook that accepts a check's context costs one connection of the probe. From the second check on the probe
// uses the pool.
func TestAcceptingConnectHook(t *testing.T) {
	proxy := testserver.NewProxy(t, testserver.SharedPostgres(t).Addr())
	pool := hooked(t, via(t, testserver.SharedPostgres(t).DSN(), proxy.Addr()), func(c *pgxpool.Config) {
		c.AfterConnect = func(context.Context, *pgx.Conn) error { return nil }
	})
	probe := newProbe(t, pool)
	before := pool.Stat().AcquireCount()
	for checks := range int64(10) {
		assertResult(t, probe.Check(t.Context()), probes.OK, "")
		assert.Equal(t, before+checks, pool.Stat().AcquireCount())
	}
	assert.Equal(t, 5, proxy.Accepted())
	assert.Eventually(t, func() bool { return proxy.Open() == 4 }, 10*time.Second, time.Millisecond)
}

// If the probe's own connection is refused, an idle connection of the pool decides.
func TestRefusedFirstConnection(t *testing.T) {
	var refuse atomic.Bool
	pool := hooked(t, testserver.SharedPostgres(t).DSN(), func(c *pgxpool.Config) {
		c.BeforeConnect = func(context.Context, *pgx.ConnConfig) error {
			if refuse.Load() {
				return errors.New("no token")
			}
			return nil
		}
	})
	refuse.Store(true)
	probe := newProbe(t, pool)
	for range 3 {
		assertResult(t, probe.Check(t.Context()), probes.OK, "")
	}
	assert.EqualValues(t, 4, pool.Stat().IdleConns())
}

// A BeforeClose that panics leaves no connection open.
func TestPanickingBeforeClose(t *testing.T) {
	proxy := testserver.NewProxy(t, testserver.SharedPostgres(t).Addr())
	pool := newPool(t, via(t, testserver.SharedPostgres(t).DSN(), proxy.Addr()), func(c *pgxpool.Config) {
		c.BeforeClose = func(*pgx.Conn) { panic("closing") }
	})
	probe := newProbe(t, pool)
	for range 3 {
		assert.Panics(t, func() { _ = probe.ConnectAnew(t.Context()) })
	}
	assert.Equal(t, 3, proxy.Accepted())
	assert.Eventually(t, func() bool { return proxy.Open() == 0 }, 10*time.Second, time.Millisecond)
}
