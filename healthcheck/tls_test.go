package healthcheck_test

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
	"io"
	"log"
	"math/big"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/healthcheck"
	"github.com/echo-probes/echohealth/healthcheck/internal/testservice"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// authority signs certificates. A file has its own certificate.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	file        string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	certificate, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return &authority{certificate, key, writePEM(t, "CERTIFICATE", der)}
}

// issue signs a certificate for hosts, and writes it and its key to files.
func (a *authority) issue(t *testing.T, until time.Time, hosts ...string) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: until,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &key.PublicKey, a.key)
	require.NoError(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return writePEM(t, "CERTIFICATE", der), writePEM(t, "PRIVATE KEY", pkcs8)
}

func writePEM(t *testing.T, kind string, der []byte) string {
	t.Helper()
	return writeFile(t, string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file.pem")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// serveTLS serves a health answer with a certificate, until the end of the test.
func serveTLS(t *testing.T, certFile, keyFile string, change func(*tls.Config)) string {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	require.NoError(t, err)
	config := &tls.Config{Certificates: []tls.Certificate{pair}}
	if change != nil {
		change(config)
	}
	guard := echohealth.WithGuard(echohealth.BearerToken("s3cret"))
	health := testservice.New(t, echohealth.WithRedis(testservice.Up), echohealth.WithoutSystemMetrics(), guard)
	server := httptest.NewUnstartedServer(health)
	server.TLS = config
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL
}

// modes are the arguments of each mode that ends by itself.
var modes = [][]string{
	nil, {"--all"}, {"rollout", "--connections=2", "--rate=20", "--duration=500ms"},
}

func TestTLSFlags(t *testing.T) {
	own, other := newAuthority(t), newAuthority(t)
	hour := time.Now().Add(time.Hour)
	cert, key := own.issue(t, hour, "127.0.0.1", "app.example")
	url := serveTLS(t, cert, key, nil)
	localhost := strings.Replace(url, "127.0.0.1", "localhost", 1)
	nameCert, nameKey := own.issue(t, hour, "app.example")
	named := serveTLS(t, nameCert, nameKey, nil)
	oldCert, oldKey := own.issue(t, time.Now().Add(-time.Hour), "127.0.0.1")
	expired := serveTLS(t, oldCert, oldKey, nil)
	const unknown = "the certificate is not accepted: it is not signed by an authority "
	tests := []struct {
		name string
		args []string
		want string // part of the output
	}{
		{"no flag", []string{url}, unknown + "that the system trusts (--cacert names one)"},
		{"its authority", []string{"--cacert", own.file, url}, ""},
		{"its own certificate", []string{"--cacert", cert, url}, ""},
		{"another authority", []string{"--cacert", other.file, url}, unknown + "in the file of --cacert"},
		{"every certificate", []string{"--insecure", url}, ""},
		{"every name", []string{"--insecure", localhost}, ""},
		{"an expired one too", []string{"--insecure", expired}, ""},
		{"an expired one", []string{"--cacert", own.file, expired},
			"the certificate is not accepted: certificate has expired or is not yet valid: "},
		{"another name", []string{"--cacert", own.file, localhost}, "the certificate is not accepted: " +
			"it is for app.example, 127.0.0.1, and not for localhost (--server-name sets the name to expect)"},
		{"an address", []string{"--cacert", own.file, named}, "the certificate is not accepted: " +
			"it is for app.example, and not for 127.0.0.1 (--server-name sets the name to expect)"},
		{"its name", []string{"--cacert", own.file, "--server-name", "app.example", localhost}, ""},
		{"its name, at an address", []string{"--cacert", own.file, "--server-name", "app.example", named}, ""},
		{"its address as the name", []string{"--cacert", own.file, "--server-name", "127.0.0.1", localhost}, ""},
		{"a wrong name", []string{"--cacert", own.file, "--server-name", "other.example", url}, "the certificate " +
			"is not accepted: it is for app.example, 127.0.0.1, and not for other.example (--server-name sets"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, mode := range modes {
				code, stdout, stderr := command(append(mode, test.args...)...)
				assert.Equal(t, test.want == "", code == 0, stdout)
				assert.Contains(t, stdout, test.want)
				assert.Empty(t, stderr)
			}
		})
	}
}

func TestClientCertificates(t *testing.T) {
	own, other := newAuthority(t), newAuthority(t)
	hour := time.Now().Add(time.Hour)
	cert, key := own.issue(t, hour, "127.0.0.1")
	client, clientKey := own.issue(t, hour)
	old, oldKey := own.issue(t, time.Now().Add(-time.Hour))
	foreign, foreignKey := other.issue(t, hour)
	const (
		required = "the server requires a client certificate (--cert and --key): "
		refused  = "the server does not accept the certificate of --cert: "
	)
	tests := []struct {
		name         string
		args         []string
		want, want12 string // parts of the output, with TLS 1.3 and 1.2
	}{
		{"none", nil, required + "certificate required",
			"the server refuses TLS: handshake failure; it may require a client certificate (--cert and --key)"},
		{"none, and a request of many writes", []string{"--header", "X: " + strings.Repeat("x", 1<<19)},
			required + "certificate required",
			"the server refuses TLS: handshake failure; it may require a client certificate (--cert and --key)"},
		{"one", []string{"--cert", client, "--key", clientKey}, "", ""},
		{"an expired one", []string{"--cert", old, "--key", oldKey}, refused + "expired certificate", ""},
		{"another authority's", []string{"--cert", foreign, "--key", foreignKey},
			refused + "unknown certificate authority", ""},
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		url := serveTLS(t, cert, key, func(c *tls.Config) {
			c.MaxVersion, c.ClientAuth = version, tls.RequireAndVerifyClientCert
			c.ClientCAs = x509.NewCertPool()
			c.ClientCAs.AddCert(own.certificate)
		})
		for _, test := range tests {
			want := test.want
			if version == tls.VersionTLS12 && test.want12 != "" {
				want = test.want12
			}
			t.Run(tls.VersionName(version)+" "+test.name, func(t *testing.T) {
				for _, mode := range modes {
					args := append(append(mode, "--cacert", own.file, url), test.args...)
					code, stdout, stderr := command(args...)
					assert.Equal(t, want == "", code == 0, stdout)
					assert.Contains(t, stdout, want)
					assert.Empty(t, stderr)
				}
			})
		}
	}
}

// Servers and proxies refuse a connection by other alerts too.
func TestAlerts(t *testing.T) {
	own := newAuthority(t)
	cert, key := own.issue(t, time.Now().Add(time.Hour), "127.0.0.1")
	for want, change := range map[string]func(*tls.Config){
		"the server refuses TLS: internal error": func(c *tls.Config) {
			c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, io.EOF }
		},
		"the server refuses TLS: unrecognized name (--server-name sets another)": func(c *tls.Config) {
			c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return &tls.Config{}, nil }
		},
		"the server refuses TLS: handshake failure; it may require a client certificate (--cert and --key)": func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_RSA_WITH_RC4_128_SHA}
		},
	} {
		code, stdout, _ := command("--insecure", serveTLS(t, cert, key, change))
		assert.Equal(t, 1, code)
		assert.Equal(t, want+"\n", stdout)
	}
}

// A watch connects to the addresses of its targets' names.
func TestWatchOverTLS(t *testing.T) {
	own := newAuthority(t)
	cert, key := own.issue(t, time.Now().Add(time.Hour), "app.example")
	url := serveTLS(t, cert, key, nil)
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"--server-name=app.example"}, ": ready in "},
		{nil, ": the certificate is not accepted: it is for app.example, and not for 127.0.0.1 "},
	} {
		out := watchOnce(t, append(test.args, "--cacert", own.file, url)...)
		assert.Contains(t, out, test.want)
	}
}

func TestTLSUsageErrors(t *testing.T) {
	own, other := newAuthority(t), newAuthority(t)
	hour := time.Now().Add(time.Hour)
	cert, key := own.issue(t, hour)
	_, otherKey := other.issue(t, hour)
	none, large, dir := writeFile(t, "s3cret"), writeFile(t, strings.Repeat("x", 1<<20+1)), t.TempDir()
	const https = "https://127.0.0.1:1"
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"--cert", cert, https}, "--cert and --key must be given together: a client certificate needs its private key"},
		{[]string{"--key", key, https}, "--cert and --key must be given together"},
		{[]string{"--cert", "", https}, "--cert and --key must be given together"},
		{[]string{"--insecure", "--cacert", own.file, https}, "--insecure accepts every certificate, so --cacert would have no effect: choose one"},
		{[]string{"--insecure", "http://x"}, "--insecure is for https URLs, and there is none"},
		{[]string{"--server-name", "app.example", "unix:///app.sock"}, "--server-name is for https URLs"},
		{[]string{"--cert", cert, "--key", key, "http://x", "http://y"}, "--cert is for https URLs"},
		{[]string{"--cacert", "/no/such.pem", https}, `--cacert: the file "/no/such.pem" can't be read: no such file or directory`},
		{[]string{"--cacert", "", https}, `--cacert: the file "" can't be read: no such file or directory`},
		{[]string{"--cacert", dir, https}, `--cacert: the file "` + dir + `" can't be read: is a directory`},
		{[]string{"--cacert", large, https}, `--cacert: the file "` + large + `" must not be larger than 1 MiB`},
		{[]string{"--cacert", none, https}, `--cacert: the file "` + none + `" must hold a certificate in PEM, and holds none`},
		{[]string{"--cacert", key, https}, `must hold a certificate in PEM, and holds none`},
		{[]string{"--cert", "/no.pem", "--key", key, https}, `--cert: the file "/no.pem" can't be read: `},
		{[]string{"--cert", cert, "--key", "/no.pem", https}, `--key: the file "/no.pem" can't be read: `},
		{[]string{"--cert", none, "--key", key, https}, `--cert "` + none + `" and --key "` + key + `" must be a certificate and its private key in PEM: `},
		{[]string{"--cert", cert, "--key", none, https}, `must be a certificate and its private key in PEM: failed to find any PEM data in key input`},
		{[]string{"--cert", cert, "--key", otherKey, https}, `must be a certificate and its private key in PEM: private key does not match public key`},
		{[]string{"--server-name", "", https}, `--server-name: "" must be a host name or an IP address, without a port`},
		{[]string{"--server-name", "app.example:443", https}, `--server-name: "app.example:443" must be a host name`},
		{[]string{"--server-name", "http://user:s3cret@host", https}, `--server-name: "http://***@host" must be a host name`},
		{[]string{"--cacert", "http://user:s3cret@host", https}, `--cacert: the file "http://***@host" can't be read: `},
		{[]string{"rollout", "--key", key, https}, "--cert and --key must be given together"},
		{[]string{"--all", "--key", key, https}, "--cert and --key must be given together"},
		{[]string{"--watch", "--key", key, https}, "--cert and --key must be given together"},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) { assertUsageError(t, test.args, test.want) })
	}
}

// assertUsageError asserts that the arguments are a usage error.
func assertUsageError(t *testing.T, args []string, want string) {
	t.Helper()
	code, stdout, stderr := command(args...)
	assert.Equal(t, 1, code, "never 2, which Docker reserves")
	assert.Empty(t, stdout)
	first, _, _ := strings.Cut(stderr, "\n")
	assert.Contains(t, first, "healthcheck: ")
	assert.Contains(t, first, want)
	assert.NotContains(t, stderr, "s3cret")
}

// watchOnce returns the output of --watch in its first round.
func watchOnce(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out := &notifyingBuffer{written: cancel}
	healthcheck.Run(ctx, append([]string{"--watch"}, args...), out, io.Discard)
	return out.String()
}

// notifyingBuffer calls a function at each write.
type notifyingBuffer struct {
	bytes.Buffer
	written func()
}

func (b *notifyingBuffer) Write(p []byte) (int, error) {
	defer b.written()
	return b.Buffer.Write(p)
}
