package certprobe_test

import (
	"crypto/tls"
	"strings"
	"testing"
	"time"

	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/certprobe"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestInvalid(t *testing.T) {
	chain := issue(t, issued{}).with()
	get := func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &chain, nil }
	key := string(issue(t, issued{}).keyPEM(t))
	server := func(opts ...certprobe.Option) *certprobe.Probe { return certprobe.Server("localhost:443", opts...) }
	const shape, host, port = "the address must be host:port, such as example.com:443 or [::1]:443",
		"the host must be a host name or an IP address", "the port must be a number from 1 to 65535"
	tests := []struct {
		probe *certprobe.Probe
		want  string
	}{
		{certprobe.Server(""), `certprobe.Server(""): ` + shape},
		{certprobe.Server("example.com"), `certprobe.Server("example.com"): ` + shape},
		{certprobe.Server("::1:443"), `certprobe.Server("::1:443"): ` + shape},
		{certprobe.Server("::1"), `certprobe.Server("::1"): ` + shape},
		{certprobe.Server(":443"), `certprobe.Server(":443"): ` + host},
		{certprobe.Server("[]:443"), host},
		{certprobe.Server("example.com:"), `certprobe.Server("example.com:"): ` + port},
		{certprobe.Server("example.com:https"), port},
		{certprobe.Server("example.com:0"), port},
		{certprobe.Server("example.com:65536"), port},
		{certprobe.Server("example.com:443/path"), port},
		{certprobe.Server("example.com/path:443"), host},
		{certprobe.Server(" example.com:443"), host},
		{certprobe.Server("*.example.com:443"), host},
		{certprobe.Server(strings.Repeat("a", 254) + ":443"), host},
		{certprobe.Server("https://example.com"), `certprobe.Server("https://example.com"): the address must be host:port, not a URL`},
		{certprobe.Server("https://app:s3cret@example.com:443/?token=s3cret"), `certprobe.Server("https://***@example.com:443/?…"): the address must be host:port, not a URL`},
		{certprobe.Server("app:s3cret@example.com:443"), `certprobe.Server("***@example.com:443"): ` + shape},
		{certprobe.Server("app:s3cr@et@example.com:443"), `certprobe.Server("***@example.com:443"): ` + shape},
		{certprobe.Server("s3cret@example.com:443"), `certprobe.Server("***@example.com:443"): ` + host},
		{certprobe.File(""), `certprobe.File(""): the path must not be empty`},
		{certprobe.File("file:///etc/tls.crt"), `certprobe.File("file:///etc/tls.crt"): the path must be that of a file, not a URL`},
		{certprobe.File("https://app:s3cret@host/tls.crt"), `certprobe.File("https://***@host/tls.crt"): the path must be that of a file, not a URL`},
		{certprobe.File(key), `certprobe.File(…): the path must be that of a file, not its text`},
		{certprobe.File("/etc/tls.crt\n"), `certprobe.File(…): the path must be that of a file, not its text`},
		{certprobe.Config(nil), `certprobe.Config(nil): the configuration must not be nil`},
		{certprobe.Config(&tls.Config{}), `certprobe.Config: the configuration must have Certificates, GetCertificate or GetConfigForClient; for the files of ListenAndServeTLS use certprobe.File`},
		{certprobe.Config(&tls.Config{Certificates: []tls.Certificate{chain}, GetCertificate: get}), `certprobe.Config: with Certificates and GetCertificate, certprobe.ServerName must set a name`},
		{server(certprobe.WarnBefore(-time.Hour)), `certprobe.WarnBefore(-1h0m0s): the duration must not be negative`},
		{server(certprobe.WarnBefore(21)), `certprobe.WarnBefore(21ns): the duration must be 0 or at least 1ms (a bare number is in nanoseconds)`},
		{server(certprobe.WarnBefore(366 * day)), `certprobe.WarnBefore(8784h0m0s): the duration must be at most 8760h0m0s (a year)`},
		{server(certprobe.ServerName("")), `certprobe.ServerName(""): it must be a host name or an IP address, without a port`},
		{server(certprobe.ServerName("example.com:443")), `certprobe.ServerName("example.com:443"): it must be a host name or an IP address, without a port`},
		{server(certprobe.ServerName("https://app:s3cret@example.com")), `certprobe.ServerName("https://***@example.com"): it must be`},
		{server(certprobe.RootCAs(nil)), `certprobe.RootCAs(nil): the pool must not be nil; x509.SystemCertPool returns the system's authorities`},
	}
	for _, test := range tests {
		err := test.probe.Validate()
		require.ErrorContains(t, err, test.want)
		for _, secret := range []string{"s3cr", key[30:60]} {
			assert.NotContains(t, err.Error(), secret)
		}
		result := test.probe.Check(t.Context())
		assert.Equal(t, probes.ReasonMisconfigured, result.Reason)
		assert.Equal(t, err, result.Err)
	}
	err := certprobe.Server("example.com", certprobe.ServerName(""), certprobe.WarnBefore(-1)).Validate()
	for _, each := range []string{"certprobe.Server", "certprobe.ServerName", "certprobe.WarnBefore"} {
		assert.ErrorContains(t, err, each)
	}
}

func TestValid(t *testing.T) {
	for _, address := range []string{"example.com:443", "127.0.0.1:1", "[::1]:65535", "[fe80::1%eth0]:443", "db_1.internal.:5432", "xn--mnchen-3ya.de:443"} {
		assert.NoError(t, certprobe.Server(address).Validate(), address)
	}
	for _, path := range []string{"/etc/tls/tls.crt", "tls.crt", `C:\tls\tls.crt`, "/a b/ä.pem"} {
		assert.NoError(t, certprobe.File(path).Validate(), path)
	}
}
