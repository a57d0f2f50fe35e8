package amqpconn

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
)

// TakeTLS removes the TLS options, which have RabbitMQ's or Celery's names, from a broker URL's query and
// returns a configuration. It returns nil for a URL without TLS. The server's certificate is verified unless
// an option switches that off. A custom configuration that is not nil is returned instead, and then an option
// is an error.
//
// RabbitMQ's options: https://www.rabbitmq.com/docs/uri-query-parameters
// Celery's options: https://docs.celeryq.dev/en/stable/userguide/configuration.html#broker-use-ssl
func TakeTLS(q Query, secure bool, custom *tls.Config) (*tls.Config, error) {
	o := tlsOptions{
		ca:     q.Take("cacertfile", "ssl_ca_certs"),
		cert:   q.Take("certfile", "ssl_certfile"),
		key:    q.Take("keyfile", "ssl_keyfile"),
		server: q.Take("server_name_indication"),
		verify: q.Take("verify", "ssl_cert_reqs"),
		host:   q.Take("ssl_check_hostname"),
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

type tlsOptions struct{ ca, cert, key, server, verify, host string }

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
	anyHost, err := o.anyHost()
	if err != nil {
		return nil, err
	}
	if anyHost && !insecure {
		verifyChainOnly(config)
	}
	return config, o.addClientCertificate(config)
}

func (o tlsOptions) addClientCertificate(config *tls.Config) error {
	if (o.cert == "") != (o.key == "") {
		return errors.New("a client certificate needs a certificate file and a key file")
	}
	if o.cert == "" {
		return nil
	}
	if _, err := tls.LoadX509KeyPair(o.cert, o.key); err != nil {
		return fmt.Errorf("client certificate: %w", err)
	}
	// The files are read for each connection, because certificates are renewed during the life of the process.
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(o.cert, o.key)
		return &pair, err
	}
	return nil
}

func (o tlsOptions) insecure() (bool, error) {
	switch o.verify {
	case "verify_none", "CERT_NONE", "none":
		return true, nil
	case "", "verify_peer", "CERT_REQUIRED", "required",
		"CERT_OPTIONAL", "optional": // for a client the same as required, as in Python's ssl module
		return false, nil
	}
	return false, fmt.Errorf("%q: the certificate verification must be CERT_REQUIRED, CERT_OPTIONAL, "+
		"CERT_NONE, verify_peer or verify_none", o.verify)
}

// anyHost reports whether a certificate for another host name is accepted.
func (o tlsOptions) anyHost() (bool, error) {
	switch strings.ToLower(o.host) {
	case "", "true", "yes", "1":
		return false, nil
	case "false", "no", "0":
		return true, nil
	}
	return false, fmt.Errorf("ssl_check_hostname=%q: it must be true or false", o.host)
}

// verifyChainOnly makes the configuration verify the server's certificate, but not its name.
func verifyChainOnly(config *tls.Config) {
	config.InsecureSkipVerify = true
	config.VerifyConnection = func(state tls.ConnectionState) error {
		intermediates := x509.NewCertPool()
		for _, cert := range state.PeerCertificates[1:] {
			intermediates.AddCert(cert)
		}
		_, err := state.PeerCertificates[0].Verify(
			x509.VerifyOptions{Roots: config.RootCAs, Intermediates: intermediates})
		if err != nil {
			return &tls.CertificateVerificationError{UnverifiedCertificates: state.PeerCertificates, Err: err}
		}
		return nil
	}
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
