package sqlprobe_test

import (
	"context"
	"database/sql"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/echo-probes/echohealth/internal/leaktest"
	"github.com/echo-probes/echohealth/internal/reason"
	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/sqlprobe"
	_ "github.com/jackc/pgx/v5/stdlib"
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
		return result
	case <-time.After(c.timeout):
		return probes.Result{Status: probes.Error, Reason: probes.ReasonTimeout, Err: context.DeadlineExceeded}
	}
}

func newProbe(t testing.TB, db *sql.DB, opts ...sqlprobe.Option) *sqlprobe.Probe {
	t.Helper()
	probe := sqlprobe.New(db, opts...)
	require.NoError(t, probe.Validate())
	t.Cleanup(func() { assert.NoError(t, probe.Close()) })
	return probe
}

func open(t testing.TB, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", dsn)
	require.NoError(t, err)
	t.Cleanup(func() { db.Close() })
	return db
}

// via returns dsn with another address, such as the address of a proxy.
func via(t testing.TB, dsn, addr string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	u.Host = addr
	return u.String()
}

// take gets n connections, and returns a function that releases them.
func take(t testing.TB, db *sql.DB, n int) (release func()) {
	t.Helper()
	var conns []*sql.Conn
	for range n {
		conn, err := db.Conn(t.Context())
		require.NoError(t, err)
		conns = append(conns, conn)
	}
	release = func() {
		for _, conn := range conns {
			conn.Close()
		}
	}
	t.Cleanup(release)
	return release
}

// warm makes the pool have n idle connections.
func warm(t testing.TB, db *sql.DB, n int) {
	t.Helper()
	db.SetMaxIdleConns(n)
	take(t, db, n)()
	require.Equal(t, n, db.Stats().Idle)
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

func TestCheck(t *testing.T) {
	db := open(t, testserver.SharedPostgres(t).DSN())
	probe := newProbe(t, db)
	result := probe.Check(t.Context())
	assertResult(t, result, probes.OK, "")
	assert.Equal(t, []slog.Attr{slog.Int("pool_in_use", 0), slog.Int("pool_idle", 1)}, result.Details)

	db.SetMaxOpenConns(4)
	take(t, db, 1)
	result = probe.Check(t.Context())
	assertResult(t, result, probes.OK, "")
	assert.Equal(t, []slog.Attr{slog.Int("pool_in_use", 1), slog.Int("pool_idle", 1), slog.Int("pool_max", 4)}, result.Details)
}

func TestQuery(t *testing.T) {
	db := open(t, testserver.SharedPostgres(t).DSN())
	tests := map[string]struct {
		statement string
		status    probes.Status
		reason    probes.Reason
	}{
		"several columns and rows":  {"SELECT n, 'x', NULL FROM generate_series(1, 3) n", probes.OK, ""},
		"no row":                    {"SELECT 1 WHERE false", probes.OK, ""},
		"no result":                 {"SET search_path TO public", probes.OK, ""},
		"missing table":             {"SELECT 1 FROM orders", probes.Error, probes.ReasonNotFound},
		"no permission":             {"SELECT 1 FROM pg_authid", probes.Error, probes.ReasonPermissionDenied},
		"error after the first row": {"SELECT 1 / (3 - n) FROM generate_series(1, 5000) n", probes.Error, probes.ReasonFailed},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			assertResult(t, newProbe(t, db, sqlprobe.Query(test.statement)).Check(t.Context()), test.status, test.reason)
			assert.Zero(t, db.Stats().InUse)
		})
	}
}

func TestFailures(t *testing.T) {
	server := testserver.SharedPostgres(t)
	u, err := url.Parse(server.DSN())
	require.NoError(t, err)
	tests := map[string]struct {
		adjust func(*url.URL)
		reason probes.Reason
	}{
		"refused": {func(u *url.URL) {
			u.Host = net.JoinHostPort("127.0.0.1", strconv.Itoa(testserver.FreePort(t)))
		}, probes.ReasonConnectionRefused},
		"wrong password":   {func(u *url.URL) { u.User = url.UserPassword("app", "wrong-secret") }, probes.ReasonAuthenticationFailed},
		"unknown database": {func(u *url.URL) { u.Path = "/nothing" }, probes.ReasonNotFound},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			wrong := *u
			test.adjust(&wrong)
			result := newProbe(t, open(t, wrong.String())).Check(t.Context())
			assertResult(t, result, probes.Error, test.reason)
			assert.NotContains(t, result.Err.Error(), "secret")
		})
	}
}

func TestFullPool(t *testing.T) {
	db := open(t, testserver.SharedPostgres(t).DSN())
	db.SetMaxOpenConns(2)
	checks := &checker{probe: newProbe(t, db), timeout: patient}
	assertResult(t, checks.check(), probes.OK, "")
	release := take(t, db, 2)
	waits := db.Stats().WaitCount
	for range 3 {
		result := checks.check()
		assertResult(t, result, probes.Warning, probes.ReasonPoolSaturated)
		assert.Equal(t, []slog.Attr{slog.Int("pool_in_use", 2), slog.Int("pool_idle", 0), slog.Int("pool_max", 2)}, result.Details)
	}
	assert.EqualValues(t, 1, db.Stats().WaitCount-waits, "it has one place in the queue")
	release()
	assertResult(t, checks.check(), probes.OK, "")
}

// The probe waits for a connection that becomes free soon. With a single connection, as for SQLite, it must.
func TestBusySingleConnection(t *testing.T) {
	db := open(t, testserver.SharedPostgres(t).DSN())
	db.SetMaxOpenConns(1)
	probe := newProbe(t, db)
	release := take(t, db, 1)
	time.AfterFunc(20*time.Millisecond, release)
	assertResult(t, probe.Check(t.Context()), probes.OK, "")
}

func TestStaleConnections(t *testing.T) {
	server := testserver.SharedPostgres(t)
	stale := map[string]func(t *testing.T, proxy *testserver.Proxy){
		"terminated": func(t *testing.T, _ *testserver.Proxy) {
			server.Exec(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'stale'")
		},
		"reset": func(_ *testing.T, proxy *testserver.Proxy) { proxy.Reset() },
	}
	for name, end := range stale {
		t.Run(name, func(t *testing.T) {
			proxy := testserver.NewProxy(t, server.Addr())
			db := open(t, via(t, server.DSN(), proxy.Addr())+"&application_name=stale")
			warm(t, db, 4)
			end(t, proxy)
			assertResult(t, newProbe(t, db).Check(t.Context()), probes.OK, "")
		})
	}
}

// A database slower than the check's timeout costs the application's pool no connection.
func TestNoChurn(t *testing.T) {
	server := testserver.SharedPostgres(t)
	proxy := testserver.NewProxy(t, server.Addr())
	db := open(t, via(t, server.DSN(), proxy.Addr()))
	warm(t, db, 2)
	proxy.Delay(30 * time.Millisecond)
	checks := &checker{probe: newProbe(t, db), timeout: 10 * time.Millisecond}
	for range 50 {
		checks.check()
	}
	assert.Equal(t, 2, proxy.Accepted())
}

func TestRestart(t *testing.T) {
	server := testserver.NewPostgres(t)
	db := open(t, server.DSN())
	warm(t, db, 4)
	checks := &checker{probe: newProbe(t, db), timeout: patient}
	assertResult(t, checks.check(), probes.OK, "")
	server.Stop(t)
	for range 3 {
		assertResult(t, checks.check(), probes.Error, probes.ReasonConnectionRefused)
	}
	server.Start(t)
	assertResult(t, checks.check(), probes.OK, "")
	server.Kill(t)
	server.Start(t)
	assertResult(t, checks.check(), probes.OK, "")
}

// A frozen database costs at most one connection, and the probe notices when the database is back.
func TestFrozenServer(t *testing.T) {
	server := testserver.NewPostgres(t)
	db := open(t, server.DSN())
	db.SetMaxOpenConns(4)
	warm(t, db, 4)
	checks := &checker{probe: newProbe(t, db), timeout: patient}
	assertResult(t, checks.check(), probes.OK, "")
	checks.timeout = 100 * time.Millisecond
	server.Freeze(t)
	defer server.Thaw(t)
	for range 60 {
		assertResult(t, checks.check(), probes.Error, probes.ReasonTimeout)
		assert.LessOrEqual(t, db.Stats().InUse, 1)
	}
	server.Thaw(t)
	thawed := time.Now()
	require.NoError(t, db.PingContext(t.Context()))
	app := time.Since(thawed)
	for checks.check().Status != probes.OK && time.Since(thawed) < time.Minute {
	}
	t.Logf("after the thaw: the application's first success %s, the check's %s", app, time.Since(thawed))
	assert.Less(t, time.Since(thawed), 30*time.Second)
}

func TestClosedDatabase(t *testing.T) {
	db := open(t, testserver.SharedPostgres(t).DSN())
	probe := newProbe(t, db)
	assertResult(t, probe.Check(t.Context()), probes.OK, "")
	db.Close()
	assertResult(t, probe.Check(t.Context()), probes.Error, probes.ReasonClientClosed)
}

func TestClose(t *testing.T) {
	server := testserver.SharedPostgres(t)
	proxy := testserver.NewProxy(t, server.Addr())
	before := goleak.IgnoreCurrent()
	db := open(t, via(t, server.DSN(), proxy.Addr()))
	probe := sqlprobe.New(db)
	proxy.Stall()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	assertResult(t, probe.Check(ctx), probes.Error, probes.ReasonTimeout)
	start := time.Now()
	for range 2 {
		require.NoError(t, probe.Close())
		assertResult(t, probe.Check(t.Context()), probes.Error, probes.ReasonClientClosed)
	}
	assert.Less(t, time.Since(start), 8*time.Second, "a run may take 10s")
	db.Close()
	proxy.Reset() // ends the proxy's own goroutines
	leaktest.Verify(t, before)
}

func TestValidate(t *testing.T) {
	assert.ErrorContains(t, sqlprobe.New(nil).Validate(), "nil")
	db := open(t, "postgres://localhost/app")
	for _, statement := range []string{"", " \n"} {
		assert.ErrorContains(t, sqlprobe.New(db, sqlprobe.Query(statement)).Validate(), "must not be empty")
	}
	assert.NoError(t, sqlprobe.New(db, sqlprobe.Query(""), sqlprobe.Query("SELECT 2")).Validate())
	var none context.Context
	for text, opt := range map[string]sqlprobe.Option{
		"BaseContext(nil): the context must not be nil":                        sqlprobe.BaseContext(none),
		"Connector(nil): the connector must not be nil":                        sqlprobe.Connector(nil),
		"NewConnectionEvery(1m0s): sqlprobe.Connector must say how to connect": sqlprobe.NewConnectionEvery(time.Minute),
		"NewConnectionEvery(-1ns): the duration must be 0, for never, or":      sqlprobe.NewConnectionEvery(-1),
	} {
		assert.ErrorContains(t, sqlprobe.New(db, opt).Validate(), "sqlprobe."+text)
	}
	d := sqlprobe.Connector(fakeDriver{works, works})
	assert.NoError(t, sqlprobe.New(db, d, sqlprobe.NewConnectionEvery(time.Minute)).Validate())
	assert.NoError(t, sqlprobe.New(db, sqlprobe.NewConnectionEvery(0)).Validate())
}
