package certprobe_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/echo-probes/echohealth/internal/leaktest"
	"github.com/echo-probes/echohealth/internal/reason"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/certprobe"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

const day = 24 * time.Hour

// issued is a certificate with its key, and with the further certificates that a server shows with it.
type issued struct {
	*x509.Certificate
	key *ecdsa.PrivateKey
}

// change changes a certificate before it is issued.
type change func(*x509.Certificate)

// valid sets the times of a certificate, relative to now.
func valid(from, to time.Duration) change {
	return func(c *x509.Certificate) { c.NotBefore, c.NotAfter = time.Now().Add(from), time.Now().Add(to) }
}

func named(names ...string) change {
	return func(c *x509.Certificate) { c.DNSNames = names }
}

// public adds the fields that public authorities write into certificates.
func public(c *x509.Certificate) {
	c.IssuingCertificateURL = []string{"http://authority.example/issuer.crt"}
}

// newAuthority returns an authority with a self-signed certificate.
func newAuthority(t testing.TB, name string, changes ...change) issued {
	return issue(t, issued{}, append([]change{authority(name)}, changes...)...)
}

func authority(name string) change {
	return func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: name}
		c.DNSNames, c.IPAddresses, c.ExtKeyUsage = nil, nil, nil
		c.IsCA, c.BasicConstraintsValid = true, true
		c.KeyUsage = x509.KeyUsageCertSign
	}
}

// intermediate returns an authority below this one.
func (i issued) intermediate(t testing.TB, name string, changes ...change) issued {
	return issue(t, i, append([]change{authority(name)}, changes...)...)
}

// issue returns a certificate for a server on localhost.
func (i issued) issue(t testing.TB, changes ...change) issued { return issue(t, i, changes...) }

// issue returns a certificate of the issuer, or a self-signed one. By default the certificate is valid from
// an hour ago, for a hundred days.
func issue(t testing.TB, issuer issued, changes ...change) issued {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return issueTo(t, issuer, key, changes...)
}

func issueTo(t testing.TB, issuer issued, key *ecdsa.PrivateKey, changes ...change) issued {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "orders"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(100 * day),
		DNSNames:     []string{"localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, change := range changes {
		change(template)
	}
	parent, signer := issuer.Certificate, issuer.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	require.NoError(t, err)
	certificate, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return issued{certificate, key}
}

// with returns the chain that a server shows: the certificate, and more after it.
func (i issued) with(more ...issued) tls.Certificate {
	chain := tls.Certificate{Certificate: [][]byte{i.Raw}, PrivateKey: i.key}
	for _, c := range more {
		chain.Certificate = append(chain.Certificate, c.Raw)
	}
	return chain
}

func poolOf(authorities ...issued) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, a := range authorities {
		pool.AddCert(a.Certificate)
	}
	return pool
}

// toPEM returns a file with these certificates.
func toPEM(chain tls.Certificate) []byte {
	var text bytes.Buffer
	for _, der := range chain.Certificate {
		_ = pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
	return text.Bytes()
}

func (i issued) keyPEM(t testing.TB) []byte {
	der, err := x509.MarshalPKCS8PrivateKey(i.key)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func writeFile(t testing.TB, text []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tls.pem")
	require.NoError(t, os.WriteFile(path, text, 0o600))
	return path
}

// serve makes a TLS server at address that only makes handshakes, and returns its address.
func serve(t testing.TB, address string, config *tls.Config) string {
	t.Helper()
	return listen(t, address, func(conn net.Conn) {
		server := tls.Server(conn, config)
		if server.HandshakeContext(t.Context()) == nil {
			_, _ = server.Read(make([]byte, 1)) // wait until the client closes
		}
	})
}

// listen calls handle for each connection. It closes the connection afterwards, or at the end of the test.
func listen(t testing.TB, address string, handle func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	require.NoError(t, err)
	var handlers sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	handlers.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			handlers.Go(func() {
				defer conn.Close()
				defer context.AfterFunc(ctx, func() { conn.Close() })()
				handle(conn)
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		cancel()
		handlers.Wait()
	})
	return listener.Addr().String()
}

const anyPort = "127.0.0.1:0"

// check makes one check, and derives the reason as the health checks do.
func check(t testing.TB, probe *certprobe.Probe) (probes.Result, probes.Reason) {
	t.Helper()
	require.NoError(t, probe.Validate())
	result := probe.Check(t.Context())
	for _, detail := range result.Details {
		assert.NoError(t, probes.CheckDetail(detail))
	}
	if result.Reason != "" {
		return result, result.Reason
	}
	return result, reason.Of(result.Err)
}

// until returns the details of certificates that expire at notAfter.
func until(notAfter time.Time) []slog.Attr {
	return []slog.Attr{
		slog.Int64("not_after", notAfter.Unix()), slog.String("expires", notAfter.UTC().Format("2006-01-02")),
	}
}
