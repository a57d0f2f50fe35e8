// Package certprobe checks certificates before they expire. They may be the certificates that a server shows,
// those of a file, or those of the application's own tls.Config.
//
//	echohealth.WithCheck("certificate", certprobe.Server("orders.example.com:443"))
//	echohealth.WithCheck("client-certificate", certprobe.File("/etc/tls/tls.crt"))
//	echohealth.WithCheck("certificate", certprobe.Config(server.TLSConfig))
//
// # When it runs
//
// By default a check runs once an hour, and once a minute after a run that failed. Readiness does not depend
// on it, and a failure makes the service degraded. The check option FreshFor sets another interval, which
// then also applies after a failure. WithReadiness with the name of the check makes readiness depend on it.
//
// Each run reads the file, connects to the server, or calls the functions of the configuration. The probe
// keeps nothing between two runs, so the next run sees a renewed certificate.
//
// # Which certificates count
//
// The certificate that expires first determines the result, even if it is an intermediate one. Of a server,
// the certificates of the verified chain count, from the server's own certificate up to an authority. If
// there are several such chains, only the one that lasts longest counts. So an old cross-signed certificate
// that no client needs does no harm. Of a file or a configuration all certificates count, unless RootCAs
// verifies the chain.
//
// # Results
//
//   - ok: every certificate is valid for longer than WarnBefore.
//   - warning, certificate_expires_soon: a certificate expires within WarnBefore.
//   - error, certificate_expired: a certificate has expired.
//   - error, certificate_not_yet_valid: a certificate is not valid yet. The clock may be wrong, here or where
//     the certificate was issued.
//   - error, certificate_wrong_name: the certificate is for another name.
//   - error, incomplete_chain: the server does not show the certificate that issued its own.
//   - error, unknown_authority: the chain ends at an authority that is not trusted here.
//   - error, tls_error: the handshake failed before the server showed a certificate, or the certificate may
//     not be used for a server.
//   - error, misconfigured: the file or the configuration has no certificate, or has one that can't be
//     parsed.
//   - error with the reason of the failure: connection_refused, timeout, not_found for a missing file, panic
//     for a GetCertificate that panics, and others.
//
// If several errors apply, the reason is the first of them in this order, and the log has all.
//
// If a server does not show the issuer of its certificate, it may lack an intermediate certificate, or the
// issuer may be an unknown authority. The result is incomplete_chain if the server shows other certificates,
// if the certificate has the address of its issuer's certificate (as those of public authorities have), or if
// RootCAs names the authorities. Otherwise the result is unknown_authority.
//
// The details are not_after, the expiry in seconds since 1970, and expires, its day in UTC. The metric is
// echohealth_certificate_not_after_timestamp_seconds. All are absent if no certificate was found. No detail
// contains a name, and no result contains a private key.
package certprobe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"time"

	"github.com/echo-probes/echohealth/probes"
)

// A Probe checks certificates. Make it with Server, File or Config. Its methods may be called from any
// goroutine.
type Probe struct {
	// show returns the chains of certificates. Each chain begins with the leaf, and none is empty.
	show func(context.Context) ([][]*x509.Certificate, error)

	name       string         // name that the leaf must have; empty: any
	verify     bool           // whether to verify the chain
	roots      *x509.CertPool // nil: the system's authorities
	usage      x509.ExtKeyUsage
	warnBefore time.Duration
	warns      bool // warnBefore was set
	invalid    error
}

// Server returns a probe of the certificates that a TLS server shows. The address must be host:port, with an
// IPv6 address in brackets. Each check makes one connection and one handshake, without a request, in at most
// 10 s. The probe requests a certificate for the host of the address (SNI), or for ServerName. It verifies
// that the certificate has this name, and that the chain leads to an authority of the system, or of RootCAs.
//
// The probe has no client certificate. If the server requires one, the probe still checks the server's
// certificates. If the server has several certificates for one name, for different algorithms, the probe sees
// only the one that the server shows to a Go client. An invalid address is an error at construction of the
// health checks.
func Server(address string, opts ...Option) *Probe {
	host, err := parseAddress(address)
	p := newProbe(host, opts, err)
	p.verify, p.usage = true, x509.ExtKeyUsageServerAuth
	server := &server{address: address, name: p.name}
	if p.name == host {
		p.name = withoutZone(host)
	}
	p.show = server.show
	return p
}

// File returns a probe of the certificates of a file, in PEM or DER. The file may contain one certificate, a
// chain with the leaf first, or a bundle of authorities. The probe ignores private keys and other things in
// it. By default the probe checks only the validity period of each certificate. ServerName also verifies the
// name of the first certificate. RootCAs verifies its chain, with the other certificates as the intermediate
// ones.
//
// The file must be a regular one, or a symbolic link to it, of at most 4 MB. It need not exist yet. A path
// that is empty, a URL, or the text of a certificate is an error at construction of the health checks.
func File(path string, opts ...Option) *Probe {
	p := newProbe("", opts, validPath(path))
	p.show = func(context.Context) ([][]*x509.Certificate, error) { return readFile(path) }
	return p
}

// Config returns a probe of the certificates that a server with this configuration shows.
//
// With ServerName the probe makes a handshake in memory as a client that requests this name. So
// GetConfigForClient, GetCertificate and NameToCertificate choose the certificate as they do for a client.
// Without ServerName the probe checks all of Certificates. If the configuration has GetConfigForClient, or
// GetCertificate and no Certificates, the probe instead makes a handshake as a client that requests no name.
//
// By default the probe checks only the validity period of each certificate. ServerName also verifies the
// name, and RootCAs the chain. The probe does not use the authorities in the configuration, because they are
// for the server's clients.
//
// The functions of the configuration get a real ClientHelloInfo. Its context ends with the check, after 10 s
// at most. Its connection is in memory, with addresses of 127.0.0.1. As long as a function has not returned,
// the probe does not call the functions again. A panic in a function is an error with ReasonPanic.
//
// The probe does not change the configuration. Three configurations are errors at construction of the health
// checks: a nil one, one without Certificates, GetCertificate and GetConfigForClient, and one with both
// Certificates and GetCertificate but no ServerName, because GetCertificate would never be called. If
// http.Server.ListenAndServeTLS reads the certificates from files, use File.
func Config(config *tls.Config, opts ...Option) *Probe {
	p := newProbe("", opts, nil)
	p.invalid = errors.Join(p.invalid, validConfig(config, p.name))
	p.show = newConfigured(config, p.name).show
	return p
}

func newProbe(name string, opts []Option, err error) *Probe {
	p := &Probe{name: name, usage: x509.ExtKeyUsageAny}
	errs := []error{err}
	for _, opt := range opts {
		errs = append(errs, opt(p))
	}
	p.invalid = errors.Join(errs...)
	return p
}

// Validate returns the errors of the arguments of the constructor and of its options.
func (p *Probe) Validate() error { return p.invalid }

// Defaults makes the check run once an hour, and once a minute after a run that failed. It makes the check
// Optional.
func (p *Probe) Defaults() probes.Defaults {
	return probes.Defaults{FreshFor: time.Hour, RetryAfter: time.Minute, Optional: true}
}

// Check gets the certificates and returns the result for the current time.
func (p *Probe) Check(ctx context.Context) probes.Result {
	if p.invalid != nil {
		return probes.Result{Status: probes.Error, Reason: probes.ReasonMisconfigured, Err: p.invalid}
	}
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	chains, err := p.show(ctx)
	if err != nil {
		return probes.FromError(err)
	}
	return p.judge(chains, time.Now())
}

// longest is the time limit of a check. It also applies if the context has no deadline or a later one.
const longest = 10 * time.Second
