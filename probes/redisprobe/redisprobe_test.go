package redisprobe_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/echo-probes/echohealth/internal/leaktest"
	"github.com/echo-probes/echohealth/internal/reason"
	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/redisprobe"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/auth"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { testserver.Main(m) }

// newClient makes a client. The defaults of go-redis, which apply to the options that a test does not set,
// ignore the context's deadline and hide the cause of a failure.
func newClient(t testing.TB, opt *redis.Options) *redis.Client {
	t.Helper()
	client := redis.NewClient(opt)
	t.Cleanup(func() { client.Close() })
	return client
}

func newProbe(t testing.TB, client redis.UniversalClient, opts ...redisprobe.Option) *redisprobe.Probe {
	t.Helper()
	probe := redisprobe.New(client, opts...)
	require.NoError(t, probe.Validate())
	t.Cleanup(func() { assert.NoError(t, probe.Close()) })
	return probe
}

// run makes one check as the health checks do, within limit.
func run(t testing.TB, probe probes.Probe, limit time.Duration) probes.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	return probe.Check(ctx)
}

// soon is enough time for a check on a busy machine. It is less than the 1.7 s after which a client with the
// defaults of go-redis reports a refused connection.
const soon = 1500 * time.Millisecond

// runSoon makes one check within soon. It repeats a check that timed out, because the machine may have
// paused.
func runSoon(t testing.TB, probe probes.Probe) (result probes.Result) {
	t.Helper()
	for range 3 {
		if result = run(t, probe, soon); reason.Of(result.Err) != probes.ReasonTimeout {
			break
		}
	}
	return result
}

func requireOK(t testing.TB, probe probes.Probe) {
	t.Helper()
	result := run(t, probe, 5*time.Second)
	require.Equal(t, probes.OK, result.Status, "%v", result.Err)
}

func requireError(t testing.TB, probe probes.Probe, want probes.Reason) {
	t.Helper()
	var result probes.Result
	if want == probes.ReasonTimeout {
		result = run(t, probe, 300*time.Millisecond)
	} else {
		result = runSoon(t, probe)
	}
	require.Equal(t, probes.Error, result.Status, "%v", result.Err)
	require.Equal(t, want, reason.Of(result.Err), "%v", result.Err)
}

func TestNilClient(t *testing.T) {
	for _, client := range []redis.UniversalClient{nil, (*redis.Client)(nil), (*redis.ClusterClient)(nil), (*redis.Ring)(nil)} {
		probe := redisprobe.New(client, redisprobe.PingOnly())
		assert.ErrorContains(t, probe.Validate(), "must not be nil")
		assert.Equal(t, probes.ReasonMisconfigured, probe.Check(t.Context()).Reason)
		assert.Empty(t, probe.Advise())
		assert.NoError(t, probe.Close())
	}
}

func TestWritesOneKeyThatExpires(t *testing.T) {
	server := testserver.NewRedis(t)
	client := newClient(t, &redis.Options{Addr: server.Addr()})

	requireOK(t, newProbe(t, client, redisprobe.PingOnly()))
	require.Zero(t, client.DBSize(t.Context()).Val(), "PingOnly writes nothing")

	for range 3 {
		requireOK(t, newProbe(t, client))
	}
	keys := client.Keys(t.Context(), "*").Val()
	require.Len(t, keys, 1)
	assert.Regexp(t, `^echohealth:[A-Z2-7]{26}$`, keys[0])
	ttl := client.TTL(t.Context(), keys[0]).Val()
	assert.Greater(t, ttl, 50*time.Second)
	assert.LessOrEqual(t, ttl, time.Minute)
}

func TestKeepsOneConnection(t *testing.T) {
	server := testserver.NewRedis(t)
	proxy := testserver.NewProxy(t, server.Addr())
	client := newClient(t, &redis.Options{Addr: proxy.Addr()})
	require.NoError(t, client.Ping(t.Context()).Err())
	before := proxy.Accepted()

	probe := newProbe(t, client)
	for range 10 {
		requireOK(t, probe)
	}
	assert.Equal(t, before+1, proxy.Accepted())
	assert.EqualValues(t, 1, client.PoolStats().TotalConns, "the application's pool is not used")

	require.NoError(t, probe.Close())
	assert.Eventually(t, func() bool { return proxy.Open() == before }, 5*time.Second, time.Millisecond)
	require.NoError(t, client.Ping(t.Context()).Err(), "the application's client stays open")
}

func TestConcurrentChecks(t *testing.T) {
	server := testserver.NewRedis(t)
	proxy := testserver.NewProxy(t, server.Addr())
	client := newClient(t, &redis.Options{Addr: proxy.Addr()})
	probe := newProbe(t, client)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				assert.NoError(t, probe.Check(t.Context()).Err)
				assert.NoError(t, client.Ping(t.Context()).Err())
			}
		})
	}
	wg.Wait()
	open := func() int { return proxy.Open() - int(client.PoolStats().TotalConns) }
	assert.Eventually(t, func() bool { return open() == 1 }, 5*time.Second, time.Millisecond, "one own connection is kept")
	require.NoError(t, probe.Close())
	assert.Eventually(t, func() bool { return open() == 0 }, 5*time.Second, time.Millisecond, "none is kept after Close")
}

// After Close the probe sends no command, with any kind of client.
func TestCheckAfterClose(t *testing.T) {
	type wrapper struct{ redis.UniversalClient }
	server := testserver.NewRedis(t)
	client := newClient(t, &redis.Options{Addr: server.Addr()})
	for _, client := range []redis.UniversalClient{client, wrapper{client}} {
		probe := redisprobe.New(client)
		requireOK(t, probe)
		for range 2 {
			require.NoError(t, probe.Close())
			requireError(t, probe, probes.ReasonClientClosed)
		}
	}
	require.NoError(t, client.Ping(t.Context()).Err(), "the application's client stays open")
}

// A Close during a check leaves no connection behind.
func TestCloseDuringCheck(t *testing.T) {
	server := testserver.NewRedis(t)
	proxy := testserver.NewProxy(t, server.Addr())
	client := newClient(t, &redis.Options{Addr: proxy.Addr()})
	probe := redisprobe.New(client)
	requireOK(t, probe)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for probe.Check(t.Context()).Err == nil {
			}
		})
	}
	require.NoError(t, probe.Close())
	wg.Wait()
	assert.Eventually(t, func() bool { return proxy.Open() == int(client.PoolStats().TotalConns) }, 5*time.Second, time.Millisecond)
}

// The probe copies the client's options. Each of these settings could be lost or wrong in a copy.
func TestClientsSettings(t *testing.T) {
	server := testserver.NewRedis(t, "--requirepass", "s3cret")
	credentials := auth.NewBasicCredentials("default", "s3cret")
	tests := map[string]redis.Options{
		"password":               {Password: "s3cret"},
		"provider":               {CredentialsProvider: func() (string, string) { return "default", "s3cret" }},
		"provider with context":  {CredentialsProviderContext: func(context.Context) (string, string, error) { return "default", "s3cret", nil }},
		"streaming provider":     {StreamingCredentialsProvider: streaming{credentials}},
		"RESP2":                  {Password: "s3cret", Protocol: 2},
		"another database":       {Password: "s3cret", DB: 7},
		"a name":                 {Password: "s3cret", ClientName: "orders"},
		"no retries, no timeout": {Password: "s3cret", MaxRetries: -1, ReadTimeout: -1, WriteTimeout: -1},
		"no deadlines":           {Password: "s3cret", ReadTimeout: -2, WriteTimeout: -2},
		"warm pool":              {Password: "s3cret", MinIdleConns: 5, PoolSize: 5},
		"small pool":             {Password: "s3cret", PoolSize: 1, MaxActiveConns: 1, MaxConcurrentDials: 1},
		"client-side cache":      {Password: "s3cret", ClientSideCacheConfig: &redis.ClientSideCacheConfig{}},
	}
	for name, opt := range tests {
		t.Run(name, func(t *testing.T) {
			opt.Addr = server.Addr()
			probe := newProbe(t, newClient(t, &opt))
			requireOK(t, probe)
			requireOK(t, probe)
		})
	}
}

// Checks must not make the application's circuit breaker open.
func TestLimiterDoesNotCountChecks(t *testing.T) {
	server := testserver.NewRedis(t)
	limiter := &countingLimiter{}
	client := newClient(t, &redis.Options{Addr: server.Addr(), Limiter: limiter})
	require.NoError(t, client.Ping(t.Context()).Err())
	before := limiter.calls.Load()
	probe := newProbe(t, client)
	requireOK(t, probe)
	server.Kill(t)
	requireError(t, probe, probes.ReasonConnectionRefused)
	assert.Equal(t, before, limiter.calls.Load())
}

type countingLimiter struct{ calls atomic.Int32 }

func (l *countingLimiter) Allow() error       { l.calls.Add(1); return nil }
func (l *countingLimiter) ReportResult(error) { l.calls.Add(1) }

func TestOnConnect(t *testing.T) {
	server := testserver.NewRedis(t)
	refuse := errors.New("wrong region")
	client := newClient(t, &redis.Options{Addr: server.Addr(), OnConnect: func(context.Context, *redis.Conn) error { return refuse }})
	assert.ErrorIs(t, runSoon(t, newProbe(t, client)).Err, refuse)
}

type streaming struct{ credentials auth.Credentials }

func (s streaming) Subscribe(auth.CredentialsListener) (auth.Credentials, auth.UnsubscribeFunc, error) {
	return s.credentials, func() error { return nil }, nil
}

func TestACL(t *testing.T) {
	server := testserver.NewRedis(t)
	admin := newClient(t, &redis.Options{Addr: server.Addr()})
	login := func(rules ...any) *redis.Client {
		t.Helper()
		require.NoError(t, admin.Do(t.Context(), append([]any{"ACL", "SETUSER", "app", "reset", "on", ">s3cret"}, rules...)...).Err())
		return newClient(t, &redis.Options{Addr: server.Addr(), Username: "app", Password: "s3cret"})
	}
	requireOK(t, newProbe(t, login("~echohealth:*", "+ping", "+set"))) // as in the package documentation

	elsewhere := login("~app:*", "+@all")
	requireError(t, newProbe(t, elsewhere), probes.ReasonPermissionDenied)
	requireOK(t, newProbe(t, elsewhere, redisprobe.PingOnly()))

	reader := login("~*", "+@read", "+ping")
	requireError(t, newProbe(t, reader), probes.ReasonPermissionDenied)
	requireOK(t, newProbe(t, reader, redisprobe.PingOnly()))

	probe := newProbe(t, login("~*", "+@all"))
	requireOK(t, probe)
	require.NoError(t, admin.Do(t.Context(), "ACL", "DELUSER", "app").Err()) // this also ends the user's connections
	requireError(t, probe, probes.ReasonAuthenticationFailed)
}

func TestSaturatedPoolIsNotDown(t *testing.T) {
	server := testserver.NewRedis(t)
	for name, opt := range map[string]redis.Options{
		"PoolSize":       {PoolSize: 3},
		"MaxActiveConns": {PoolSize: 10, MaxActiveConns: 3},
	} {
		t.Run(name, func(t *testing.T) {
			opt.Addr = server.Addr()
			client := newClient(t, &opt)
			probe := newProbe(t, client)
			var held []*redis.Conn
			for range 3 {
				conn := client.Conn()
				require.NoError(t, conn.Ping(t.Context()).Err())
				held = append(held, conn)
			}
			result := runSoon(t, probe)
			assert.Equal(t, probes.Warning, result.Status, "%v", result.Err)
			assert.Equal(t, probes.ReasonPoolSaturated, result.Reason)
			assert.Equal(t, []slog.Attr{slog.Int("pool_in_use", 3), slog.Int("pool_idle", 0), slog.Int("pool_max", 3)}, result.Details)
			for _, detail := range result.Details {
				assert.NoError(t, probes.CheckDetail(detail))
			}

			require.NoError(t, held[0].Close())
			result = runSoon(t, probe)
			assert.Equal(t, probes.OK, result.Status, "%v", result.Err)
			assert.Equal(t, []slog.Attr{slog.Int("pool_in_use", 2), slog.Int("pool_idle", 1), slog.Int("pool_max", 3)}, result.Details)
		})
	}
}

// A busy pool is often full for a moment. OnConnect changes the pool while the probe makes its connection,
// and so during the check.
func TestPoolFullBeforeOrAfterOnly(t *testing.T) {
	var during atomic.Pointer[func()]
	onConnect := func(context.Context, *redis.Conn) error {
		if f := during.Swap(nil); f != nil {
			(*f)()
		}
		return nil
	}
	client := newClient(t, &redis.Options{Addr: testserver.SharedRedis(t).Addr(), PoolSize: 1, OnConnect: onConnect})
	conn := client.Conn()
	take := func() { require.NoError(t, conn.Ping(t.Context()).Err()) }
	release := func() { require.NoError(t, conn.Close()) }

	check := func(f func()) {
		t.Helper()
		during.Store(&f)
		requireOK(t, newProbe(t, client))
		require.Nil(t, during.Load())
	}
	require.NoError(t, client.Ping(t.Context()).Err())
	check(take)
	result := runSoon(t, newProbe(t, client)) // full before and after the check
	assert.Equal(t, probes.ReasonPoolSaturated, result.Reason, "%v", result.Err)
	assert.Equal(t, []slog.Attr{slog.Int("pool_in_use", 1), slog.Int("pool_idle", 0), slog.Int("pool_max", 1)}, result.Details)
	check(release)
}

func TestClosedClient(t *testing.T) {
	server := testserver.NewRedis(t)
	client := newClient(t, &redis.Options{Addr: server.Addr()})
	probe := newProbe(t, client)
	requireOK(t, probe)
	require.NoError(t, client.Close())
	requireError(t, probe, probes.ReasonClientClosed)
	requireError(t, newProbe(t, client), probes.ReasonClientClosed)
}

// The probe can't copy a wrapped client, so it uses the client itself.
func TestUnknownClient(t *testing.T) {
	type wrapper struct{ redis.UniversalClient }
	server := testserver.NewRedis(t)
	client := wrapper{newClient(t, &redis.Options{Addr: server.Addr()})}
	probe := newProbe(t, client)
	requireOK(t, probe)
	requireOK(t, newProbe(t, client, redisprobe.PingOnly()))
	assert.Empty(t, runSoon(t, probe).Details)
	assert.Empty(t, probe.Advise())
	require.NoError(t, client.Close())
	requireError(t, probe, probes.ReasonClientClosed)
}

func TestAdvise(t *testing.T) {
	trap := &redis.Options{}
	good := &redis.Options{ContextTimeoutEnabled: true, DialerRetries: 1}
	assert.Empty(t, redisprobe.New(newClient(t, good)).Advise())
	for _, client := range []redis.UniversalClient{
		redis.NewClient(trap),
		redis.NewFailoverClient(&redis.FailoverOptions{SentinelAddrs: []string{"127.0.0.1:1"}}),
		redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"127.0.0.1:1"}}),
		redis.NewRing(&redis.RingOptions{}),
	} {
		advice := redisprobe.New(client).Advise()
		require.Len(t, advice, 2, "%T", client)
		assert.Contains(t, advice[0], "set ContextTimeoutEnabled: true")
		assert.Contains(t, advice[1], "dials 5 times")
		assert.NotContains(t, strings.Join(advice, ""), "\n")
		require.NoError(t, client.Close())
	}
}

func TestCancelledCheckEnds(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	hung := func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	for name, opt := range map[string]redis.Options{
		"dialling": {Dialer: hung},
		"reading":  {Addr: listener.Addr().String()},
	} {
		t.Run(name, func(t *testing.T) {
			client := newClient(t, &opt)
			before := goleak.IgnoreCurrent()
			probe := redisprobe.New(client)
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(50*time.Millisecond, cancel)
			start := time.Now()
			assert.ErrorIs(t, probe.Check(ctx).Err, context.Canceled)
			assert.Less(t, time.Since(start), 3*time.Second, "go-redis alone would take 5s")
			require.NoError(t, probe.Close())
			leaktest.Verify(t, before)
		})
	}
}

// A redis.Client with Sentinel changes to another master in its dialer.
func TestReplacedMaster(t *testing.T) {
	first, second := testserver.NewRedis(t), testserver.NewRedis(t)
	var master atomic.Value
	master.Store(first.Addr())
	client := newClient(t, &redis.Options{Dialer: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, master.Load().(string))
	}})
	probe := newProbe(t, client)
	requireOK(t, probe)
	master.Store(second.Addr())
	admin := newClient(t, &redis.Options{Addr: first.Addr()})
	require.NoError(t, admin.ReplicaOf(t.Context(), "127.0.0.1", "1").Err())
	requireOK(t, probe)
}

// The server sends an error before it closes the connection.
func TestProtectedMode(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			io.WriteString(conn, "-DENIED Redis is running in protected mode because protected mode is enabled.\r\n")
			conn.(*net.TCPConn).CloseWrite()
			go func() {
				defer conn.Close()
				io.Copy(io.Discard, conn)
			}()
		}
	}()
	requireError(t, newProbe(t, newClient(t, &redis.Options{Addr: listener.Addr().String()})), probes.ReasonPermissionDenied)
}
