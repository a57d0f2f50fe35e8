package sqlprobe_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"sync/atomic"
	"syscall"
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

// often is how often the probes of these tests make a new connection.
const often = 20 * time.Millisecond

// assertBecomes checks until the result is the expected one. No result may be an error, because the kept
// connections work all the time.
func assertBecomes(t *testing.T, probe probes.Probe, status probes.Status, reason probes.Reason) {
	t.Helper()
	var result probes.Result
	for began := time.Now(); time.Since(began) < time.Minute; time.Sleep(time.Millisecond) {
		result = probe.Check(t.Context())
		require.NotEqual(t, probes.Error, result.Status, "%v", result.Err)
		if result.Status == status {
			assertResult(t, result, status, reason)
			return
		}
	}
	require.Fail(t, "the result stays another", "%s %s: %v", result.Status, result.Reason, result.Err)
}

func TestNewConnectionsFail(t *testing.T) {
	server := testserver.NewPostgres(t, "max_connections=8")
	var others []*pgx.Conn // connections that use the rest of the server's limit
	tests := map[string]struct {
		reason     probes.Reason
		begin, end func(t *testing.T)
	}{
		"rotated password": {probes.ReasonAuthenticationFailed,
			func(t *testing.T) { server.Exec(t, "ALTER ROLE app PASSWORD 'other-secret'") },
			func(t *testing.T) { server.Exec(t, "ALTER ROLE app PASSWORD 'app-secret'") }},
		"no right to connect": {probes.ReasonPermissionDenied,
			func(t *testing.T) { server.Exec(t, "REVOKE CONNECT ON DATABASE app FROM PUBLIC, app") },
			func(t *testing.T) { server.Exec(t, "GRANT CONNECT ON DATABASE app TO PUBLIC, app") }},
		"max_connections": {probes.ReasonTooManyConnections, func(t *testing.T) {
			// 3 of the 8 are the superuser's and 2 the pool's. Connections that are ending count until the server has
			// ended their processes.
			for began := time.Now(); len(others) < 3; {
				require.Less(t, time.Since(began), time.Minute)
				if conn, err := pgx.Connect(t.Context(), server.DSN()); err == nil {
					others = append(others, conn)
				}
			}
		}, func(t *testing.T) {
			for _, conn := range others {
				require.NoError(t, conn.Close(context.Background()))
			}
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			config, err := pgx.ParseConfig(server.DSN())
			require.NoError(t, err)
			connector := stdlib.GetConnector(*config)
			db := sql.OpenDB(connector)
			t.Cleanup(func() { db.Close() })
			db.SetMaxOpenConns(2)
			warm(t, db, 2)
			probe := newProbe(t, db, sqlprobe.Connector(connector), sqlprobe.NewConnectionEvery(often))
			assertBecomes(t, probe, probes.OK, "")
			test.begin(t)
			assertBecomes(t, probe, probes.Warning, test.reason)
			assert.NotContains(t, probe.Check(t.Context()).Err.Error(), "secret")
			test.end(t)
			assertBecomes(t, probe, probes.OK, "")
			assert.Equal(t, 2, db.Stats().OpenConnections)
			assert.Zero(t, db.Stats().WaitCount)
		})
	}
}

// check checks once a second for d, and returns the last result.
func check(t *testing.T, probe probes.Probe, d time.Duration) (last probes.Result) {
	t.Helper()
	for range d / time.Second {
		last = probe.Check(t.Context())
		time.Sleep(time.Second)
	}
	return last
}

// With a connector a new connection is made once a minute by default. Without one none is made outside the
// pool.
func TestNewConnectionOnceAMinute(t *testing.T) {
	for name, with := range map[string]bool{"with a connector": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newHookedDriver()
				db := sql.OpenDB(noClose{d})
				defer db.Close()
				var opts []sqlprobe.Option
				if with {
					opts = append(opts, sqlprobe.Connector(d))
				}
				probe := sqlprobe.New(db, opts...)
				assertResult(t, check(t, probe, time.Hour), probes.OK, "")
				if with {
					assert.InDelta(t, 61, d.opened.Load(), 7)
				} else {
					assert.EqualValues(t, 1, d.opened.Load())
				}
				require.NoError(t, probe.Close())
				assert.Equal(t, d.opened.Load()-1, d.closed.Load(), "the pool has one connection")
			})
		})
	}
}

// A driver whose Connect ignores its context delays no check. Connect is not called again before it has
// returned.
func TestConnectThatIgnoresItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pooled, d := newHookedDriver(), newHookedDriver()
		var calls atomic.Int32
		hang := make(chan struct{})
		d.connect = func(context.Context) error {
			if calls.Add(1) > 1 { // the first is the one that shows that the driver accepts checks
				<-hang
			}
			return nil
		}
		db := sql.OpenDB(noClose{pooled})
		defer db.Close()
		probe := sqlprobe.New(db, sqlprobe.Connector(d), sqlprobe.NewConnectionEvery(time.Second))
		began := time.Now()
		assertResult(t, check(t, probe, time.Minute), probes.Warning, probes.ReasonTimeout)
		assert.Equal(t, time.Minute, time.Since(began), "no check has waited")
		assert.EqualValues(t, 2, calls.Load())
		began = time.Now()
		require.NoError(t, probe.Close())
		assert.Equal(t, time.Second, time.Since(began))
		close(hang)
		synctest.Wait()
		assert.EqualValues(t, 2, d.closed.Load(), "the connections that it made late are closed")
	})
}

// pingedConn is a connection of a driver that connects only when the connection is first used.
type pingedConn struct {
	hookedConn
	err error
}

func (c pingedConn) Ping(context.Context) error { return c.err }

type pingedDriver struct{ hookedDriver }

func (d pingedDriver) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := d.hookedDriver.Connect(ctx)
	return pingedConn{conn.(hookedConn), syscall.ECONNREFUSED}, err
}

func TestNewConnectionIsPinged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pooled, d := newHookedDriver(), newHookedDriver()
		db := sql.OpenDB(noClose{pooled})
		defer db.Close()
		probe := sqlprobe.New(db, sqlprobe.Connector(pingedDriver{d}), sqlprobe.NewConnectionEvery(time.Second))
		defer probe.Close()
		assertResult(t, check(t, probe, 5*time.Second), probes.Warning, probes.ReasonConnectionRefused)
		assert.Equal(t, d.opened.Load(), d.closed.Load())
	})
}

// A hook of the connector gets the values of the base context.
func TestNewConnectionHasTheValues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newHookedDriver()
		d.connect = wantsTenant
		db := sql.OpenDB(noClose{newHookedDriver()})
		defer db.Close()
		base := sqlprobe.BaseContext(withTenant(context.Background()))
		probe := sqlprobe.New(db, sqlprobe.Connector(d), base, sqlprobe.NewConnectionEvery(time.Second))
		defer probe.Close()
		assertResult(t, check(t, probe, 10*time.Second), probes.OK, "")
		assert.Positive(t, d.opened.Load())
	})
}

func TestNoNewConnectionWhileTheCheckFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pooled, d := newHookedDriver(), newHookedDriver()
		var failure error
		pooled.query = func(context.Context) error { return failure }
		db := sql.OpenDB(noClose{pooled})
		defer db.Close()
		probe := sqlprobe.New(db, sqlprobe.Connector(d), sqlprobe.NewConnectionEvery(time.Second))
		defer probe.Close()
		assertResult(t, check(t, probe, time.Minute), probes.OK, "")
		opened := d.opened.Load()
		assert.Greater(t, opened, int32(30))
		failure = errors.New("no answer")
		assertResult(t, check(t, probe, time.Minute), probes.Error, probes.ReasonFailed)
		assert.LessOrEqual(t, d.opened.Load(), opened+1)
	})
}
