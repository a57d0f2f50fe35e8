package healthcheck

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/echo-probes/echohealth/healthcheck/internal/client"
	"github.com/echo-probes/echohealth/healthcheck/internal/text"
)

// tlsFlags are the flags for https URLs.
type tlsFlags struct {
	insecure                bool
	caCert, cert, key, name optional
}

func (f *tlsFlags) define(set *flag.FlagSet) {
	set.BoolVar(&f.insecure, "insecure", false, "")
	set.Var(&f.caCert, "cacert", "")
	set.Var(&f.cert, "cert", "")
	set.Var(&f.key, "key", "")
	set.Var(&f.name, "server-name", "")
}

// config returns the configuration that the flags set, or nil if no flag is given.
func (f *tlsFlags) config(targets []client.Target) (*tls.Config, error) {
	given := f.given()
	switch {
	case given == "":
		return nil, nil
	case !slices.ContainsFunc(targets, client.Target.IsTLS):
		return nil, fmt.Errorf("%s is for https URLs, and there is none", given)
	case f.insecure && f.caCert.given:
		return nil, errors.New("--insecure accepts every certificate, so --cacert would have no effect: choose one")
	case f.cert.given != f.key.given:
		return nil, errors.New("--cert and --key must be given together: a client certificate needs " +
			"its private key; if one file has both, name it twice")
	}
	config := &tls.Config{InsecureSkipVerify: f.insecure}
	if f.name.given {
		if !isServerName(f.name.value) {
			return nil, fmt.Errorf("--server-name: %q must be a host name or an IP address, without a port",
				client.Mask(f.name.value))
		}
		config.ServerName = f.name.value
	}
	if err := f.addAuthorities(config); err != nil {
		return nil, err
	}
	return config, f.addClientCertificate(config)
}

// given returns the name of one of the flags that the command line contains, or "" if it contains none.
func (f *tlsFlags) given() string {
	switch {
	case f.insecure:
		return "--insecure"
	case f.caCert.given:
		return "--cacert"
	case f.cert.given:
		return "--cert"
	case f.key.given:
		return "--key"
	case f.name.given:
		return "--server-name"
	}
	return ""
}

func (f *tlsFlags) addAuthorities(config *tls.Config) error {
	if !f.caCert.given {
		return nil
	}
	pem, err := readFile(f.caCert.value)
	config.RootCAs = x509.NewCertPool()
	if err == nil && !config.RootCAs.AppendCertsFromPEM(pem) {
		err = errors.New("must hold a certificate in PEM, and holds none")
	}
	return fileError("--cacert", f.caCert.value, err)
}

// addClientCertificate makes the client send the certificate to every server that requests one. By default,
// package tls sends no certificate to a server that accepts only other authorities. The server's alert would
// then report wrongly that the client has no certificate.
func (f *tlsFlags) addClientCertificate(config *tls.Config) error {
	if !f.cert.given {
		return nil
	}
	cert, err := readFile(f.cert.value)
	if err != nil {
		return fileError("--cert", f.cert.value, err)
	}
	key, err := readFile(f.key.value)
	if err != nil {
		return fileError("--key", f.key.value, err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("--cert %q and --key %q must be a certificate and its private key in PEM: %s",
			client.Mask(f.cert.value), client.Mask(f.key.value), strings.TrimPrefix(err.Error(), "tls: "))
	}
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return &pair, nil
	}
	return nil
}

func fileError(flag, name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: the file %q %w", flag, client.Mask(name), err)
}

func isServerName(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	return s != "" && len(s) <= 253 && strings.Trim(s, text.Letters+text.Digits+".-_") == ""
}
