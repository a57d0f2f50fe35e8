package pgxprobe_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/pgxprobe"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// often is how often the probes of these tests make a new connection.
const often = 20 * time.Millisecond

// authority is a certificate authority for one test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // the authority's certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	return &authority{cert: cert, key: key, file: file}
}

// certificate returns a certificate for 127.0.0.1 and its key. It is valid from a day ago to until.
func (a *authority) certificate(t *testing.T, until time.Time) string {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: until,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	cert, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})) +
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
}

// assertBecomes checks until the result is the expected one. Until then it allows only certain results,
// because the kept connections work all the time.
func assertBecomes(t *testing.T, probe probes.Probe, status probes.Status, reason probes.Reason) {
	t.Helper()
	var result probes.Result
	for began := time.Now(); time.Since(began) < time.Minute; time.Sleep(time.Millisecond) {
		result = (&checker{probe: probe, timeout: time.Minute}).check()
		require.NotEqual(t, probes.Error, result.Status, "%v", result.Err)
		if result.Status == status && (status == probes.OK || result.Reason == reason) {
			assertResult(t, result, status, reason)
			return
		}
	}
	require.Fail(t, "the result stays another", "%s %s: %v", result.Status, result.Reason, result.Err)
}

// fault keeps the application from making new connections, but does not end its existing ones.
type fault struct {
	reason     probes.Reason
	begin, end func(t *testing.T)
}

// testFault requires that a probe reports the fault and its end, and that the pool keeps its connections.
func testFault(t *testing.T, pool *pgxpool.Pool, f fault) {
	t.Helper()
	warm(t, pool, 2)
	probe := newProbe(t, pool, pgxprobe.NewConnectionEvery(often))
	before := pool.Stat()
	assertBecomes(t, probe, probes.OK, "")
	f.begin(t)
	assertBecomes(t, probe, probes.Warning, f.reason)
	result := probe.Check(t.Context())
	assert.ErrorContains(t, result.Err, "the kept connection works, but a new one can't be made")
	assert.NotContains(t, result.Err.Error(), "secret")
	f.end(t)
	assertBecomes(t, probe, probes.OK, "")
	after := pool.Stat()
	assert.EqualValues(t, 2, after.TotalConns())
	assert.EqualValues(t, 2, after.IdleConns())
	assert.Equal(t, before.NewConnsCount(), after.NewConnsCount())
	assert.Equal(t, before.CanceledAcquireCount(), after.CanceledAcquireCount())
}

func TestNewConnectionsFail(t *testing.T) {
	server := testserver.NewPostgres(t, "max_connections=8")
	run := func(statements string) func(*testing.T) {
		return func(t *testing.T) { server.Exec(t, statements) }
	}
	var others []*pgx.Conn // connections that use the rest of the server's limit
	tests := map[string]fault{
		"rotated password": {probes.ReasonAuthenticationFailed,
			run("ALTER ROLE app PASSWORD 'other-secret'"), run("ALTER ROLE app PASSWORD 'app-secret'")},
		"no right to connect": {probes.ReasonPermissionDenied,
			run("REVOKE CONNECT ON DATABASE app FROM PUBLIC, app"), run("GRANT CONNECT ON DATABASE app TO PUBLIC, app")},
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
		t.Run(name, func(t *testing.T) { testFault(t, newPool(t, server.DSN(), maxConns(2)), test) })
	}
}

func TestNewConnectionsMeetAnExpiredCertificate(t *testing.T) {
	server, ca := testserver.NewPostgres(t), newAuthority(t)
	use := func(until time.Duration) func(*testing.T) {
		return func(t *testing.T) { server.UseCertificate(t, ca.certificate(t, time.Now().Add(until))) }
	}
	use(time.Hour)(t)
	dsn := strings.Replace(server.DSN(), "sslmode=disable", "sslmode=verify-full&sslrootcert="+ca.file, 1)
	require.EventuallyWithT(t, func(c *assert.CollectT) { // the server reads its configuration some time after the call
		conn, err := pgx.Connect(context.Background(), dsn)
		if assert.NoError(c, err) {
			conn.Close(context.Background())
		}
	}, 30*time.Second, 10*time.Millisecond)
	testFault(t, newPool(t, dsn, maxConns(2)), fault{probes.ReasonTLSError, use(-time.Hour), use(time.Hour)})
}

func TestNewConnectionsMeetNoSuchHost(t *testing.T) {
	var gone atomic.Bool
	pool := newPool(t, testserver.SharedPostgres(t).DSN(), maxConns(2), func(c *pgxpool.Config) {
		c.ConnConfig.Host = "db"
		c.ConnConfig.LookupFunc = func(context.Context, string) ([]string, error) {
			if gone.Load() {
				return nil, &net.DNSError{Err: "no such host", Name: "db", IsNotFound: true}
			}
			return []string{"127.0.0.1"}, nil
		}
	})
	testFault(t, pool, fault{probes.ReasonHostNotFound,
		func(*testing.T) { gone.Store(true) }, func(*testing.T) { gone.Store(false) }})
}

// The probe makes new connections as the pool does, but outside the pool, and ends them properly.
func TestNewConnections(t *testing.T) {
	server := testserver.NewPostgres(t)
	var made, closed atomic.Int32
	pool := newPool(t, server.DSN(), maxConns(2), func(c *pgxpool.Config) {
		c.ConnConfig.Password = "unknown"
		c.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error { c.Password = "app-secret"; return nil }
		c.AfterConnect = func(ctx context.Context, _ *pgx.Conn) error {
			if ctx.Value(tenant{}) != nil {
				made.Add(1)
			}
			return nil
		}
		c.BeforeClose = func(*pgx.Conn) { closed.Add(1) }
	})
	warm(t, pool, 2)
	base := pgxprobe.BaseContext(withTenant(context.Background()))
	probe := newProbe(t, pool, pgxprobe.NewConnectionEvery(often), base)
	before, checks := pool.Stat(), int64(0)
	for ; made.Load() < 5; checks++ {
		assertResult(t, probe.Check(t.Context()), probes.OK, "")
	}
	require.NoError(t, probe.Close())
	after := pool.Stat()
	assert.Equal(t, checks-1, after.AcquireCount()-before.AcquireCount(), "only the first check uses no connection of the pool")
	assert.Equal(t, before.NewConnsCount(), after.NewConnsCount())
	assert.Equal(t, before.TotalConns(), after.TotalConns())
	assert.Equal(t, made.Load(), closed.Load())
	assertOwnConnections(t, server, 0)
	count := func(what string) (n int) {
		conn, err := pgx.Connect(t.Context(), server.AdminDSN())
		require.NoError(t, err)
		defer conn.Close(context.Background())
		query := fmt.Sprintf("SELECT %s FROM pg_stat_database WHERE datname = 'app'", what)
		require.NoError(t, conn.QueryRow(t.Context(), query).Scan(&n))
		return n
	}
	require.GreaterOrEqual(t, count("sessions"), 5)
	assert.Zero(t, count("sessions_abandoned"))
}

// No new connection is made while the check is an error, or without checks.
func TestNoNewConnectionsWhileTheCheckFails(t *testing.T) {
	server := testserver.NewPostgres(t)
	server.Exec(t, "ALTER ROLE app SET default_transaction_read_only = on")
	proxy := testserver.NewProxy(t, server.Addr())
	pool := newPool(t, via(t, server.DSN(), proxy.Addr()))
	warm(t, pool, 1)
	red := newProbe(t, pool, pgxprobe.RequireWritable(), pgxprobe.NewConnectionEvery(time.Millisecond))
	for began := time.Now(); time.Since(began) < 20*often; {
		assertResult(t, red.Check(t.Context()), probes.Error, probes.ReasonReadOnly)
	}
	assert.Equal(t, 1, proxy.Accepted())
	never := newProbe(t, pool, pgxprobe.NewConnectionEvery(0))
	for began := time.Now(); time.Since(began) < 20*often; {
		assertResult(t, never.Check(t.Context()), probes.OK, "")
	}
	assert.Equal(t, 1, proxy.Accepted())
	green := newProbe(t, pool, pgxprobe.NewConnectionEvery(time.Millisecond))
	assert.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.Equal(c, probes.OK, green.Check(t.Context()).Status)
		assert.Greater(c, proxy.Accepted(), 1)
	}, 30*time.Second, time.Millisecond)
}

// Close ends an attempt that hangs.
func TestCloseDuringANewConnection(t *testing.T) {
	var hang atomic.Bool
	began, ended := make(chan struct{}), make(chan struct{})
	pool := newPool(t, testserver.SharedPostgres(t).DSN(), func(c *pgxpool.Config) {
		dial := c.ConnConfig.DialFunc
		c.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
			if !hang.Load() {
				return dial(ctx, network, address)
			}
			close(began)
			<-ctx.Done()
			close(ended)
			return nil, ctx.Err()
		}
	})
	warm(t, pool, 1)
	hang.Store(true)
	probe := newProbe(t, pool, pgxprobe.NewConnectionEvery(time.Millisecond))
	for dialing := false; !dialing; {
		assertResult(t, probe.Check(t.Context()), probes.OK, "")
		select {
		case <-began:
			dialing = true
		default:
		}
	}
	assertResult(t, probe.Check(t.Context()), probes.OK, "") // the check does not wait for the new connection
	require.NoError(t, probe.Close())
	select {
	case <-ended:
	default:
		assert.Fail(t, "the dial continues")
	}
}
