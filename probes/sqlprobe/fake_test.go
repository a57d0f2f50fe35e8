package sqlprobe_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"io"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/sqlprobe"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fakeDriver is a driver without a database, for tests that need time. With sockets the clock of synctest
// would not advance.
type fakeDriver struct {
	connect func(context.Context) error
	query   func(context.Context) error
}

func (d fakeDriver) Connect(ctx context.Context) (driver.Conn, error) {
	return fakeConn{d}, d.connect(ctx)
}
func (d fakeDriver) Driver() driver.Driver { return nil }

type fakeConn struct{ fakeDriver }

func (c fakeConn) QueryContext(ctx context.Context, _ string, _ []driver.NamedValue) (driver.Rows, error) {
	return fakeRows{}, c.query(ctx)
}
func (c fakeConn) Prepare(string) (driver.Stmt, error) { return nil, driver.ErrSkip }
func (c fakeConn) Begin() (driver.Tx, error)           { return nil, driver.ErrSkip }
func (c fakeConn) Close() error                        { return nil }

type fakeRows struct{}

func (fakeRows) Columns() []string         { return []string{"one"} }
func (fakeRows) Close() error              { return nil }
func (fakeRows) Next([]driver.Value) error { return io.EOF }

func works(context.Context) error { return nil }

func hangs(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// openFake returns a pool that the test must close within its synctest bubble.
func openFake(d fakeDriver, maxOpen int) *sql.DB {
	db := sql.OpenDB(d)
	db.SetMaxOpenConns(maxOpen)
	return db
}

// If the pool stays full, the probe relies on the last answer of the database for 10 s, and no longer.
func TestFullPoolForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openFake(fakeDriver{works, works}, 1)
		defer db.Close()
		probe := sqlprobe.New(db)
		defer probe.Close()
		checks := &checker{probe: probe, timeout: timeout}

		conn, err := db.Conn(t.Context())
		require.NoError(t, err)
		assertResult(t, checks.check(), probes.Error, probes.ReasonTimeout) // the database has never answered
		require.NoError(t, conn.Close())
		synctest.Wait() // the waiting run gets a connection
		assertResult(t, checks.check(), probes.OK, "")

		conn, err = db.Conn(t.Context())
		require.NoError(t, err)
		start := time.Now()
		for time.Since(start) < 9*time.Second {
			began := time.Now()
			assertResult(t, checks.check(), probes.Warning, probes.ReasonPoolSaturated)
			assert.Less(t, time.Since(began), timeout)
			time.Sleep(time.Second)
		}
		for range 20 {
			time.Sleep(time.Second)
			assertResult(t, checks.check(), probes.Error, probes.ReasonTimeout)
		}
		require.NoError(t, conn.Close())
		synctest.Wait()
		assertResult(t, checks.check(), probes.OK, "")
	})
}

// A pool that is full at single checks is not an outage, however long the time between the checks is.
func TestFullPoolWithRareChecks(t *testing.T) {
	for _, period := range []time.Duration{time.Second, 10 * time.Second, time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			db := openFake(fakeDriver{works, works}, 1)
			defer db.Close()
			probe := sqlprobe.New(db)
			defer probe.Close()
			checks := &checker{probe: probe, timeout: timeout}
			assertResult(t, checks.check(), probes.OK, "")
			for range 3 { // full for a short time before each check
				time.Sleep(period)
				conn, err := db.Conn(t.Context())
				require.NoError(t, err)
				assertResult(t, checks.check(), probes.Warning, probes.ReasonPoolSaturated)
				require.NoError(t, conn.Close())
				synctest.Wait() // the waiting run gets a connection
			}

			conn, err := db.Conn(t.Context())
			require.NoError(t, err)
			assertResult(t, checks.check(), probes.Warning, probes.ReasonPoolSaturated)
			time.Sleep(max(period, 10*time.Second))
			assertResult(t, checks.check(), probes.Error, probes.ReasonTimeout)
			require.NoError(t, conn.Close())
			synctest.Wait()
			assertResult(t, checks.check(), probes.OK, "")
		})
	}
}

// A check that has waited for an earlier check's answer sends its own query, and tests again whether the pool
// is full.
func TestFullPoolAfterAnOlderQuery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openFake(fakeDriver{works, func(context.Context) error { time.Sleep(500 * time.Millisecond); return nil }}, 1)
		defer db.Close()
		probe := sqlprobe.New(db)
		defer probe.Close()
		checks := &checker{probe: probe, timeout: timeout}
		assertResult(t, checks.check(), probes.OK, "")
		first, err := db.Conn(t.Context())
		require.NoError(t, err)
		assertResult(t, checks.check(), probes.Warning, probes.ReasonPoolSaturated)

		second := make(chan *sql.Conn)
		go func() { // waits in the queue after the check's query
			conn, err := db.Conn(t.Context())
			assert.NoError(t, err)
			second <- conn
		}()
		synctest.Wait()
		require.NoError(t, first.Close())
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // the context of a run lasts longer than the check's timeout
		defer cancel()
		began := time.Now()
		assertResult(t, probe.Check(ctx), probes.Warning, probes.ReasonPoolSaturated)
		assert.Less(t, time.Since(began), timeout)
		require.NoError(t, (<-second).Close())
	})
}

// After a failure the probe no longer relies on an earlier answer of the database.
func TestFullPoolAfterFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		query := works
		db := openFake(fakeDriver{works, func(ctx context.Context) error { return query(ctx) }}, 1)
		defer db.Close()
		probe := sqlprobe.New(db)
		defer probe.Close()
		checks := &checker{probe: probe, timeout: timeout}
		assertResult(t, checks.check(), probes.OK, "")
		query = func(context.Context) error { return syscall.ECONNREFUSED }
		assertResult(t, checks.check(), probes.Error, probes.ReasonConnectionRefused)
		conn, err := db.Conn(t.Context())
		require.NoError(t, err)
		assertResult(t, checks.check(), probes.Error, probes.ReasonTimeout)
		query = works
		require.NoError(t, conn.Close())
		synctest.Wait()
		assertResult(t, checks.check(), probes.OK, "")
	})
}

// A pool that is still making its last connection is not saturated, because it waits for the database.
func TestSlowDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openFake(fakeDriver{hangs, works}, 1)
		defer db.Close()
		probe := sqlprobe.New(db)
		defer probe.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		start := time.Now()
		assertResult(t, probe.Check(ctx), probes.Error, probes.ReasonTimeout)
		assert.Equal(t, 5*time.Second, time.Since(start))
	})
}

// A query without an answer is not saturation either. It continues after the check that sent it.
func TestSlowQuery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queries := 0
		db := openFake(fakeDriver{works, func(ctx context.Context) error { queries++; return hangs(ctx) }}, 1)
		defer db.Close()
		probe := sqlprobe.New(db)
		defer probe.Close()
		start := time.Now()
		for range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
			assertResult(t, probe.Check(ctx), probes.Error, probes.ReasonTimeout)
			cancel()
		}
		assertResult(t, probe.Check(t.Context()), probes.Error, probes.ReasonTimeout)
		assert.Equal(t, 10*time.Second, time.Since(start))
		assert.Equal(t, 1, queries)
	})
}

// A driver may ignore the context while it waits for a lock, like mattn/go-sqlite3. The checks still end in
// time, and so does Close. Only one statement waits.
func TestDriverThatIgnoresTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var queries atomic.Int32
		wait := func(context.Context) error { queries.Add(1); time.Sleep(time.Minute); return nil }
		db := openFake(fakeDriver{works, wait}, 0)
		defer db.Close()
		probe := sqlprobe.New(db)
		start := time.Now()
		for range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), timeout)
			assertResult(t, probe.Check(ctx), probes.Error, probes.ReasonTimeout)
			cancel()
		}
		assert.Equal(t, 3*timeout, time.Since(start))
		assert.EqualValues(t, 1, queries.Load())
		require.NoError(t, probe.Close())
		assert.Equal(t, 3*timeout+time.Second, time.Since(start))
		time.Sleep(time.Minute) // let the statement end
	})
}

// A check with a timeout longer than the usual limit of a run extends that limit.
func TestLongTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openFake(fakeDriver{works, func(context.Context) error { time.Sleep(20 * time.Second); return nil }}, 1)
		defer db.Close()
		probe := sqlprobe.New(db)
		defer probe.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		assertResult(t, probe.Check(ctx), probes.OK, "")
	})
}

// The probe tries one connection more than may be closed.
func TestNumberOfConnectionAttempts(t *testing.T) {
	for idle, want := range map[int]int{0: 2, 1: 2, 4: 5} {
		tries := 0
		db := openFake(fakeDriver{works, func(context.Context) error { tries++; return io.EOF }}, 0)
		defer db.Close()
		warm(t, db, idle)
		assertResult(t, newProbe(t, db).Check(t.Context()), probes.Error, probes.ReasonConnectionLost)
		assert.Equal(t, want, tries)
	}
}

func TestPanickingDriver(t *testing.T) {
	db := openFake(fakeDriver{works, func(context.Context) error { panic("driver") }}, 0)
	defer db.Close()
	probe := newProbe(t, db)
	for range 2 {
		assertResult(t, probe.Check(t.Context()), probes.Error, probes.ReasonPanic)
	}
}
