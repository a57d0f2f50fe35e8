package pgxprobe_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/pgxprobe"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// addresses makes a pool's host name resolve to these addresses, in this order.
func addresses(addrs ...string) func(*pgxpool.Config) {
	return func(c *pgxpool.Config) {
		c.ConnConfig.Host, c.ConnConfig.Fallbacks = "db", nil
		c.ConnConfig.LookupFunc = func(context.Context, string) ([]string, error) { return addrs, nil }
	}
}

// silentProxy returns the address of a server that accepts connections and never answers.
func silentProxy(t *testing.T) *testserver.Proxy {
	t.Helper()
	proxy := testserver.NewProxy(t, testserver.SharedPostgres(t).Addr())
	proxy.Silent()
	return proxy
}

// If the first address does not answer, the probe still has time for the second one, like the application.
func TestSilentFirstAddress(t *testing.T) {
	server := testserver.SharedPostgres(t)
	pool := newPool(t, server.DSN()+"&connect_timeout=10", addresses(silentProxy(t).Addr(), server.Addr()))
	probe := newProbe(t, pool)
	probe.SetRunLimit(4 * time.Second)
	assertResult(t, probe.Check(context.Background()), probes.OK, "")
	probe.Close()

	silent := newPool(t, server.DSN(), addresses(silentProxy(t).Addr(), silentProxy(t).Addr()))
	probe = newProbe(t, silent)
	probe.SetRunLimit(time.Second)
	assertResult(t, probe.Check(context.Background()), probes.Error, probes.ReasonTimeout)
}

// A new connection is also made through the second address if the first one does not answer.
func TestNewConnectionsPassASilentAddress(t *testing.T) {
	server := testserver.SharedPostgres(t)
	pool := newPool(t, server.DSN())
	warm(t, pool, 1)
	probe := newProbe(t, newPool(t, server.DSN(), addresses(silentProxy(t).Addr(), server.Addr())))
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	assert.NoError(t, probe.ConnectAnew(ctx))
}

// The probe reaches the second address while the pool's dials still wait for the first one.
func TestPoolThatOnlyDials(t *testing.T) {
	server, silent := testserver.SharedPostgres(t), silentProxy(t)
	for name, max := range map[string]int32{"with free places": 4, "full of dials": 1} {
		t.Run(name, func(t *testing.T) {
			pool := newPool(t, via(t, server.DSN(), silent.Addr()+","+server.Addr()), maxConns(max))
			call := func() error {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
				defer cancel()
				return pool.Ping(ctx)
			}
			probe := newProbe(t, pool)
			probe.SetRunLimit(4 * time.Second)
			require.Error(t, call())
			first := probe.Check(context.Background())
			assert.NotEqual(t, probes.Error, first.Status, "no call has given up since the first check: %v", first.Err)
			probe.Shift(5 * time.Second)
			assert.NotEqual(t, probes.Error, probe.Check(context.Background()).Status)
			require.Error(t, call())
			result := probe.Check(context.Background())
			assertResult(t, result, probes.Error, probes.ReasonTimeout)
			assert.ErrorContains(t, result.Err, "dials get no answer")

			probe.Shift(31 * time.Second) // no call of the application in this time
			assert.NotEqual(t, probes.Error, probe.Check(context.Background()).Status)
		})
	}
}

// The check is not an error if the application reaches the database on one of its hosts.
func TestFailover(t *testing.T) {
	primary := testserver.NewPostgres(t)
	standby := primary.Standby(t)
	pool := newPool(t, "postgres://app:app-secret@"+primary.Addr()+","+standby.Addr()+
		"/app?sslmode=disable&target_session_attrs=read-write&connect_timeout=2", maxConns(2))
	warm(t, pool, 2)
	checks := &checker{probe: newProbe(t, pool, pgxprobe.RequireWritable()), timeout: patient}
	assertResult(t, checks.check(), probes.OK, "")
	primary.Stop(t)
	assertResult(t, checks.check(), probes.Error, probes.ReasonReadOnly)
	standby.Promote(t)
	assert.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.Equal(c, probes.OK, checks.check().Status)
	}, 30*time.Second, 10*time.Millisecond)
}

// The probe also works over a UNIX socket.
func TestUNIXSocket(t *testing.T) {
	dir := t.TempDir()
	server := testserver.NewPostgres(t, "unix_socket_directories=/tmp")
	_, port, err := net.SplitHostPort(server.Addr())
	require.NoError(t, err)
	dsn := "user=app password=app-secret dbname=app sslmode=disable port=" + port + " host="
	checks := &checker{probe: newProbe(t, newPool(t, dsn+dir+",/tmp")), timeout: patient}
	assertResult(t, checks.check(), probes.OK, "")
	server.Stop(t)
	assertResult(t, checks.check(), probes.Error, probes.ReasonConnectionRefused)
	server.Start(t)
	assertResult(t, checks.check(), probes.OK, "")
}
