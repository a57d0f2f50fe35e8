package redisprobe_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/echo-probes/echohealth/internal/leaktest"
	"github.com/echo-probes/echohealth/internal/reason"
	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/redisprobe"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// often is how often the probes of these tests make a new connection.
const often = 10 * time.Millisecond

// await checks until the result has the expected status and reason. No result before may be an error.
func await(t *testing.T, probe probes.Probe, status probes.Status, want probes.Reason) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		result := run(t, probe, 10*time.Second)
		require.NotEqual(t, probes.Error, result.Status, "%v", result.Err)
		if result.Status == status && reason.Of(result.Err) == want {
			return
		}
		require.True(t, time.Now().Before(deadline), "%s: %v", result.Status, result.Err)
	}
}

// requireHidden requires that the check is a warning during a fault that the kept connection does not notice.
// The probe must not use the application's pool.
func requireHidden(t *testing.T, client *redis.Client, reason probes.Reason, begin, end func()) {
	t.Helper()
	require.NoError(t, client.Ping(t.Context()).Err())
	probe := newProbe(t, client, redisprobe.NewConnectionEvery(often))
	await(t, probe, probes.OK, "")
	before := client.PoolStats()
	begin()
	await(t, probe, probes.Warning, reason)
	end()
	await(t, probe, probes.OK, "")
	assert.Equal(t, before, client.PoolStats(), "the application's pool is not used")
}

func admin(t *testing.T, server *testserver.Redis, password string) func(args ...any) func() {
	t.Helper()
	client := newClient(t, &redis.Options{Addr: server.Addr(), Password: password, PoolSize: 1})
	require.NoError(t, client.Ping(t.Context()).Err())
	return func(args ...any) func() {
		return func() { require.NoError(t, client.Do(t.Context(), args...).Err()) }
	}
}

func TestNewConnectionsAreRefused(t *testing.T) {
	server := testserver.NewRedis(t, "--requirepass", "s3cret")
	do := admin(t, server, "s3cret")
	do("ACL", "SETUSER", "app", "on", ">app-s3cret", "~*", "+@all")()
	tests := map[string]struct {
		opt        redis.Options
		reason     probes.Reason
		begin, end func()
	}{
		"password changed": {
			opt:    redis.Options{Password: "s3cret"},
			reason: probes.ReasonAuthenticationFailed,
			begin:  do("CONFIG", "SET", "requirepass", "an0ther"),
			end:    do("CONFIG", "SET", "requirepass", "s3cret"),
		},
		"user's password changed": {
			opt:    redis.Options{Username: "app", Password: "app-s3cret"},
			reason: probes.ReasonAuthenticationFailed,
			begin:  do("ACL", "SETUSER", "app", "resetpass", ">an0ther"),
			end:    do("ACL", "SETUSER", "app", "resetpass", ">app-s3cret"),
		},
		"user off": {
			opt:    redis.Options{Username: "app", Password: "app-s3cret", Protocol: 2},
			reason: probes.ReasonAuthenticationFailed,
			begin:  do("ACL", "SETUSER", "app", "off"),
			end:    do("ACL", "SETUSER", "app", "on"),
		},
		"too many clients": {
			opt:    redis.Options{Password: "s3cret"},
			reason: probes.ReasonTooManyConnections,
			begin:  do("CONFIG", "SET", "maxclients", "1"),
			end:    do("CONFIG", "SET", "maxclients", "1000"),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.opt.Addr = server.Addr()
			requireHidden(t, newClient(t, &test.opt), test.reason, test.begin, test.end)
		})
	}
}

func TestNewConnectionsCertificate(t *testing.T) {
	good, goodKey := selfSigned(t, time.Hour)
	old, oldKey := selfSigned(t, -time.Minute)
	port := strconv.Itoa(testserver.FreePort(t))
	server := testserver.NewRedis(t, "--tls-port", port, "--tls-auth-clients", "no",
		"--tls-cert-file", good, "--tls-key-file", goodKey, "--tls-ca-cert-file", good)
	pool := x509.NewCertPool()
	for _, file := range []string{good, old} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.True(t, pool.AppendCertsFromPEM(text))
	}
	client := newClient(t, &redis.Options{Addr: net.JoinHostPort("127.0.0.1", port), TLSConfig: &tls.Config{RootCAs: pool}})
	do := admin(t, server, "")
	requireHidden(t, client, probes.ReasonTLSError,
		do("CONFIG", "SET", "tls-cert-file", old, "tls-key-file", oldKey),
		do("CONFIG", "SET", "tls-cert-file", good, "tls-key-file", goodKey))
}

// switched is a dialer that a test can change.
type switched struct {
	atomic.Pointer[func(context.Context, string, string) (net.Conn, error)]
}

func (s *switched) to(dial func(context.Context, string, string) (net.Conn, error)) { s.Store(&dial) }

func (s *switched) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return (*s.Load())(ctx, network, addr)
}

func TestNewConnectionsNetwork(t *testing.T) {
	var dialer switched
	dialer.to(new(net.Dialer).DialContext)
	client := newClient(t, &redis.Options{Addr: testserver.SharedRedis(t).Addr(), Dialer: dialer.dial})
	back := func() { dialer.to(new(net.Dialer).DialContext) }
	requireHidden(t, client, probes.ReasonHostNotFound, func() { dialer.to(noSuchHost) }, back)
	requireHidden(t, client, probes.ReasonConnectionRefused, func() {
		dialer.to(func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, refused(t))
		})
	}, back)
}

// If a new connection to one master fails, a cluster's client can't make the connections that it needs.
func TestNewConnectionsOfACluster(t *testing.T) {
	nodes := newCluster(t)
	client := newClusterClient(t, nodes[0].Addr())
	probe := newProbe(t, client, redisprobe.NewConnectionEvery(often))
	await(t, probe, probes.OK, "")
	for _, node := range nodes {
		do := admin(t, node, "")
		do("CONFIG", "SET", "maxclients", "1")()
		await(t, probe, probes.Warning, probes.ReasonTooManyConnections)
		do("CONFIG", "SET", "maxclients", "1000")()
		await(t, probe, probes.OK, "")
	}
}

func TestNewConnectionsThroughSentinel(t *testing.T) {
	master := testserver.NewRedis(t)
	opt := &redis.FailoverOptions{MasterName: "orders", SentinelAddrs: []string{testserver.NewSentinel(t, "orders", master).Addr()}}
	client := redis.NewFailoverClient(opt)
	defer client.Close()
	do := admin(t, master, "")
	requireHidden(t, client, probes.ReasonAuthenticationFailed,
		do("CONFIG", "SET", "requirepass", "an0ther"), do("CONFIG", "SET", "requirepass", ""))
}

func TestNoNewConnections(t *testing.T) {
	proxy := testserver.NewProxy(t, testserver.SharedRedis(t).Addr())
	client := newClient(t, &redis.Options{Addr: proxy.Addr()})
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": proxy.Addr()}, PoolSize: 1})
	defer ring.Close()
	off := []redisprobe.Option{redisprobe.NewConnectionEvery(often), redisprobe.NewConnectionEvery(0)}
	for name, probe := range map[string]*redisprobe.Probe{
		"by default, not so soon": newProbe(t, client),
		"turned off":              newProbe(t, client, off...),
		"a Ring has none to hide": newProbe(t, ring, redisprobe.NewConnectionEvery(time.Millisecond)),
	} {
		requireOK(t, probe)
		before := proxy.Accepted()
		for range 50 {
			requireOK(t, probe)
			time.Sleep(time.Millisecond)
		}
		assert.LessOrEqual(t, proxy.Accepted(), before+1, name) // the Ring's heartbeat may make one
	}
}

func TestCloseEndsANewConnection(t *testing.T) {
	var dialer switched
	dialer.to(new(net.Dialer).DialContext)
	client := newClient(t, &redis.Options{Addr: testserver.SharedRedis(t).Addr(), Dialer: dialer.dial})
	before := goleak.IgnoreCurrent()
	probe := newProbe(t, client, redisprobe.NewConnectionEvery(time.Millisecond))
	requireOK(t, probe)
	dialing := make(chan struct{}, 1)
	dialer.to(func(ctx context.Context, network, addr string) (net.Conn, error) {
		dialing <- struct{}{}
		return hang(ctx, network, addr)
	})
	for len(dialing) == 0 {
		requireOK(t, probe)
	}
	require.NoError(t, probe.Close())
	leaktest.Verify(t, before)
}

func TestInvalidOptions(t *testing.T) {
	client := newClient(t, &redis.Options{})
	var none context.Context
	tests := map[string]redisprobe.Option{
		"redisprobe.NewConnectionEvery(-1s): the duration must be 0":   redisprobe.NewConnectionEvery(-time.Second),
		"redisprobe.NewConnectionEvery(60ns): the duration must be 0":  redisprobe.NewConnectionEvery(60),
		"redisprobe.BaseContext(nil): the context must not be nil":     redisprobe.BaseContext(none),
		"redisprobe.NewConnectionEvery(8761h0m0s): the duration must ": redisprobe.NewConnectionEvery(8761 * time.Hour),
	}
	for want, opt := range tests {
		probe := redisprobe.New(client, opt)
		assert.ErrorContains(t, probe.Validate(), want)
		assert.Equal(t, probes.ReasonMisconfigured, probe.Check(t.Context()).Reason)
		assert.Empty(t, probe.Advise())
		assert.NoError(t, probe.Close())
	}
}
