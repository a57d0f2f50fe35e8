// Package certprobe checks certificates before they expire: those that a server shows, those of a file, or
// those of the application's own tls.Config.
//
//	echohealth.WithCheck("certificate", certprobe.Server("orders.example.com:443"))
//	echohealth.WithCheck("client-certificate", certprobe.File("/etc/tls/tls.crt"))
//	echohealth.WithCheck("certificate", certprobe.Config(server.TLSConfig))
//
// # When it runs
//
// By default a check runs once an hour, and once a minute after a run that failed. Readiness does not depend
// on it, and a failure makes the service degraded. The options of the check set this otherwise: FreshFor,
// which then serves for failures too, and WithReadiness with the name of the check.
//
// Each run reads the file, connects to the server, or asks the configuration anew. The probe keeps nothing
// between two runs, so a renewed certificate shows with the next one.
//
// # Which certificates count
//
// The certificate that expires first decides, also if it is an intermediate one. Of a server, that is the
// first one of the verified chain, from the server's own certificate up to an authority. With several such
// chains it is the chain that lasts longest, so an old cross-signed certificate that no client needs does no
// harm. Of a file or a configuration all certificates count, unless RootCAs verifies the chain.
//
// # Results
//
//   - ok: every certificate is valid for longer than WarnBefore.
//   - warning, certificate_expires_soon: one of them expires before that.
//   - error, certificate_expired: one of them has expired.
//   - error, certificate_not_yet_valid: one of them is not valid yet. The clock may be wrong, here or where
//     it was issued.
//   - error, certificate_wrong_name: the certificate is for another name.
//   - error, incomplete_chain: the server does not show the certificate that issued its own.
//   - error, unknown_authority: the chain ends at an authority that is not trusted here.
//   - error, tls_error: the handshake failed before the server showed a certificate, or the certificate may
//     not be used for this.
//   - error, misconfigured: the file or the configuration has no certificate, or one that can't be parsed.
//   - error with the reason of the failure: connection_refused, timeout, not_found for a missing file, panic
//     for a GetCertificate that panics, and others.
//
// If several apply, the first in this order of errors is the reason, and the log has all.
//
// A server that shows only its own certificate, from an unknown issuer, may lack the intermediate
// certificate, or its authority may be unknown. The result is incomplete_chain if the server shows other
// certificates, if the certificate has an address of its issuer's (as those of public authorities have), or
// if RootCAs names the authorities. Otherwise it is unknown_authority.
//
// The details are not_after, the expiry in seconds since 1970, and expires, the day of it in UTC. The metric
// is echohealth_certificate_not_after_timestamp_seconds. Both are absent if no certificate was found. No
// detail has a name, and nothing has a private key.
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
	// show returns the certificates, chain by chain, each with the leaf first. None is empty.
	show func(context.Context) ([][]*x509.Certificate, error)

	name       string         // that the leaf must have; empty: any
	verify     bool           // the chain
	roots      *x509.CertPool // nil: the system's
	usage      x509.ExtKeyUsage
	warnBefore time.Duration
	warns      bool // warnBefore was set
	invalid    error
}

// Server returns a probe of the certificates that a TLS server shows. The address must be host:port, with an
// IPv6 address in brackets. Each check is one connection with one handshake, without a request, in at most
// 10 s. The probe asks for the host of the address (SNI), or for ServerName. It verifies that name, and the
// chain up to an authority of the system, or of RootCAs.
//
// The probe has no client certificate. If the server wants one, the certificate that it shows is judged all
// the same. A server with several certificates for one name shows the one for the algorithms of this client.
// An invalid address is an error at construction of the health checks.
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

// File returns a probe of the certificates of a file, in PEM or DER. It may be one certificate, a chain with
// the leaf first, or a bundle of authorities. Private keys and other things in it are skipped. By default
// only the times of all certificates are judged. ServerName also verifies the name of the first one, and
// RootCAs its chain, with the other certificates as the intermediate ones.
//
// The file must be a regular one, or a symbolic link to it, of at most 4 MB. It need not exist yet. A path
// that is empty, a URL, or the text of a certificate is an error at construction of the health checks.
func File(path string, opts ...Option) *Probe {
	p := newProbe("", opts, validPath(path))
	p.show = func(context.Context) ([][]*x509.Certificate, error) { return readFile(path) }
	return p
}

// Config returns a probe of the certificates that a server with this configuration shows. Without ServerName
// they are all of Certificates. With ServerName they are what a client is shown that asks for this name: the
// probe makes a handshake with the configuration in memory, so GetConfigForClient, GetCertificate and
// NameToCertificate choose as they do for a client. A configuration with GetConfigForClient, or with
// GetCertificate and no Certificates, is also asked without ServerName, as by a client that names no server.
//
// By default only the times of the certificates are judged. ServerName also verifies the name, and RootCAs
// the chain. The authorities of the configuration itself are for its peers, and are not used.
//
// A function of the configuration gets a real ClientHelloInfo. Its context ends with the check, after 10 s at
// most. Its connection is in memory, with addresses of 127.0.0.1. While the function does not return, the
// probe does not call it again. A panic in it is an error with ReasonPanic.
//
// The probe does not change the configuration. A nil configuration, one that has no certificate and no
// function for it, and one with both Certificates and GetCertificate but no ServerName (GetCertificate would
// never be called) are errors at construction of the health checks. For certificates that
// http.Server.ListenAndServeTLS reads from files use File.
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

// Defaults let the check run once an hour, and once a minute after a run that failed, and make it Optional.
func (p *Probe) Defaults() probes.Defaults {
	return probes.Defaults{FreshFor: time.Hour, RetryAfter: time.Minute, Optional: true}
}

// Check judges the certificates as they are now.
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

// longest limits a check, also for a context without a deadline.
const longest = 10 * time.Second
