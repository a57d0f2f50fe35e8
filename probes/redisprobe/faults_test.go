package redisprobe_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
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

func TestUnreachable(t *testing.T) {
	tests := map[string]struct {
		opt  redis.Options
		want probes.Reason
	}{
		"refused":     {redis.Options{Addr: refused(t)}, probes.ReasonConnectionRefused},
		"no socket":   {redis.Options{Addr: "/nonexistent/redis.sock"}, probes.ReasonConnectionRefused},
		"no host":     {redis.Options{Addr: "redis.invalid:6379", Dialer: noSuchHost}, probes.ReasonHostNotFound},
		"dial hangs":  {redis.Options{Dialer: hang}, probes.ReasonTimeout},
		"refused TLS": {redis.Options{Addr: refused(t), TLSConfig: &tls.Config{}}, probes.ReasonConnectionRefused},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			client := newClient(t, &test.opt)
			before := goleak.IgnoreCurrent()
			probe := newProbe(t, client)
			requireError(t, probe, test.want)
			requireError(t, probe, test.want)
			leaktest.Verify(t, before)
		})
	}
}

// refused returns an address without a listener.
func refused(t *testing.T) string {
	t.Helper()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(testserver.FreePort(t)))
}

func noSuchHost(_ context.Context, _, addr string) (net.Conn, error) {
	err := &net.DNSError{Err: "no such host", Name: addr, IsNotFound: true}
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
}

// hang is a dial function for a network that loses every packet.
func hang(ctx context.Context, _, _ string) (net.Conn, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestRestart(t *testing.T) {
	server := testserver.NewRedis(t)
	probe := newProbe(t, newClient(t, &redis.Options{Addr: server.Addr()}))
	requireOK(t, probe)
	server.Kill(t)
	before := goleak.IgnoreCurrent()
	for range 50 { // more checks than the client's pool may have connections
		requireError(t, probe, probes.ReasonConnectionRefused)
	}
	leaktest.Verify(t, before)
	server.Start(t)
	requireOK(t, probe) // already the first check after the restart

	server.Kill(t)
	server.Start(t)
	requireOK(t, probe) // no check ran while the server was down

	server.Stop(t)
	requireError(t, probe, probes.ReasonConnectionRefused)
}

func TestFrozen(t *testing.T) {
	server := testserver.NewRedis(t)
	client := newClient(t, &redis.Options{Addr: server.Addr()})
	probe := newProbe(t, client)
	requireOK(t, probe)
	server.Freeze(t)
	before := goleak.IgnoreCurrent()
	for range 50 {
		start := time.Now()
		result := run(t, probe, 20*time.Millisecond)
		require.Equal(t, probes.ReasonTimeout, reason.Of(result.Err), "%v", result.Err)
		require.Less(t, time.Since(start), 3*time.Second, "a default client takes 5s")
	}
	leaktest.Verify(t, before)
	assert.Zero(t, client.PoolStats().TotalConns, "the application's pool stays as it was")
	server.Thaw(t)
	requireOK(t, probe)
	assert.Eventually(t, func() bool { return connectedClients(t, client) == 2 }, 5*time.Second, 10*time.Millisecond,
		"the client's and the probe's are left")
}

func connectedClients(t *testing.T, client *redis.Client) int {
	t.Helper()
	n, err := strconv.Atoi(client.InfoMap(t.Context(), "clients").Item("Clients", "connected_clients"))
	require.NoError(t, err)
	return n
}

func TestNetwork(t *testing.T) {
	server := testserver.NewRedis(t)
	proxy := testserver.NewProxy(t, server.Addr())
	probe := newProbe(t, newClient(t, &redis.Options{Addr: proxy.Addr()}))
	requireOK(t, probe)

	proxy.Reset()
	requireOK(t, probe) // the end of an old connection is not an outage of Redis

	proxy.ResetOnReply()
	requireError(t, probe, probes.ReasonConnectionLost)
	proxy.Silent()
	requireError(t, probe, probes.ReasonTimeout)
	proxy.Stall()
	requireError(t, probe, probes.ReasonTimeout)
	proxy.Drip(100 * time.Millisecond)
	requireError(t, probe, probes.ReasonTimeout)
	proxy.Refuse()
	requireError(t, probe, probes.ReasonConnectionRefused)

	proxy.Pass()
	requireOK(t, probe)
	assert.Eventually(t, func() bool { return proxy.Open() == 1 }, 5*time.Second, time.Millisecond, "the kept connection is left")
}

// The test has the reason of a check in each state of Redis, and the reason of a check with PingOnly.
func TestAnswers(t *testing.T) {
	server := testserver.NewRedis(t)
	admin := newClient(t, &redis.Options{Addr: server.Addr()})
	do := func(args ...any) {
		t.Helper()
		require.NoError(t, admin.Do(t.Context(), args...).Err())
	}
	tests := []struct {
		name          string
		begin, finish []any
		opt           redis.Options
		want, ping    probes.Reason // empty for OK
	}{
		{name: "out of memory", begin: []any{"CONFIG", "SET", "maxmemory", "1"}, finish: []any{"CONFIG", "SET", "maxmemory", "0"},
			want: probes.ReasonOutOfResources},
		{name: "too few replicas", begin: []any{"CONFIG", "SET", "min-replicas-to-write", "1"}, finish: []any{"CONFIG", "SET", "min-replicas-to-write", "0"},
			want: probes.ReasonOutOfResources},
		{name: "writes paused", begin: []any{"CLIENT", "PAUSE", "60000", "WRITE"}, finish: []any{"CLIENT", "UNPAUSE"},
			want: probes.ReasonTimeout},
		{name: "paused", begin: []any{"CLIENT", "PAUSE", "5000", "ALL"}, finish: []any{"CLIENT", "UNPAUSE"},
			want: probes.ReasonTimeout, ping: probes.ReasonTimeout},
		{name: "too many clients", begin: []any{"CONFIG", "SET", "maxclients", "1"}, finish: []any{"CONFIG", "SET", "maxclients", "1000"},
			want: probes.ReasonTooManyConnections, ping: probes.ReasonTooManyConnections},
		{name: "no such database", begin: []any{"PING"}, finish: []any{"PING"}, opt: redis.Options{DB: 99},
			want: probes.ReasonNotFound, ping: probes.ReasonNotFound},
		{name: "unknown user", begin: []any{"PING"}, finish: []any{"PING"}, opt: redis.Options{Username: "app", Password: "s3cret"},
			want: probes.ReasonAuthenticationFailed, ping: probes.ReasonAuthenticationFailed},
		{name: "a replica", begin: []any{"REPLICAOF", "127.0.0.1", "1"}, finish: []any{"REPLICAOF", "NO", "ONE"},
			want: probes.ReasonReadOnly},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.opt.Addr = server.Addr()
			client := newClient(t, &test.opt)
			do(test.begin...)
			defer do(test.finish...)
			requireReason(t, newProbe(t, client), test.want)
			requireReason(t, newProbe(t, client, redisprobe.PingOnly()), test.ping)
		})
	}
	requireOK(t, newProbe(t, admin))
}

func requireReason(t *testing.T, probe probes.Probe, want probes.Reason) {
	t.Helper()
	if want == "" {
		requireOK(t, probe)
		return
	}
	requireError(t, probe, want)
}

func TestPasswordMissing(t *testing.T) {
	server := testserver.NewRedis(t, "--requirepass", "s3cret")
	requireError(t, newProbe(t, newClient(t, &redis.Options{Addr: server.Addr()})), probes.ReasonAuthenticationFailed)
	requireError(t, newProbe(t, newClient(t, &redis.Options{Addr: server.Addr(), Password: "wrong"})), probes.ReasonAuthenticationFailed)
}

func TestMasterDown(t *testing.T) {
	server := testserver.NewRedis(t, "--replicaof", "127.0.0.1", "1", "--replica-serve-stale-data", "no")
	client := newClient(t, &redis.Options{Addr: server.Addr()})
	requireError(t, newProbe(t, client), probes.ReasonDependencyStarting)
	requireError(t, newProbe(t, client, redisprobe.PingOnly()), probes.ReasonDependencyStarting)
}

// Redis takes no writes while it can't save to disk.
func TestMisconf(t *testing.T) {
	server := testserver.NewRedis(t)
	client := newClient(t, &redis.Options{Addr: server.Addr()})
	probe := newProbe(t, client)
	requireOK(t, probe)
	dir := client.ConfigGet(t.Context(), "dir").Val()["dir"]
	require.NoError(t, os.Mkdir(filepath.Join(dir, "dump.rdb"), 0o755), "a directory in the snapshot's place")
	require.NoError(t, client.ConfigSet(t.Context(), "save", "3600 1000000").Err())
	require.NoError(t, client.BgSave(t.Context()).Err())
	require.Eventually(t, func() bool {
		return client.InfoMap(t.Context(), "persistence").Item("Persistence", "rdb_last_bgsave_status") == "err"
	}, 10*time.Second, 10*time.Millisecond)
	requireError(t, probe, probes.ReasonOutOfResources)
}

func TestLoading(t *testing.T) {
	server := testserver.NewRedis(t, "--key-load-delay", "500") // in microseconds
	client := newClient(t, &redis.Options{Addr: server.Addr()})
	_, err := client.Pipelined(t.Context(), func(pipe redis.Pipeliner) error {
		for i := range 5000 {
			pipe.Set(t.Context(), strconv.Itoa(i), i, 0)
		}
		return nil
	})
	require.NoError(t, err)
	probe := newProbe(t, client)
	server.Stop(t)

	seen := make(map[probes.Reason]bool)
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(5 * time.Millisecond):
				seen[reason.Of(run(t, probe, 5*time.Second).Err)] = true
			}
		}
	})
	server.Start(t)
	close(done)
	wg.Wait()
	assert.Contains(t, seen, probes.ReasonDependencyStarting)
	requireOK(t, probe)
}

func TestTLS(t *testing.T) {
	cert, key := selfSigned(t, time.Hour)
	port := strconv.Itoa(testserver.FreePort(t))
	server := testserver.NewRedis(t, "--tls-port", port, "--tls-auth-clients", "no",
		"--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert)
	addr := net.JoinHostPort("127.0.0.1", port)
	pool := x509.NewCertPool()
	text, err := os.ReadFile(cert)
	require.NoError(t, err)
	require.True(t, pool.AppendCertsFromPEM(text))

	probe := newProbe(t, newClient(t, &redis.Options{Addr: addr, TLSConfig: &tls.Config{RootCAs: pool}}))
	requireOK(t, probe)
	server.Kill(t)
	server.Start(t)
	requireOK(t, probe) // go-redis can't see from outside that a TLS connection has ended

	unknownCA := &tls.Config{}
	requireError(t, newProbe(t, newClient(t, &redis.Options{Addr: addr, TLSConfig: unknownCA})), probes.ReasonTLSError)
	otherName := &tls.Config{RootCAs: pool, ServerName: "redis.example"}
	requireError(t, newProbe(t, newClient(t, &redis.Options{Addr: addr, TLSConfig: otherName})), probes.ReasonTLSError)

	// The cause is unknown here. The server closes the connection without TLS, and waits for more data from the
	// other.
	requireError(t, newProbe(t, newClient(t, &redis.Options{Addr: addr})), probes.ReasonConnectionLost)
	requireError(t, newProbe(t, newClient(t, &redis.Options{Addr: server.Addr(), TLSConfig: unknownCA, DialTimeout: time.Second})), probes.ReasonTimeout)
}

// selfSigned writes a certificate for 127.0.0.1, valid for d from now, and its key. A server may read both
// files.
func selfSigned(t *testing.T, d time.Duration) (cert, key string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "redisprobe-")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(d), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	certDER, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o644))
		return path
	}
	return write("cert.pem", "CERTIFICATE", certDER), write("key.pem", "PRIVATE KEY", keyDER)
}
