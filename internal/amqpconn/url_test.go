package amqpconn_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/internal/amqpconn"
)

func TestParseURL(t *testing.T) {
	good := []string{
		"amqp://",
		"amqp://rabbit",
		"amqp://app:s3cret@rabbit:5672/",
		"pyamqp://app:s3cret@rabbit:5672//",
		"librabbitmq://app:s3cret@rabbit",
		"amqps://rabbit?ssl_check_hostname=False",
		"amqps://rabbit?ssl_check_hostname=true&ssl_cert_reqs=none",
		"amqps://app:s3cret@rabbit/vh",
		"amqp://app:s3%3Bcret@rabbit/vh?heartbeat=20&channel_max=10&connection_timeout=500",
		"amqp://app:s3;cret@rabbit/",
		"amqps://rabbit?ssl_cert_reqs=CERT_NONE",
		"amqps://rabbit?ssl_cert_reqs=CERT_OPTIONAL",
		"amqps://rabbit?verify=verify_peer&server_name_indication=mq",
		"amqp://rabbit?login_method=AMQPLAIN&connect_timeout=4",
		"amqp://rabbit?connect_timeout=31536000&heartbeat=65535&channel_max=65535",
		"amqp://rabbit?connection_timeout=31536000000&heartbeat=0&channel_max=0",
		"amqp://[::1]:5672/",
		"amqp://app:s3cret@rabbit/v%40h",
	}
	for _, raw := range good {
		_, err := amqpconn.ParseURL(raw, nil)
		assert.NoError(t, err, raw)
	}
}

func TestParseURLRefuses(t *testing.T) {
	tests := []struct{ raw, want string }{
		{"", `broker URL "***": its scheme must be one of amqp, amqps, pyamqp`},
		{"app:s3cret@rabbit:5672", `"***"`},
		{"http://app:s3cret@rabbit/", `broker URL "http://***@rabbit/": its scheme must be one of amqp, amqps, pyamqp`},
		{"amqp://app:s3 cret@rabbit/", `broker URL "amqp://***@rabbit/": it must not contain white space`},
		{"amqp://app:s3%cret@rabbit/", `broker URL "amqp://***@rabbit/": it can't be parsed`},
		{"amqp://app:s3/cret@rabbit/", `broker URL "amqp://***@rabbit/": it can't be parsed`},
		{"amqp://app:s3cret", `broker URL "amqp://***": it can't be parsed`},
		{"amqp://app:1?s3cret@rabbit/", `broker URL "amqp://***@rabbit/": it can't be parsed`},
		{"amqp://app:1/s3cret@rabbit/", `broker URL "amqp://***@rabbit/": it can't be parsed`},
		{"amqp://app:1#s3cret@rabbit/", `broker URL "amqp://***@rabbit/": it can't be parsed`},
		{"amqp://app:p@s?s3cret@rabbit/", `broker URL "amqp://***@rabbit/": it can't be parsed`},
		{"amqp:rabbit?s3cret", `broker URL "***": its scheme must be followed by ://`},
		{"amqp:rabbit?amqp://app:s3cret@rabbit", `its scheme must be followed by ://`},
		{"amqp://rabbit/#", `an @ or # anywhere else`},
		{"amqp://app:s3cret@rabbit:99999/", "its port must be 1 to 65535"},
		{"amqp://app:s3cret@rabbit:0/", "its port must be 1 to 65535"},

		{"amqp://app:s3cret@a:5672;b:5672/", "it names several brokers"},
		{"amqp://a;b:1", "it names several brokers"},
		{"amqp://rabbit/?hartbeat=10&x=s3cret", `unknown option "hartbeat", "x"`},
		{"amqp://app:s3cret@rabbit/?heartbeat=%zz", "its query can't be parsed"},
		{"amqp://app:s3cret@rabbit/?heartbeat=1.5",
			`heartbeat="1.5": it must be a whole number of seconds from 0 to 65535`},
		{"amqp://rabbit/?heartbeat=65536", `heartbeat="65536": it must be`},
		{"amqp://rabbit/?heartbeat=-1", `heartbeat="-1": it must be`},
		{"amqp://rabbit/?channel_max=x", `channel_max="x": it must be a whole number from 0 to 65535`},
		{"amqp://rabbit/?connection_timeout=0",
			`connection_timeout="0": it must be a whole number of milliseconds from 1 to 31536000000`},
		{"amqp://rabbit/?connection_timeout=9223372036855", `connection_timeout="9223372036855": it must be`},
		{"amqp://rabbit/?connect_timeout=0",
			`connect_timeout="0": it must be a whole number of seconds from 1 to 31536000`},
		{"amqp://rabbit/?connect_timeout=31536001", `connect_timeout="31536001": it must be`},
		{"amqp://rabbit/?connect_timeout=9223372037", `connect_timeout="9223372037": it must be`},
		{"amqp://rabbit/?connect_timeout=18446744073709551617", `"18446744073709551617": it must be`},
		{"amqp://rabbit/?connect_timeout=1&connection_timeout=1", "exclude each other"},
		{"amqp://app:s3cret@rabbit/?auth_mechanism=md5", `auth_mechanism "md5": it must be plain, amqplain or external`},
		{"amqp://app:s3cret@rabbit/?ssl_cert_reqs=CERT_NONE", "TLS options need a scheme with TLS"},
		{"amqps://app:s3cret@rabbit/?ssl_cert_reqs=maybe", `"maybe": the certificate verification must be CERT_REQUIRED`},
		{"amqps://app:s3cret@rabbit/?ssl_check_hostname=maybe", `ssl_check_hostname="maybe": it must be true or false`},
		{"librabbitmq://app:s3cret@rabbit/?ssl_check_hostname=true", "TLS options need a scheme with TLS"},
		{"amqps://app:s3cret@rabbit/?cacertfile=/does/not/exist", "CA certificates: open /does/not/exist"},
		{"amqps://app:s3cret@rabbit/?certfile=/does/not/exist", "a client certificate needs a certificate file and a key file"},
		{"amqps://app:s3cret@rabbit/?certfile=/no/c&keyfile=/no/k", "client certificate: open /no/c"},
	}
	for _, test := range tests {
		_, err := amqpconn.ParseURL(test.raw, nil)
		require.Error(t, err, test.raw)
		assert.ErrorContains(t, err, test.want, test.raw)
		assert.NotContains(t, err.Error(), "s3", test.raw)
		assert.NotContains(t, err.Error(), "cret", test.raw)
	}
	_, err := amqpconn.ParseURL("amqp://rabbit", new(tls.Config))
	assert.ErrorContains(t, err, "TLS options need a scheme with TLS")
	_, err = amqpconn.ParseURL("amqps://rabbit?verify=verify_none", new(tls.Config))
	assert.ErrorContains(t, err, "exclude each other")
}

// Any URL is parsed or refused, and no error may contain the password.
func FuzzURL(f *testing.F) {
	for _, before := range []string{"", "x", "amqp://rabbit/?verify=", "amqps://rabbit/?", "http://", "amqp://a;", " ", "%", `"`, "amqp://app:1", "amqp://[::1"} {
		for _, after := range []string{"rabbit/", "rabbit:5672/vh?heartbeat=10", "rabbit?connection_timeout=0", "a;amqp://b", "%", " ", "[", ":99999/", "@", "/?x=1", "h?heartbeat=x", "\x00"} {
			f.Add(before, after)
		}
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		const password = "s3cret-Pa55"
		for _, form := range []string{"amqp://app:%s@", "pyamqp://:%s@", "amqps://app:1%s@", "redis://app:%s@", "amqp://app:1?%s@", "amqp://app:1/%s@", "amqp://app:1#%s@", "amqp://app:p@%s@"} {
			raw := before + fmt.Sprintf(form, password) + after
			_, err := amqpconn.ParseURL(raw, nil)
			_, _, err2 := amqpconn.ParseBrokerURL(raw, "redis", "rediss")
			for _, text := range []string{fmt.Sprint(err), fmt.Sprint(err2), amqpconn.RedactURL(raw)} {
				if strings.Contains(text, password) && !strings.Contains(before+after, password) {
					t.Errorf("%q: %s", raw, text)
				}
			}
		}
	})
}

func TestAdvise(t *testing.T) {
	for raw, lines := range map[string]int{"amqp://rabbit": 0, "amqp://rabbit?heartbeat=1": 0, "amqp://rabbit?heartbeat=0": 1} {
		target, err := amqpconn.ParseURL(raw, nil)
		require.NoError(t, err)
		assert.Len(t, target.Advise(), lines, raw)
	}
}

func TestTakeTLS(t *testing.T) {
	cert, key := certificate(t)
	query := func(text string) amqpconn.Query {
		values, err := url.ParseQuery(text)
		require.NoError(t, err)
		return amqpconn.Query(values)
	}
	config, err := amqpconn.TakeTLS(query(""), true, nil)
	require.NoError(t, err)
	assert.False(t, config.InsecureSkipVerify)
	assert.Nil(t, config.RootCAs, "the system's")

	config, err = amqpconn.TakeTLS(query("ssl_cert_reqs=CERT_NONE"), true, nil)
	require.NoError(t, err)
	assert.True(t, config.InsecureSkipVerify)

	q := query("ssl_ca_certs=" + cert + "&ssl_certfile=" + cert + "&ssl_keyfile=" + key + "&ssl_cert_reqs=required")
	config, err = amqpconn.TakeTLS(q, true, nil)
	require.NoError(t, err)
	assert.NoError(t, q.Rest())
	assert.False(t, config.InsecureSkipVerify)
	assert.NotNil(t, config.RootCAs)
	pair, err := config.GetClientCertificate(nil)
	require.NoError(t, err)
	assert.NotEmpty(t, pair.Certificate)

	_, err = amqpconn.TakeTLS(query("cacertfile="+key), true, nil)
	assert.ErrorContains(t, err, "no certificate in")
}

// certificate makes a self-signed certificate for 127.0.0.1, and returns the files of the certificate and of
// its key.
func certificate(t *testing.T) (cert, key string) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	write := func(name, kind string, der []byte) string {
		file := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
		return file
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", keyDER)
}
