package pgxprobe_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/echo-probes/echohealth/internal/leaktest"
	"github.com/echo-probes/echohealth/internal/reason"
	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/pgxprobe"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { testserver.Main(m) }

const (
	// timeout is the default timeout of a check.
	timeout = 800 * time.Millisecond

	// patient is a longer timeout, for tests with a real server in which a slow machine must not change the
	// result.
	patient = 4 * time.Second
)

// checker runs a probe as the health checks do. The probe's context may last longer than the check's timeout,
// and at most one run is in progress.
type checker struct {
	probe   probes.Probe
	timeout time.Duration
	pending chan probes.Result // result of a run that took longer than the timeout
}

func (c *checker) check() probes.Result {
	if c.pending == nil {
		pending := make(chan probes.Result, 1)
		c.pending = pending
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			pending <- c.probe.Check(ctx)
		}()
	}
	select {
	case result := <-c.pending:
		c.pending = nil
		if result.Status != probes.OK && result.Reason == "" {
			result.Reason = reason.Of(result.Err)
		}
		return result
	case <-time.After(c.timeout):
		return probes.Result{Status: probes.Error, Reason: probes.ReasonTimeout, Err: context.DeadlineExceeded}
	}
}

// newProbe returns a probe that is closed before its pool.
func newProbe(t testing.TB, pool *pgxpool.Pool, opts ...pgxprobe.Option) *pgxprobe.Probe {
	t.Helper()
	probe := pgxprobe.New(pool, opts...)
	require.NoError(t, probe.Validate())
	t.Cleanup(func() { assert.NoError(t, probe.Close()) })
	return probe
}

func newPool(t testing.TB, dsn string, adjust ...func(*pgxpool.Config)) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(dsn)
	require.NoError(t, err)
	for _, a := range adjust {
		a(config)
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

func maxConns(n int32) func(*pgxpool.Config) {
	return func(c *pgxpool.Config) { c.MaxConns = n }
}

// via returns dsn with another address, such as the address of a proxy.
func via(t testing.TB, dsn, addr string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	u.Host = addr
	return u.String()
}

// take acquires n connections, and returns a function that releases them.
func take(t testing.TB, pool *pgxpool.Pool, n int) (release func()) {
	t.Helper()
	var conns []*pgxpool.Conn
	for range n {
		conn, err := pool.Acquire(t.Context())
		require.NoError(t, err)
		conns = append(conns, conn)
	}
	release = func() {
		for _, conn := range conns {
			conn.Release()
		}
	}
	t.Cleanup(release) // runs before the pool is closed, because that waits for the connections
	return release
}

// warm makes the pool have n idle connections.
func warm(t testing.TB, pool *pgxpool.Pool, n int) {
	t.Helper()
	take(t, pool, n)()
	require.EqualValues(t, n, pool.Stat().IdleConns())
}

func assertResult(t testing.TB, result probes.Result, status probes.Status, want probes.Reason) {
	t.Helper()
	if result.Reason == "" && result.Status != probes.OK {
		result.Reason = reason.Of(result.Err)
	}
	assert.Equal(t, status, result.Status, "%s: %v", result.Reason, result.Err)
	assert.Equal(t, want, result.Reason, "%v", result.Err)
	assert.Equal(t, status == probes.OK, result.Err == nil)
	for _, detail := range result.Details {
		assert.NoError(t, probes.CheckDetail(detail))
	}
}

// ownConnections counts the probes' own connections by their name.
func ownConnections(t testing.TB, server *testserver.Postgres) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server.AdminDSN())
	require.NoError(t, err)
	defer conn.Close(context.Background())
	err = conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'echohealth'").Scan(&n)
	require.NoError(t, err)
	return n
}

func assertOwnConnections(t testing.TB, server *testserver.Postgres, want int) {
	t.Helper()
	assert.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.Equal(c, want, ownConnections(t, server))
	}, 20*time.Second, 10*time.Millisecond)
}

func TestIdlePool(t *testing.T) {
	server := testserver.SharedPostgres(t)
	pool := newPool(t, server.DSN(), maxConns(4))
	warm(t, pool, 2)
	take(t, pool, 1)
	result := newProbe(t, pool).Check(t.Context())
	assertResult(t, result, probes.OK, "")
	assert.Equal(t, []slog.Attr{slog.Int("pool_in_use", 1), slog.Int("pool_idle", 1), slog.Int("pool_max", 4)}, result.Details)
	assert.EqualValues(t, 2, pool.Stat().NewConnsCount())
	assert.EqualValues(t, 1, pool.Stat().AcquiredConns(), "the probe gives its connection back")
	assertOwnConnections(t, server, 0)
}

// The probe does not use a pool without an idle connection. It uses the pool again once there is an idle one.
func TestOwnConnection(t *testing.T) {
	server := testserver.SharedPostgres(t)
	pool := newPool(t, server.DSN())
	probe := newProbe(t, pool)
	for range 3 {
		assertResult(t, probe.Check(t.Context()), probes.OK, "")
	}
	assertOwnConnections(t, server, 1)
	assert.Zero(t, pool.Stat().NewConnsCount())

	warm(t, pool, 1)
	assertResult(t, probe.Check(t.Context()), probes.OK, "")
	assertOwnConnections(t, server, 0)
	assert.EqualValues(t, 1, pool.Stat().NewConnsCount())
}

func TestFullPool(t *testing.T) {
	proxy := testserver.NewProxy(t, testserver.SharedPostgres(t).Addr())
	pool := newPool(t, via(t, testserver.SharedPostgres(t).DSN(), proxy.Addr()), maxConns(2))
	probe := newProbe(t, pool)
	release := take(t, pool, 2)
	before := pool.Stat()
	for range 3 {
		result := probe.Check(t.Context())
		assertResult(t, result, probes.Warning, probes.ReasonPoolSaturated)
		assert.Equal(t, []slog.Attr{slog.Int("pool_in_use", 2), slog.Int("pool_idle", 0), slog.Int("pool_max", 2)}, result.Details)
	}
	assert.Equal(t, 3, proxy.Accepted(), "its own connection is kept")
	assert.Equal(t, before.AcquireCount(), pool.Stat().AcquireCount(), "it never queues")
	assert.Equal(t, before.CanceledAcquireCount(), pool.Stat().CanceledAcquireCount(), "it never queues")

	release()
	assertResult(t, probe.Check(t.Context()), probes.OK, "")
	assert.EqualValues(t, 2, pool.Stat().NewConnsCount())
}

// The application takes the last idle connection after the probe has seen it.
func TestLostRace(t *testing.T) {
	pool := newPool(t, testserver.SharedPostgres(t).DSN(), maxConns(1))
	probe := newProbe(t, pool)
	take(t, pool, 1)
	start := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	assert.ErrorIs(t, probe.Acquire(ctx), pgxprobe.ErrNoneIdle)
	assert.Less(t, time.Since(start), 5*time.Second)
}

// The pool may have as many connections as the limit of its role, so the server refuses the probe's own.
func TestFullPoolAtTheServersLimit(t *testing.T) {
	server := testserver.NewPostgres(t)
	server.Exec(t, "ALTER ROLE app CONNECTION LIMIT 2")
	proxy := testserver.NewProxy(t, server.Addr())
	pool := newPool(t, via(t, server.DSN(), proxy.Addr()), maxConns(2))
	probe := newProbe(t, pool)
	release := take(t, pool, 2)
	for range 3 {
		assertResult(t, probe.Check(t.Context()), probes.Warning, probes.ReasonPoolSaturated)
	}
	assert.Equal(t, 3, proxy.Accepted(), "a failed dial must not be repeated immediately")
	probe.Shift(pgxprobe.DialPause)
	assertResult(t, probe.Check(t.Context()), probes.Warning, probes.ReasonPoolSaturated)
	assert.Equal(t, 4, proxy.Accepted())

	release()
	assertResult(t, probe.Check(t.Context()), probes.OK, "")

	other := newPool(t, server.DSN(), maxConns(2))
	assertResult(t, newProbe(t, other).Check(t.Context()), probes.Error, probes.ReasonTooManyConnections)
}

func TestFullPoolWithoutDatabase(t *testing.T) {
	proxy := testserver.NewProxy(t, testserver.SharedPostgres(t).Addr())
	pool := newPool(t, via(t, testserver.SharedPostgres(t).DSN(), proxy.Addr()), maxConns(2))
	take(t, pool, 2)
	probe := newProbe(t, pool)
	checks := &checker{probe: probe, timeout: patient}
	assertResult(t, checks.check(), probes.Warning, probes.ReasonPoolSaturated)
	proxy.Stall()
	checks.timeout = timeout
	assertResult(t, checks.check(), probes.Error, probes.ReasonTimeout)
	checks.timeout = patient
	proxy.Refuse()
	<-checks.pending // the run ends because its connection was reset
	checks.pending = nil
	assertResult(t, checks.check(), probes.Error, probes.ReasonConnectionRefused)
	proxy.Pass()
	assertResult(t, checks.check(), probes.Warning, probes.ReasonPoolSaturated)
}

// Dials without an answer, which last 2 minutes without connect_timeout, fill a pool like queries do.
func TestPoolFullOfDials(t *testing.T) {
	server := testserver.SharedPostgres(t)
	proxy := testserver.NewProxy(t, server.Addr())
	pool := newPool(t, via(t, server.DSN(), proxy.Addr()), maxConns(2))
	proxy.Silent()
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err := pool.Acquire(ctx)
		require.Error(t, err)
		cancel()
	}
	require.EqualValues(t, 2, pool.Stat().ConstructingConns())
	proxy.Pass()
	assertResult(t, newProbe(t, pool).Check(t.Context()), probes.Warning, probes.ReasonPoolSaturated)
}

// After a query without an answer the probe does not use the pool until the database has answered. A refusal
// because of the connection limit is an answer too.
func TestPoolIsUsedAgainAfterAnAnswer(t *testing.T) {
	server := testserver.NewPostgres(t)
	proxy := testserver.NewProxy(t, server.Addr())
	pool := newPool(t, via(t, server.DSN(), proxy.Addr()), maxConns(3))
	warm(t, pool, 3)
	server.Exec(t, "ALTER ROLE app CONNECTION LIMIT 1")
	probe := newProbe(t, pool)
	probe.SetRunLimit(200 * time.Millisecond)
	proxy.Stall()
	assertResult(t, probe.Check(t.Context()), probes.Error, probes.ReasonTimeout)
	assert.EqualValues(t, 2, pool.Stat().IdleConns())
	assert.EqualValues(t, 2, pool.Stat().TotalConns(), "the third place must be free for the application immediately")
	acquired := pool.Stat().AcquireCount()
	assertResult(t, probe.Check(t.Context()), probes.Error, probes.ReasonTimeout)
	assert.Equal(t, acquired, pool.Stat().AcquireCount())
	proxy.Pass()
	probe.SetRunLimit(pgxprobe.DialPause)
	probe.Shift(pgxprobe.DialPause)
	assertResult(t, probe.Check(t.Context()), probes.OK, "")
	assert.Equal(t, acquired+1, pool.Stat().AcquireCount())
}

func TestPoolStuck(t *testing.T) {
	pool := newPool(t, testserver.SharedPostgres(t).DSN(), maxConns(1))
	probe := newProbe(t, pool)
	release := take(t, pool, 1)
	fail := func() {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		defer cancel()
		_, err := pool.Acquire(ctx)
		require.Error(t, err)
	}
	assertResult(t, probe.Check(t.Context()), probes.Warning, probes.ReasonPoolSaturated)
	fail()
	assertResult(t, probe.Check(t.Context()), probes.Warning, probes.ReasonPoolSaturated)
	fail()
	probe.Shift(15 * time.Second)
	assertResult(t, probe.Check(t.Context()), probes.Warning, probes.ReasonPoolSaturated)
	fail()
	probe.Shift(20 * time.Second)
	assertResult(t, probe.Check(t.Context()), probes.Error, probes.ReasonPoolStuck)

	release()
	take(t, pool, 1)
	assertResult(t, probe.Check(t.Context()), probes.Warning, probes.ReasonPoolSaturated)
}

// A database slower than the check's timeout costs the application's pool no connection.
func TestNoChurn(t *testing.T) {
	server := testserver.SharedPostgres(t)
	tests := map[string]func(*pgxprobe.Probe) func(){
		"as a health check": func(p *pgxprobe.Probe) func() {
			checks := &checker{probe: p, timeout: 10 * time.Millisecond}
			return func() { checks.check() }
		},
		"called with a short context": func(p *pgxprobe.Probe) func() {
			return func() {
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
				defer cancel()
				p.Check(ctx)
			}
		},
	}
	for name, check := range tests {
		t.Run(name, func(t *testing.T) {
			proxy := testserver.NewProxy(t, server.Addr())
			pool := newPool(t, via(t, server.DSN(), proxy.Addr()), maxConns(4))
			warm(t, pool, 2)
			proxy.Delay(30 * time.Millisecond)
			once := check(newProbe(t, pool))
			for range 50 {
				once()
			}
			assert.EqualValues(t, 2, pool.Stat().NewConnsCount())
			assert.Equal(t, 2, proxy.Accepted())
		})
	}
}

func TestSlowPing(t *testing.T) {
	server := testserver.SharedPostgres(t)
	proxy := testserver.NewProxy(t, server.Addr())
	pool := newPool(t, via(t, server.DSN(), proxy.Addr()), maxConns(1), func(c *pgxpool.Config) {
		c.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return true } // as if each connection were unused for a second
	})
	warm(t, pool, 1)
	proxy.Delay(250 * time.Millisecond)
	probe := newProbe(t, pool)
	assert.NotEqual(t, probes.Error, probe.Check(t.Context()).Status)
	assert.EqualValues(t, 1, pool.Stat().NewConnsCount(), "the probe leaves the connection to the pool's ping")
}

// A closed connection in the pool is not an outage, even if all connections of the pool are closed.
func TestStaleConnections(t *testing.T) {
	server := testserver.SharedPostgres(t)
	stale := map[string]func(t *testing.T, proxy *testserver.Proxy){
		"terminated": func(t *testing.T, _ *testserver.Proxy) {
			server.Exec(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'stale'")
		},
		"reset": func(_ *testing.T, proxy *testserver.Proxy) { proxy.Reset() },
	}
	for name, end := range stale {
		for _, n := range []int{1, 4} {
			t.Run(fmt.Sprint(name, n), func(t *testing.T) {
				proxy := testserver.NewProxy(t, server.Addr())
				pool := newPool(t, via(t, server.DSN(), proxy.Addr())+"&application_name=stale", maxConns(4), func(c *pgxpool.Config) {
					c.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false } // as if each connection were used within the last second
				})
				warm(t, pool, n)
				end(t, proxy)
				assertResult(t, newProbe(t, pool).Check(t.Context()), probes.OK, "")
			})
		}
	}
}

// After a closed connection the probe tries a second one of the pool, but not a third one.
func TestTwoTriesOnThePool(t *testing.T) {
	server := testserver.SharedPostgres(t)
	for stale, want := range map[int]struct{ acquired, own int }{1: {2, 0}, 2: {2, 1}, 3: {2, 1}} {
		t.Run(fmt.Sprint(stale, " of 4"), func(t *testing.T) {
			pool := newPool(t, server.DSN(), maxConns(4), func(c *pgxpool.Config) {
				c.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false }
			})
			var conns []*pgxpool.Conn
			for range 4 {
				conn, err := pool.Acquire(t.Context())
				require.NoError(t, err)
				conns = append(conns, conn)
			}
			for i, conn := range conns {
				if i >= 4-stale { // the pool hands out first the connection that was released last
					require.NoError(t, conn.Conn().PgConn().Conn().Close())
				}
				conn.Release()
			}
			before := pool.Stat().AcquireCount()
			assertResult(t, newProbe(t, pool).Check(t.Context()), probes.OK, "")
			assert.EqualValues(t, want.acquired, pool.Stat().AcquireCount()-before)
			assertOwnConnections(t, server, want.own)
		})
	}
}

// If the pool fails to replace a connection, the probe does not try this a second time.
func TestThePoolFailsToReplaceAConnection(t *testing.T) {
	proxy := testserver.NewProxy(t, testserver.SharedPostgres(t).Addr())
	password, dials := "app-secret", 0
	pool := newPool(t, via(t, testserver.SharedPostgres(t).DSN(), proxy.Addr()), func(c *pgxpool.Config) {
		c.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return true }
		c.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error {
			c.Password = password
			dials++
			return nil
		}
	})
	warm(t, pool, 1)
	password = "wrong"
	proxy.Reset()
	assertResult(t, newProbe(t, pool).Check(t.Context()), probes.Error, probes.ReasonAuthenticationFailed)
	assert.Equal(t, 3, dials, "one before the check, one by the probe, one by the pool")
}

// The server closes the connection before it answers the query.
func TestConnectionLostDuringAQuery(t *testing.T) {
	server := testserver.SharedPostgres(t)
	proxy := testserver.NewProxy(t, server.Addr())
	pool := newPool(t, via(t, server.DSN(), proxy.Addr()))
	warm(t, pool, 1)
	probe := newProbe(t, pool)
	proxy.ResetOnReply()
	assertResult(t, probe.Check(t.Context()), probes.Error, probes.ReasonConnectionLost)
	proxy.Pass()
	assertResult(t, probe.Check(t.Context()), probes.OK, "")
}

func TestReadOnly(t *testing.T) {
	primary := testserver.NewPostgres(t)
	standby := primary.Standby(t)
	readOnly := slog.Bool("read_only", true)

	pool := newPool(t, standby.DSN())
	plain, writable := newProbe(t, pool), newProbe(t, pool, pgxprobe.RequireWritable())
	for _, where := range []string{"own connection", "pool"} {
		result := plain.Check(t.Context())
		assertResult(t, result, probes.OK, "")
		assert.Contains(t, result.Details, readOnly, where)
		result = writable.Check(t.Context())
		assertResult(t, result, probes.Error, probes.ReasonReadOnly)
		assert.Contains(t, result.Details, readOnly, where)
		warm(t, pool, 1)
	}
	t.Run("target_session_attrs", func(t *testing.T) {
		for _, attrs := range []string{"read-write", "primary"} {
			pool := newPool(t, standby.DSN()+"&target_session_attrs="+attrs)
			assertResult(t, newProbe(t, pool).Check(t.Context()), probes.Error, probes.ReasonReadOnly)
		}
	})
	standby.Promote(t)
	assert.EventuallyWithT(t, func(c *assert.CollectT) {
		result := writable.Check(t.Context())
		assert.Equal(c, probes.OK, result.Status)
		assert.NotContains(c, result.Details, readOnly)
	}, 10*time.Second, 20*time.Millisecond)

	t.Run("default_transaction_read_only", func(t *testing.T) {
		primary.Exec(t, "ALTER ROLE app SET default_transaction_read_only = on")
		pool := newPool(t, primary.DSN())
		assertResult(t, newProbe(t, pool, pgxprobe.RequireWritable()).Check(t.Context()), probes.Error, probes.ReasonReadOnly)
	})
}

func TestFailures(t *testing.T) {
	server := testserver.SharedPostgres(t)
	user := func(name, password string) func(*pgxpool.Config) {
		return func(c *pgxpool.Config) { c.ConnConfig.User, c.ConnConfig.Password = name, password }
	}
	tests := map[string]struct {
		adjust func(*pgxpool.Config)
		reason probes.Reason
		paused bool // the next dial must wait for dialPause
	}{
		"refused": {func(c *pgxpool.Config) { c.ConnConfig.Port = uint16(testserver.FreePort(t)) }, probes.ReasonConnectionRefused, false},
		"no such host": {func(c *pgxpool.Config) {
			c.ConnConfig.LookupFunc = func(context.Context, string) ([]string, error) {
				return nil, &net.DNSError{Err: "no such host", Name: "db", IsNotFound: true}
			}
			c.ConnConfig.Host = "db"
		}, probes.ReasonHostNotFound, false},
		"wrong password":   {user("app", "wrong"), probes.ReasonAuthenticationFailed, true},
		"unknown role":     {user("nobody", "app-secret"), probes.ReasonAuthenticationFailed, true},
		"unknown database": {func(c *pgxpool.Config) { c.ConnConfig.Database = "nothing" }, probes.ReasonNotFound, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dials := 0
			pool := newPool(t, server.DSN(), test.adjust, func(c *pgxpool.Config) {
				c.BeforeConnect = func(context.Context, *pgx.ConnConfig) error { dials++; return nil }
			})
			probe := newProbe(t, pool)
			for range 3 {
				result := probe.Check(t.Context())
				assertResult(t, result, probes.Error, test.reason)
				assert.NotContains(t, result.Err.Error(), "app-secret")
			}
			assert.Equal(t, test.paused, dials == 1, "%d dials", dials)
			assert.Zero(t, pool.Stat().NewConnsCount())
		})
	}
}

// The probe makes its own connection with the pool's hooks, because they may return new credentials.
func TestHooks(t *testing.T) {
	server := testserver.SharedPostgres(t)
	password := "expired"
	var calls []string
	pool := newPool(t, server.DSN()+"&application_name=orders", func(c *pgxpool.Config) {
		dial := c.ConnConfig.DialFunc
		c.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
			calls = append(calls, "dial")
			return dial(ctx, network, address)
		}
		c.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error {
			calls = append(calls, "before connect")
			c.Password = password
			return nil
		}
		c.AfterConnect = func(context.Context, *pgx.Conn) error { calls = append(calls, "after connect"); return nil }
		c.BeforeClose = func(*pgx.Conn) { calls = append(calls, "before close") }
	})
	probe := newProbe(t, pool)
	assertResult(t, probe.Check(t.Context()), probes.Error, probes.ReasonAuthenticationFailed)
	password = "app-secret"
	probe.Shift(pgxprobe.DialPause)
	assertResult(t, probe.Check(t.Context()), probes.OK, "")
	assertOwnConnections(t, server, 0) // the configuration's own name stays
	require.NoError(t, probe.Close())
	assert.Equal(t, []string{"before connect", "dial", "before connect", "dial", "after connect", "before close"}, calls)
}

func TestFailingHooks(t *testing.T) {
	server := testserver.SharedPostgres(t)
	t.Run("error", func(t *testing.T) {
		pool := newPool(t, server.DSN(), func(c *pgxpool.Config) {
			c.AfterConnect = func(context.Context, *pgx.Conn) error { return fmt.Errorf("no such type") }
		})
		assertResult(t, newProbe(t, pool).Check(t.Context()), probes.Error, probes.ReasonFailed)
		assertOwnConnections(t, server, 0)
	})
	t.Run("panic", func(t *testing.T) {
		pool := newPool(t, server.DSN(), func(c *pgxpool.Config) {
			c.BeforeConnect = func(context.Context, *pgx.ConnConfig) error { panic("no token") }
		})
		probe := newProbe(t, pool)
		for range 2 {
			assertResult(t, probe.Check(t.Context()), probes.Error, probes.ReasonPanic)
		}
	})
}

func TestClosedPool(t *testing.T) {
	server := testserver.SharedPostgres(t)
	pool := newPool(t, server.DSN())
	warm(t, pool, 1)
	probe := newProbe(t, pool)
	assertResult(t, probe.Check(t.Context()), probes.OK, "")
	pool.Reset() // a pool without connections looks like a closed one
	for range 3 {
		assertResult(t, probe.Check(t.Context()), probes.OK, "")
	}
	assert.EqualValues(t, 2, pool.Stat().NewConnsCount())
	pool.Close()
	for range 2 {
		assertResult(t, probe.Check(t.Context()), probes.Error, probes.ReasonClientClosed)
	}
	assertOwnConnections(t, server, 0)
}

func TestClose(t *testing.T) {
	server := testserver.SharedPostgres(t)
	probe := newProbe(t, newPool(t, server.DSN()))
	assertResult(t, probe.Check(t.Context()), probes.OK, "")
	assertOwnConnections(t, server, 1)
	for range 2 {
		require.NoError(t, probe.Close())
		assertOwnConnections(t, server, 0)
		assertResult(t, probe.Check(t.Context()), probes.Error, probes.ReasonClientClosed)
	}
}

// Close does not wait for a database without an answer, and leaves no goroutine behind.
func TestCloseDuringACheck(t *testing.T) {
	server := testserver.SharedPostgres(t)
	states := map[string]func(*pgxprobe.Probe){
		"dial":  func(*pgxprobe.Probe) {},
		"query": func(p *pgxprobe.Probe) { p.Check(context.Background()) },
	}
	for name, prepare := range states {
		t.Run(name, func(t *testing.T) {
			proxy := testserver.NewProxy(t, server.Addr())
			pool := newPool(t, via(t, server.DSN(), proxy.Addr()))
			before := goleak.IgnoreCurrent()
			probe := pgxprobe.New(pool)
			prepare(probe)
			proxy.Stall()
			done := make(chan probes.Result)
			go func() { done <- probe.Check(context.Background()) }()
			time.Sleep(50 * time.Millisecond) // let the check begin; the outcome is right in either order
			start := time.Now()
			require.NoError(t, probe.Close())
			assert.Less(t, time.Since(start), 3*time.Second)
			assert.Equal(t, probes.Error, (<-done).Status)
			proxy.Reset() // ends the proxy's own goroutines
			leaktest.Verify(t, before)
		})
	}
}

func TestConcurrentChecks(t *testing.T) {
	server := testserver.SharedPostgres(t)
	proxy := testserver.NewProxy(t, server.Addr())
	pool := newPool(t, via(t, server.DSN(), proxy.Addr()), maxConns(4))
	warm(t, pool, 4)
	probe := newProbe(t, pool)
	proxy.Delay(20 * time.Millisecond)
	results := make(chan probes.Result)
	for range 32 {
		go func() { results <- probe.Check(context.Background()) }()
	}
	most := int32(0)
	for range 32 {
		assertResult(t, <-results, probes.OK, "")
		most = max(most, pool.Stat().AcquiredConns())
	}
	assert.LessOrEqual(t, most, int32(1))
}

func TestCheckEndsWithItsContext(t *testing.T) {
	server := testserver.SharedPostgres(t)
	proxy := testserver.NewProxy(t, server.Addr())
	probe := newProbe(t, newPool(t, via(t, server.DSN(), proxy.Addr())))
	proxy.Stall()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	start := time.Now()
	assertResult(t, probe.Check(ctx), probes.Error, probes.ReasonTimeout)
	assert.Less(t, time.Since(start), 3*time.Second)
}

func TestValidate(t *testing.T) {
	probe := pgxprobe.New(nil)
	assert.ErrorContains(t, probe.Validate(), "nil")
	assert.Empty(t, probe.Advise())
	assert.NoError(t, probe.Close())
	var none context.Context
	bad := pgxprobe.New(nil, pgxprobe.BaseContext(none), pgxprobe.NewConnectionEvery(60))
	for _, text := range []string{"New(nil)", "BaseContext(nil)", "NewConnectionEvery(60ns)"} {
		assert.ErrorContains(t, bad.Validate(), "pgxprobe."+text)
	}
	pool := newPool(t, "postgres://app@localhost/app")
	assert.NoError(t, pgxprobe.New(pool, pgxprobe.NewConnectionEvery(60), pgxprobe.NewConnectionEvery(0)).Validate())
}

func TestAdvise(t *testing.T) {
	const dsn = "postgres://app:app-secret@localhost/app"
	assert.Empty(t, pgxprobe.New(newPool(t, dsn+"?connect_timeout=2")).Advise())
	advice := pgxprobe.New(newPool(t, dsn)).Advise()
	require.Len(t, advice, 1)
	assert.Contains(t, advice[0], "connect_timeout=2")
	assert.NotContains(t, advice[0], "secret")
}
