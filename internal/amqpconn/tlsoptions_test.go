package amqpconn_test

import (
	"crypto/tls"
	"encoding/pem"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/internal/amqpconn"
)

// The authorities can be a directory of OpenSSL, or a text. The lowest version of TLS can be set.
func TestTLSOptionsOfRedisPy(t *testing.T) {
	server := httptest.NewUnstartedServer(nil)
	server.StartTLS()
	defer server.Close()
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	dir, other := t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "0a1b2c3d.0"), certificate, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "README"), []byte("no certificate"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(other, "ca.pem"), certificate, 0o600))

	take := func(name, value string) (*tls.Config, error) {
		return amqpconn.TakeTLS(amqpconn.Query{name: {value}}, true, nil)
	}
	dial := func(config *tls.Config) error {
		conn, err := tls.Dial("tcp", server.Listener.Addr().String(), config)
		if err == nil {
			err = conn.Close()
		}
		return err
	}
	config, err := take("ssl_ca_path", dir)
	require.NoError(t, err)
	assert.NoError(t, dial(config))
	config, err = take("ssl_ca_data", string(certificate))
	require.NoError(t, err)
	assert.NoError(t, dial(config))
	config, err = take("ssl_min_version", "772")
	require.NoError(t, err)
	assert.EqualValues(t, tls.VersionTLS13, config.MinVersion)
	assert.Error(t, dial(config), "the system does not know this authority")
	config, err = take("ssl_check_hostname", "true")
	require.NoError(t, err)
	assert.EqualValues(t, tls.VersionTLS12, config.MinVersion)

	_, err = take("ssl_ca_path", other)
	assert.ErrorContains(t, err, "their names must be those of openssl rehash")
	for _, version := range []string{"768", "773", "TLSv1.2", "-1"} {
		_, err = take("ssl_min_version", version)
		assert.ErrorContains(t, err, "ssl_min_version="+`"`+version+`": it must be`)
	}
	query, err := url.ParseQuery("ssl_ca_data=x")
	require.NoError(t, err)
	_, err = amqpconn.TakeTLS(amqpconn.Query(query), true, nil)
	assert.ErrorContains(t, err, "ssl_ca_data: it must be a certificate as PEM")
}
