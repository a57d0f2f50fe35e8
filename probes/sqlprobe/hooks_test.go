package sqlprobe_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/sqlprobe"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tenant is the key of a value that the application's requests have in their contexts, and checks do not.
type tenant struct{}

func withTenant(ctx context.Context) context.Context { return context.WithValue(ctx, tenant{}, "acme") }

// resetConnector returns a connector of pgx whose connections have a ResetSession.
func resetConnector(t *testing.T, dsn string, reset func(context.Context) error) driver.Connector {
	t.Helper()
	config, err := pgx.ParseConfig(dsn)
	require.NoError(t, err)
	return stdlib.GetConnector(*config,
		stdlib.OptionResetSession(func(ctx context.Context, _ *pgx.Conn) error { return reset(ctx) }))
}

// wantsTenant refuses a context without a tenant, with the only error at which database/sql closes the
// connection.
func wantsTenant(ctx context.Context) error {
	if ctx.Value(tenant{}) == nil {
		return driver.ErrBadConn
	}
	return nil
}

// openIdle returns a pool with four idle connections.
func openIdle(t *testing.T, connector driver.Connector) *sql.DB {
	t.Helper()
	db := sql.OpenDB(connector)
	t.Cleanup(func() { db.Close() })
	db.SetMaxIdleConns(4)
	var conns []*sql.Conn
	for range 4 {
		conn, err := db.Conn(withTenant(t.Context()))
		require.NoError(t, err)
		conns = append(conns, conn)
	}
	for _, conn := range conns {
		require.NoError(t, conn.Close())
	}
	require.Equal(t, 4, db.Stats().Idle)
	return db
}

// checkOften checks 50 times, and requires that the pool keeps its connections.
func checkOften(t *testing.T, db *sql.DB, probe *sqlprobe.Probe, status probes.Status, reason probes.Reason) (
	last probes.Result) {
	t.Helper()
	for range 50 {
		last = probe.Check(t.Context())
		assertResult(t, last, status, reason)
		require.Equal(t, 4, db.Stats().Idle)
		require.Equal(t, 4, db.Stats().OpenConnections)
	}
	return last
}

// With a connector, a driver that refuses checks costs the pool none of its connections. The check is not an
// error, because the database works.
func TestRefusingResetSession(t *testing.T) {
	tests := map[string]struct {
		reset func(context.Context) error
		text  string
	}{
		"driver.ErrBadConn": {wantsTenant, "ResetSession refuses a connection for a check"},
		"panic": {func(ctx context.Context) error {
			_ = ctx.Value(tenant{}).(string)
			return nil
		}, "panics for a check: interface conversion"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			proxy := testserver.NewProxy(t, testserver.SharedPostgres(t).Addr())
			connector := resetConnector(t, via(t, testserver.SharedPostgres(t).DSN(), proxy.Addr()), test.reset)
			db := openIdle(t, connector)
			probe := newProbe(t, db, sqlprobe.Connector(connector))
			result := checkOften(t, db, probe, probes.Warning, probes.ReasonMisconfigured)
			for _, text := range []string{test.text, "sqlprobe.BaseContext", "sqlprobe.Connector"} {
				assert.ErrorContains(t, result.Err, text)
			}
			assert.Equal(t, 5, proxy.Accepted(), "the probe keeps its own connection")

			base := sqlprobe.BaseContext(withTenant(context.Background()))
			happy := newProbe(t, db, sqlprobe.Connector(connector), base)
			checkOften(t, db, happy, probes.OK, "")
			require.NoError(t, happy.Close())
			assert.Equal(t, 6, proxy.Accepted(), "one connection to find out that the pool may be used")
			proxy.Reset()
			assertResult(t, probe.Check(t.Context()), probes.Warning, probes.ReasonMisconfigured) // a warning, because the database works
			proxy.Reset()
			proxy.Refuse()
			assertResult(t, probe.Check(t.Context()), probes.Error, probes.ReasonConnectionRefused)
			proxy.Pass()
			assertResult(t, probe.Check(t.Context()), probes.Warning, probes.ReasonMisconfigured)
			require.NoError(t, db.Close())
			assertResult(t, probe.Check(t.Context()), probes.Error, probes.ReasonClientClosed)
		})
	}
}

// database/sql ignores any other error of ResetSession than driver.ErrBadConn.
func TestResetSessionThatFails(t *testing.T) {
	reset := func(context.Context) error { return errors.New("no") }
	connector := resetConnector(t, testserver.SharedPostgres(t).DSN(), reset)
	db := openIdle(t, connector)
	checkOften(t, db, newProbe(t, db, sqlprobe.Connector(connector)), probes.OK, "")
	checkOften(t, db, newProbe(t, db), probes.OK, "")
}

// hookedDriver is a fakeDriver whose connections have IsValid and ResetSession.
type hookedDriver struct {
	fakeDriver
	reset          func(context.Context) error
	valid          func() bool
	opened, closed *atomic.Int32
}

func newHookedDriver() hookedDriver {
	return hookedDriver{
		fakeDriver: fakeDriver{works, works},
		reset:      func(context.Context) error { return nil }, valid: func() bool { return true },
		opened: new(atomic.Int32), closed: new(atomic.Int32),
	}
}

func (d hookedDriver) Connect(ctx context.Context) (driver.Conn, error) {
	if err := d.connect(ctx); err != nil {
		return nil, err
	}
	d.opened.Add(1)
	return hookedConn{fakeConn{d.fakeDriver}, d}, nil
}

// Close implements io.Closer for a connector. (*sql.DB).Close calls it.
func (d hookedDriver) Close() error { panic("the probe closed the application's connector") }

type hookedConn struct {
	fakeConn
	hooked hookedDriver
}

func (c hookedConn) ResetSession(ctx context.Context) error { return c.hooked.reset(ctx) }
func (c hookedConn) IsValid() bool                          { return c.hooked.valid() }
func (c hookedConn) Close() error                           { c.hooked.closed.Add(1); return nil }

// noClose hides the connector's Close from the test's pool.
type noClose struct{ driver.Connector }

// Without a connector, a driver that refuses checks costs the pool connections, but only once in 10 s.
func TestRefusingResetSessionWithoutConnector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newHookedDriver()
		d.reset = wantsTenant
		var failure error
		d.query = func(context.Context) error { return failure }
		db := sql.OpenDB(noClose{d})
		defer db.Close()
		warm(t, db, 4)
		probe := sqlprobe.New(db)
		defer probe.Close()
		for range 60 {
			assertResult(t, probe.Check(t.Context()), probes.Warning, probes.ReasonMisconfigured)
			time.Sleep(time.Second)
		}
		assert.LessOrEqual(t, d.closed.Load(), int32(2*6), "2 connections in 10 s")
		failure = errors.New("no answer")
		time.Sleep(10 * time.Second)
		assertResult(t, probe.Check(t.Context()), probes.Error, probes.ReasonFailed)
		failure = nil
		assertResult(t, probe.Check(t.Context()), probes.Warning, probes.ReasonMisconfigured) // without another query
	})
}

// A driver accepts checks if BaseContext has the values that it needs.
func TestBaseContext(t *testing.T) {
	ended, cancel := context.WithCancel(withTenant(context.Background()))
	cancel()
	for name, with := range map[string]bool{"without connector": false, "with connector": true} {
		t.Run(name, func(t *testing.T) {
			d, queries := newHookedDriver(), 0
			d.reset = wantsTenant
			d.query = func(context.Context) error { queries++; return nil }
			db := openIdle(t, noClose{d})
			opts := []sqlprobe.Option{sqlprobe.BaseContext(ended)}
			if with {
				opts = append(opts, sqlprobe.Connector(d))
			}
			probe := sqlprobe.New(db, opts...)
			checkOften(t, db, probe, probes.OK, "")
			require.NoError(t, probe.Close())
			assert.Equal(t, 50, queries, "one for each check")
			assert.Equal(t, with, d.opened.Load() == 5)
			assert.EqualValues(t, d.opened.Load()-4, d.closed.Load())
		})
	}
}

// If a driver accepts checks again, the probe uses the pool again from the next check on.
func TestResetSessionThatRecovers(t *testing.T) {
	d := newHookedDriver()
	refuse := true
	d.reset = func(context.Context) error {
		if refuse {
			return driver.ErrBadConn
		}
		return nil
	}
	db := openIdle(t, noClose{d})
	probe := newProbe(t, db, sqlprobe.Connector(d))
	checkOften(t, db, probe, probes.Warning, probes.ReasonMisconfigured)
	assert.Zero(t, d.closed.Load())
	refuse = false
	checkOften(t, db, probe, probes.OK, "")
	assert.EqualValues(t, 5, d.opened.Load())
	assert.EqualValues(t, 1, d.closed.Load(), "the probe has closed its own connection")
}

// If IsValid returns false, database/sql closes a connection that is released.
func TestRefusingIsValid(t *testing.T) {
	d := newHookedDriver()
	var invalid atomic.Bool
	d.valid = func() bool { return !invalid.Load() }
	db := openIdle(t, noClose{d})
	invalid.Store(true)
	probe := newProbe(t, db, sqlprobe.Connector(d))
	result := checkOften(t, db, probe, probes.Warning, probes.ReasonMisconfigured)
	assert.ErrorContains(t, result.Err, "IsValid")
	assert.Zero(t, d.closed.Load())
	require.NoError(t, probe.Close())
	assert.EqualValues(t, 1, d.closed.Load())
}

// fragile is a driver whose methods panic while panicking is true.
type fragile struct {
	hookedDriver
	panicking *atomic.Bool
}

func newFragile(connect, query, reset bool) fragile {
	d := fragile{newHookedDriver(), new(atomic.Bool)}
	well := func(panics bool) func(context.Context) error {
		return func(context.Context) error {
			if panics && d.panicking.Load() {
				panic("driver")
			}
			return nil
		}
	}
	d.connect, d.query, d.reset = well(connect), well(query), well(reset)
	return d
}

// A panic costs the pool a connection, which it never replaces. So the probe soon stops to use the pool.
func TestPanicInThePool(t *testing.T) {
	for name, d := range map[string]fragile{
		"ResetSession": newFragile(false, false, true),
		"query":        newFragile(false, true, false),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db := sql.OpenDB(noClose{d.hookedDriver})
				db.SetMaxOpenConns(4)
				warm(t, db, 4)
				d.panicking.Store(true)
				probe := sqlprobe.New(db)
				for range 60 {
					result := probe.Check(t.Context())
					assertResult(t, result, probes.Error, probes.ReasonPanic)
					assert.ErrorContains(t, result.Err, "the connection is lost")
					time.Sleep(time.Hour)
				}
				assert.Equal(t, 3, db.Stats().InUse, "after 0, 1 and 11 hours")
				d.panicking.Store(false)
				time.Sleep(100 * time.Hour)
				assertResult(t, probe.Check(t.Context()), probes.OK, "")
				require.NoError(t, probe.Close())
				db.Close()
			})
		})
	}
}

// With a connector the pool loses no connection, whatever panics for a check. After a minute the probe
// connects again, and it closes the connection that panicked.
func TestPanicWithAConnector(t *testing.T) {
	for name, d := range map[string]fragile{
		"Connect": newFragile(true, false, false),
		"query":   newFragile(false, true, false),
	} {
		for _, idle := range []int{0, 1} {
			t.Run(fmt.Sprint(name, " idle ", idle), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { // which reports a goroutine that is left
					db := sql.OpenDB(noClose{newHookedDriver()})
					db.SetMaxOpenConns(1)
					warm(t, db, idle)
					d.panicking.Store(true)
					d.opened.Store(0)
					d.closed.Store(0)
					probe := sqlprobe.New(db, sqlprobe.Connector(d))
					for range 60 {
						assertResult(t, probe.Check(t.Context()), probes.Error, probes.ReasonPanic)
						time.Sleep(10 * time.Second)
					}
					assert.LessOrEqual(t, d.opened.Load(), int32(10))
					d.panicking.Store(false)
					time.Sleep(time.Minute)
					assertResult(t, probe.Check(t.Context()), probes.OK, "")
					require.NoError(t, probe.Close())
					assert.Equal(t, d.opened.Load(), d.closed.Load())
					require.NoError(t, db.PingContext(t.Context()))
					assert.Zero(t, db.Stats().InUse)
					require.NoError(t, db.Close())
				})
			})
		}
	}
}

// A driver that panics when a connection is closed does not end the process.
func TestPanicOnClosing(t *testing.T) {
	for name, d := range map[string]closingDriver{
		"Close": {newHookedDriver(), true}, "IsValid": {newHookedDriver(), false},
	} {
		t.Run(name, func(t *testing.T) {
			if !d.inClose {
				d.valid = func() bool { panic("valid") }
			}
			db := openIdle(t, noClose{newHookedDriver()})
			probe := sqlprobe.New(db, sqlprobe.Connector(d))
			for range 3 {
				assert.NotEqual(t, probes.Error, probe.Check(t.Context()).Status)
			}
			require.NoError(t, probe.Close())
		})
	}
}

// closingDriver is a driver whose connections panic in Close if inClose is true.
type closingDriver struct {
	hookedDriver
	inClose bool
}

func (d closingDriver) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := d.hookedDriver.Connect(ctx)
	if d.inClose && err == nil {
		conn = panickingConn{conn.(hookedConn)}
	}
	return conn, err
}

type panickingConn struct{ hookedConn }

func (panickingConn) Close() error { panic("close") }

// The probe replaces its own connection after it was closed, at most once in a check.
func TestOwnConnectionThatHasEnded(t *testing.T) {
	d := newHookedDriver()
	d.reset = wantsTenant
	var failure error
	d.query = func(context.Context) error { return failure }
	db := openIdle(t, noClose{newHookedDriver()})
	probe := newProbe(t, db, sqlprobe.Connector(d))
	steps := []struct {
		failure error
		status  probes.Status
		reason  probes.Reason
		opened  int
	}{
		{nil, probes.Warning, probes.ReasonMisconfigured, 1},
		{errors.New("no answer"), probes.Error, probes.ReasonFailed, 1},
		{io.EOF, probes.Error, probes.ReasonConnectionLost, 2},
		{nil, probes.Warning, probes.ReasonMisconfigured, 2},
	}
	for _, step := range steps {
		failure = step.failure
		assertResult(t, probe.Check(t.Context()), step.status, step.reason)
		assert.EqualValues(t, step.opened, d.opened.Load())
	}
	assert.Equal(t, 4, db.Stats().Idle)
}

// Failed connections leave no goroutine behind. synctest reports one that still runs at the end.
func TestOwnConnectionThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newHookedDriver()
		d.reset = wantsTenant
		var failure error
		fail := func(context.Context) error { return failure }
		d.connect, d.query = fail, fail
		db := openFakeIdle(t)
		defer db.Close()
		began := time.Now()
		probe := sqlprobe.New(db, sqlprobe.Connector(d))
		assertResult(t, probe.Check(t.Context()), probes.Warning, probes.ReasonMisconfigured)
		failure = io.EOF
		for range 3 {
			assertResult(t, probe.Check(t.Context()), probes.Error, probes.ReasonConnectionLost)
		}
		require.NoError(t, probe.Close())
		assert.Equal(t, began, time.Now(), "Close must not wait for longer than necessary")
	})
}

// openFakeIdle returns a pool with an idle connection of a driver that accepts checks.
func openFakeIdle(t *testing.T) *sql.DB {
	t.Helper()
	db := sql.OpenDB(noClose{newHookedDriver()})
	warm(t, db, 1)
	return db
}

// A query on the probe's own connection waits for the database, even if calls of the application wait for the
// pool.
func TestOwnConnectionBesideAFullPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newHookedDriver()
		d.reset = wantsTenant
		query := works
		d.query = func(ctx context.Context) error { return query(ctx) }
		db := openFakeIdle(t)
		defer db.Close()
		db.SetMaxOpenConns(1)
		probe := sqlprobe.New(db, sqlprobe.Connector(d))
		defer probe.Close()
		assertResult(t, probe.Check(t.Context()), probes.Warning, probes.ReasonMisconfigured)
		conn, err := db.Conn(t.Context())
		require.NoError(t, err)
		defer conn.Close()
		query = hangs
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		go db.PingContext(ctx) // waits in the pool's queue after the check has begun
		assertResult(t, probe.Check(ctx), probes.Error, probes.ReasonTimeout)
	})
}

// A pool with only one idle connection keeps it too.
func TestRefusingResetSessionOfTheOnlyConnection(t *testing.T) {
	d := newHookedDriver()
	d.reset = wantsTenant
	db := sql.OpenDB(noClose{d})
	t.Cleanup(func() { db.Close() })
	warm(t, db, 1)
	assertResult(t, newProbe(t, db, sqlprobe.Connector(d)).Check(t.Context()), probes.Warning, probes.ReasonMisconfigured)
	assert.Equal(t, 1, db.Stats().Idle)
	assert.Zero(t, d.closed.Load())
}

// If the probe can't make its own connection to test the driver's hooks, it uses the pool.
func TestConnectorThatFails(t *testing.T) {
	d, broken := newHookedDriver(), newHookedDriver()
	db := openIdle(t, noClose{d})
	attempts := 0
	broken.connect = func(context.Context) error { attempts++; return errors.New("broken") }
	checkOften(t, db, newProbe(t, db, sqlprobe.Connector(broken)), probes.OK, "")
	assert.Equal(t, 1, attempts)

	broken.connect, broken.query = works, func(context.Context) error { return errors.New("broken") }
	checkOften(t, db, newProbe(t, db, sqlprobe.Connector(broken)), probes.OK, "")
	assert.EqualValues(t, 1, broken.closed.Load())
}
