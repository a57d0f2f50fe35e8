package client

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"

	"github.com/echo-probes/echohealth/healthcheck/internal/text"
)

// explainTLS describes an error of TLS in a few words, and names a flag that may help. For another error it
// returns "".
func (s Settings) explainTLS(err error) string {
	if failed, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "the certificate is not accepted: " + s.explainCertificate(failed.Err)
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "the server does not speak TLS"
	}
	if isAlert(err) {
		return s.explainAlert(err)
	}
	return ""
}

func (s Settings) explainCertificate(err error) string {
	if host, ok := errors.AsType[x509.HostnameError](err); ok {
		return text.Clean("it is "+namesOf(host.Certificate)+", and not for "+host.Host, 160) +
			" (--server-name sets the name to expect)"
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); !ok {
		return text.Clean(strings.TrimPrefix(err.Error(), "x509: "), 160)
	}
	if s.TLS != nil && s.TLS.RootCAs != nil {
		return "it is not signed by an authority in the file of --cacert"
	}
	return "it is not signed by an authority that the system trusts (--cacert names one)"
}

// namesOf returns up to three hosts of a certificate, as in "for app.example".
func namesOf(certificate *x509.Certificate) string {
	names := certificate.DNSNames
	for _, ip := range certificate.IPAddresses {
		names = append(names, ip.String())
	}
	switch {
	case len(names) == 0:
		return "for no host"
	case len(names) > 3:
		return "for " + strings.Join(names[:3], ", ") + " and others"
	}
	return "for " + strings.Join(names, ", ")
}

// isAlert reports whether err is a TLS alert that the server sent.
func isAlert(err error) bool {
	operation, ok := errors.AsType[*net.OpError](err)
	return ok && operation.Op == "remote error"
}

// explainAlert describes a TLS alert in a few words. The alert's text comes from package tls, not from the
// server.
func (s Settings) explainAlert(err error) string {
	operation, _ := errors.AsType[*net.OpError](err)
	alert := strings.TrimPrefix(operation.Err.Error(), "tls: ")
	isCertificate := strings.Contains(alert, "certificate")
	sent := s.TLS != nil && s.TLS.GetClientCertificate != nil
	switch {
	case isCertificate && sent:
		return "the server does not accept the certificate of --cert: " + alert
	case isCertificate:
		return "the server requires a client certificate (--cert and --key): " + alert
	case alert == "handshake failure" && !sent:
		return "the server refuses TLS: handshake failure; it may require a client certificate (--cert and --key)"
	case alert == "unrecognized name":
		return "the server refuses TLS: unrecognized name (--server-name sets another)"
	}
	return "the server refuses TLS: " + alert
}
