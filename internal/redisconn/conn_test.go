package redisconn_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/echo-probes/echohealth/internal/leaktest"
	"github.com/echo-probes/echohealth/internal/reason"
	"github.com/echo-probes/echohealth/internal/redisconn"
	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
)

// frozen returns Conns with a kept client of a server that is then frozen. The application's clients have
// ContextTimeoutEnabled, which must make no difference.
func frozen(t *testing.T) map[string]*redisconn.Conn {
	t.Helper()
	busPort := strconv.Itoa(testserver.FreePort(t))
	server := testserver.NewRedis(t, "--cluster-enabled", "yes", "--cluster-port", busPort)
	admin := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer admin.Close()
	require.NoError(t, admin.ClusterAddSlotsRange(t.Context(), 0, 16383).Err())
	require.Eventually(t, func() bool {
		return admin.Set(t.Context(), "key", 1, 0).Err() == nil
	}, 30*time.Second, 20*time.Millisecond)
	single := redis.NewClient(&redis.Options{Addr: server.Addr(), ContextTimeoutEnabled: true})
	t.Cleanup(func() { single.Close() })
	cluster := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: []string{server.Addr()}, ContextTimeoutEnabled: true,
	})
	t.Cleanup(func() { cluster.Close() })
	conns := map[string]*redisconn.Conn{
		"client":  redisconn.New(single.Options()),
		"cluster": redisconn.NewCluster(cluster.Options()),
	}
	for _, conn := range conns {
		require.NoError(t, conn.Do(t.Context(), ping))
		t.Cleanup(conn.Close)
	}
	server.Freeze(t)
	return conns
}

type ask = func(context.Context, func(context.Context, redis.UniversalClient) error) error

// A call must end with its context. go-redis alone would need 5 s for each.
func TestCallsEnd(t *testing.T) {
	for name, conn := range frozen(t) {
		before := goleak.IgnoreCurrent()
		for try, call := range []ask{conn.Do, conn.Do, conn.Once, conn.Fresh} { // the first uses the kept client
			for range 3 {
				start := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
				assert.Equal(t, context.DeadlineExceeded, call(ctx, ping), "%s, %d", name, try)
				cancel()
				ctx, cancel = context.WithCancel(t.Context())
				time.AfterFunc(20*time.Millisecond, cancel)
				assert.Equal(t, context.Canceled, call(ctx, ping), "%s, %d", name, try)
				assert.Less(t, time.Since(start), 4*time.Second, "%s, %d", name, try)
			}
		}
		leaktest.Verify(t, before)
	}
}

func TestCloseEndsTheCallsInFlight(t *testing.T) {
	for name, conn := range frozen(t) {
		before := goleak.IgnoreCurrent()
		errs := make(chan error)
		calling := make(chan struct{}, 2)
		for _, call := range []ask{conn.Do, conn.Fresh} {
			go func() {
				errs <- call(context.Background(), func(ctx context.Context, client redis.UniversalClient) error {
					calling <- struct{}{}
					return ping(ctx, client)
				})
			}()
			<-calling
		}
		start := time.Now()
		conn.Close()
		for range 2 {
			assert.Equal(t, probes.ReasonClientClosed, reason.Of(<-errs), name)
		}
		assert.Less(t, time.Since(start), 3*time.Second, name)
		assert.ErrorIs(t, conn.Do(t.Context(), ping), redisconn.ErrClosed)
		leaktest.Verify(t, before)
	}
}

func TestClientOfEachCall(t *testing.T) {
	server := testserver.NewRedis(t)
	proxy := testserver.NewProxy(t, server.Addr())
	conn := newConn(t, proxy.Addr())
	require.NoError(t, conn.Fresh(t.Context(), ping))
	assert.Eventually(t, func() bool { return proxy.Open() == 0 }, 5*time.Second, time.Millisecond, "Fresh keeps nothing")
	for range 3 {
		require.NoError(t, conn.Do(t.Context(), ping))
		require.NoError(t, conn.Once(t.Context(), ping))
	}
	assert.Equal(t, 2, proxy.Accepted())
	require.NoError(t, conn.Fresh(t.Context(), ping))
	assert.Equal(t, 3, proxy.Accepted(), "Fresh must not use the kept connection")

	calls := 0
	fails := func(context.Context, redis.UniversalClient) error { calls++; return assert.AnError }
	assert.ErrorIs(t, conn.Do(t.Context(), fails), assert.AnError)
	assert.Equal(t, 2, calls, "on the kept client, and once more on a new one")
	assert.ErrorIs(t, conn.Do(t.Context(), fails), assert.AnError)
	assert.Equal(t, 3, calls, "a new client's failure counts")
	require.NoError(t, conn.Do(t.Context(), ping))
	assert.ErrorIs(t, conn.Once(t.Context(), fails), assert.AnError)
	assert.Equal(t, 4, calls)
	assert.Eventually(t, func() bool { return proxy.Open() == 0 }, 5*time.Second, time.Millisecond, "a failure gives the client up")
	assert.False(t, conn.ClusterNode())
}
