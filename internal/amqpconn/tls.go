package amqpconn

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
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
		caDir:  q.Take("ssl_ca_path"),
		caText: q.Take("ssl_ca_data"),
		least:  q.Take("ssl_min_version"),
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

type tlsOptions struct{ ca, cert, key, server, verify, host, caDir, caText, least string }

func (o tlsOptions) config() (*tls.Config, error) {
	insecure, err := o.insecure()
	if err != nil {
		return nil, err
	}
	config := &tls.Config{ServerName: o.server, InsecureSkipVerify: insecure}
	if config.MinVersion, err = o.minVersion(); err != nil {
		return nil, err
	}
	if config.RootCAs, err = o.roots(); err != nil {
		return nil, err
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

// minVersion returns the lowest version of TLS, 1.2 by default. The option is a number of Python's
// ssl.TLSVersion, which are those of the protocol.
func (o tlsOptions) minVersion() (uint16, error) {
	if o.least == "" {
		return tls.VersionTLS12, nil
	}
	version, err := strconv.ParseUint(o.least, 10, 16)
	if err != nil || version < tls.VersionTLS10 || version > tls.VersionTLS13 {
		return 0, fmt.Errorf("ssl_min_version=%q: it must be 769 (TLS 1.0), 770, 771 or 772 (TLS 1.3)", o.least)
	}
	return uint16(version), nil
}

// roots returns the certificates of the authorities, or nil for those of the system.
func (o tlsOptions) roots() (*x509.CertPool, error) {
	if o.ca == "" && o.caDir == "" && o.caText == "" {
		return nil, nil
	}
	pool := x509.NewCertPool()
	if o.caText != "" && !pool.AppendCertsFromPEM([]byte(o.caText)) {
		return nil, errors.New("ssl_ca_data: it must be a certificate as PEM")
	}
	var files []string
	if o.ca != "" {
		files = append(files, o.ca)
	}
	if o.caDir != "" {
		inDir, err := certificatesIn(o.caDir)
		if err != nil {
			return nil, fmt.Errorf("CA certificates: %w", err)
		}
		files = append(files, inDir...)
	}
	for _, file := range files {
		pem, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("CA certificates: %w", err)
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("CA certificates: no certificate in %q", file)
		}
	}
	return pool, nil
}

// certificatesIn returns the files that OpenSSL reads in a directory of certificates: their names are a hash
// and a number, such as 9d66eef0.0.
func certificatesIn(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, entry := range entries {
		hash, number, _ := strings.Cut(entry.Name(), ".")
		if len(hash) == 8 && strings.Trim(hash, "0123456789abcdef") == "" &&
			number != "" && strings.Trim(number, "0123456789") == "" {
			files = append(files, filepath.Join(dir, entry.Name()))
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no certificate in %q: their names must be those of openssl rehash", dir)
	}
	return files, nil
}
