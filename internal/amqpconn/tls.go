package amqpconn

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// TakeTLS takes the TLS options out of a broker URL's query, by RabbitMQ's names or Celery's, and makes a configuration
// of them: the server's certificate is verified unless the options say otherwise. It returns nil for a URL
// without TLS. custom, where it is not nil, takes the place of such options.
//
// RabbitMQ's: https://www.rabbitmq.com/docs/uri-query-parameters
// Celery's: https://docs.celeryq.dev/en/stable/userguide/configuration.html#broker-use-ssl
func TakeTLS(q Query, secure bool, custom *tls.Config) (*tls.Config, error) {
	o := tlsOptions{
		ca:     q.Take("cacertfile", "ssl_ca_certs"),
		cert:   q.Take("certfile", "ssl_certfile"),
		key:    q.Take("keyfile", "ssl_keyfile"),
		server: q.Take("server_name_indication"),
		verify: q.Take("verify", "ssl_cert_reqs"),
	}
	switch given := o != (tlsOptions{}); {
	case !secure && (given || custom != nil):
		return nil, errors.New("TLS options need a scheme with TLS: amqps or rediss")
	case !secure:
		return nil, nil
	case custom != nil && given:
		return nil, errors.New("TLS options in the URL and TLSConfig exclude each other")
	case custom != nil:
		return custom.Clone(), nil
	}
	return o.config()
}

type tlsOptions struct{ ca, cert, key, server, verify string }

func (o tlsOptions) config() (*tls.Config, error) {
	insecure, err := o.insecure()
	if err != nil {
		return nil, err
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: o.server, InsecureSkipVerify: insecure}
	if o.ca != "" {
		if config.RootCAs, err = readCA(o.ca); err != nil {
			return nil, err
		}
	}
	if (o.cert == "") != (o.key == "") {
		return nil, errors.New("a client certificate needs both its file and its key's")
	}
	if o.cert != "" {
		if _, err := tls.LoadX509KeyPair(o.cert, o.key); err != nil {
			return nil, fmt.Errorf("client certificate: %w", err)
		}
		// Read again for each connection, since certificates are renewed while the process runs.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(o.cert, o.key)
			return &pair, err
		}
	}
	return config, nil
}

func (o tlsOptions) insecure() (bool, error) {
	switch o.verify {
	case "verify_none", "CERT_NONE", "none":
		return true, nil
	case "", "verify_peer", "CERT_REQUIRED", "required",
		"CERT_OPTIONAL", "optional": // for a client the same as required, says Python's ssl module
		return false, nil
	}
	return false, fmt.Errorf("%q: the certificate's verification is CERT_REQUIRED, CERT_OPTIONAL, CERT_NONE, verify_peer or verify_none", o.verify)
}

func readCA(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("CA certificates: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("CA certificates: no certificate in %q", file)
	}
	return pool, nil
}
