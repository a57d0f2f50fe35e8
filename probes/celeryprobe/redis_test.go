package celeryprobe_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/celeryprobe"
)

// application returns a client with its own database on a shared server.
func application(t testing.TB, db int) (client *redis.Client, url string) {
	t.Helper()
	server := testserver.SharedRedis(t)
	client = redis.NewClient(&redis.Options{Addr: server.Addr(), DB: db})
	require.NoError(t, client.FlushDB(context.Background()).Err())
	t.Cleanup(func() { client.Close() })
	return client, fmt.Sprintf("redis://%s/%d", server.Addr(), db)
}

func push(t testing.TB, client *redis.Client, key string, tasks int) {
	t.Helper()
	for range tasks {
		require.NoError(t, client.LPush(context.Background(), key, "task").Err())
	}
}

func pending(n int) slog.Attr { return slog.Int("pending_tasks", n) }

func TestRedisQueues(t *testing.T) {
	noLeaks(t)
	client, url := application(t, 1)
	push(t, client, "celery", 1)
	push(t, client, "celery\x06\x163", 2)
	push(t, client, "celery\x06\x169", 4)
	push(t, client, "mail", 8)
	requireOK(t, check(t, newProbe(t, url)), pending(7))
	requireOK(t, check(t, newProbe(t, url, celeryprobe.Queues("celery", "mail"))), pending(15))
	requireOK(t, check(t, newProbe(t, url, celeryprobe.Queues("unknown"))), pending(0))
	requireOK(t, check(t, newProbe(t, url, celeryprobe.PrioritySteps(0, 9))), pending(5))
	requireWarning(t, probes.ReasonBacklog, check(t, newProbe(t, url, celeryprobe.PendingThreshold(6, 7))), pending(7))
	requireError(t, probes.ReasonBacklog, check(t, newProbe(t, url, celeryprobe.PendingThreshold(0, 6))))

	push(t, client, "app:q", 1)
	push(t, client, "app:q|1", 2)
	requireOK(t, check(t, newProbe(t, url, celeryprobe.Queues("q"), celeryprobe.GlobalKeyPrefix("app:"),
		celeryprobe.Separator("|"), celeryprobe.PrioritySteps(0, 1, 2))), pending(3))
}

func TestRedisClient(t *testing.T) {
	client, _ := application(t, 2)
	push(t, client, "celery", 3)
	probe := use(t, celeryprobe.Redis(client))
	requireOK(t, check(t, probe), pending(3))
	require.NoError(t, client.Close())
	requireOK(t, check(t, probe), pending(3))
}

func TestRedisOneConnectionAndNothingWritten(t *testing.T) {
	noLeaks(t)
	client, url := application(t, 3)
	push(t, client, "celery", 1)
	before := client.Keys(t.Context(), "*").Val()
	proxy := testserver.NewProxy(t, testserver.SharedRedis(t).Addr())
	probe := newProbe(t, through(t, proxy, url))
	for range 50 {
		requireOK(t, check(t, probe), pending(1))
	}
	assert.Equal(t, 1, proxy.Accepted())
	assert.Equal(t, before, client.Keys(t.Context(), "*").Val())
}

func TestRedisLogin(t *testing.T) {
	server := testserver.NewRedis(t, "--requirepass", "app-secret")
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), Password: "app-secret"})
	defer client.Close()
	require.NoError(t, client.Do(t.Context(), "ACL", "SETUSER", "blind", "on", ">blind-secret", "+hello").Err())
	requireOK(t, check(t, newProbe(t, server.URL())), pending(0))
	requireError(t, probes.ReasonAuthenticationFailed, check(t, newProbe(t, "redis://:wrong-secret@"+server.Addr()+"/0")))
	requireError(t, probes.ReasonAuthenticationFailed, check(t, newProbe(t, "redis://"+server.Addr()+"/0")))
	requireError(t, probes.ReasonPermissionDenied, check(t, newProbe(t, "redis://blind:blind-secret@"+server.Addr()+"/0")))
	requireError(t, probes.ReasonNotFound, check(t, newProbe(t, "redis://:app-secret@"+server.Addr()+"/99")))

	require.NoError(t, client.Set(t.Context(), "celery", "not a list", 0).Err())
	requireError(t, probes.ReasonMisconfigured, check(t, newProbe(t, server.URL())))
}

func TestRedisBrokerComesAndGoes(t *testing.T) {
	noLeaks(t)
	server := testserver.NewRedis(t)
	probe := newProbe(t, server.URL())
	requireOK(t, check(t, probe), pending(0))

	server.Freeze(t)
	requireError(t, probes.ReasonTimeout, within(t, probe, 200*time.Millisecond))
	requireError(t, probes.ReasonTimeout, within(t, probe, 200*time.Millisecond))
	server.Thaw(t)
	requireOK(t, check(t, probe), pending(0))

	server.Kill(t)
	for range 3 {
		requireError(t, probes.ReasonConnectionRefused, check(t, probe))
	}
	server.Start(t)
	requireOK(t, check(t, probe), pending(0))

	require.NoError(t, probe.Close())
	requireError(t, probes.ReasonClientClosed, check(t, probe))
}

func TestRedisCloseEndsTheCheckInFlight(t *testing.T) {
	noLeaks(t)
	proxy := testserver.NewProxy(t, testserver.SharedRedis(t).Addr())
	probe := newProbe(t, "redis://"+proxy.Addr())
	requireOK(t, check(t, probe))
	proxy.Stall()
	ended := make(chan probes.Result)
	go func() { ended <- probe.Check(context.Background()) }()
	time.Sleep(50 * time.Millisecond) // so that the check most likely waits for the answer; otherwise the outcome is the same
	require.NoError(t, probe.Close())
	requireError(t, probes.ReasonClientClosed, <-ended)
}

func TestRedisTLS(t *testing.T) {
	noLeaks(t)
	cert, key := certificate(t)
	port := testserver.FreePort(t)
	server := testserver.NewRedis(t, "--tls-port", fmt.Sprint(port), "--tls-cert-file", cert, "--tls-key-file", key,
		"--tls-ca-cert-file", cert, "--tls-auth-clients", "optional")
	rediss := func(query string) string { return fmt.Sprintf("rediss://localhost:%d/0?%s", port, query) }
	requireOK(t, check(t, newProbe(t, rediss("ssl_ca_certs="+cert))))
	requireOK(t, check(t, newProbe(t, rediss("ssl_ca_certs="+cert+"&ssl_certfile="+cert+"&ssl_keyfile="+key))))
	requireOK(t, check(t, newProbe(t, rediss("ssl_cert_reqs=CERT_NONE"))))
	requireOK(t, check(t, newProbe(t, rediss(""), celeryprobe.TLSConfig(&tls.Config{InsecureSkipVerify: true}))))
	requireError(t, probes.ReasonTLSError, check(t, newProbe(t, rediss(""))))
	byAddress := fmt.Sprintf("rediss://127.0.0.1:%d/0?ssl_ca_certs=%s", port, cert)
	requireError(t, probes.ReasonTLSError, check(t, newProbe(t, byAddress)))
	requireOK(t, check(t, newProbe(t, byAddress+"&ssl_check_hostname=false")))

	server.Freeze(t)
	for range 3 {
		requireError(t, probes.ReasonTimeout, within(t, newProbe(t, rediss("ssl_cert_reqs=CERT_NONE")), 100*time.Millisecond))
	}
}

// certificate writes a self-signed certificate for localhost and its key, in files that every user may read.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	certDER, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	dir, err := os.MkdirTemp("", "celeryprobe-")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	require.NoError(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certDER}), 0o644))
	require.NoError(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o644))
	return cert, key
}

func BenchmarkRedis(b *testing.B) {
	_, url := application(b, 4)
	benchmark(b, newProbe(b, url))
}
