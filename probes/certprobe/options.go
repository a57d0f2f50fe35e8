package certprobe

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/echo-probes/echohealth/internal/duration"
)

// An Option configures a Probe. An invalid argument is an error at construction of the health checks.
type Option func(*Probe) error

// WarnBefore sets how long before the expiry of a certificate the check becomes a warning. The default is 21
// days, but at most a quarter of the certificate's lifetime. So a certificate of 90 days warns after 69 days,
// and one of a day after 18 hours. A certificate that is renewed in time should never warn. The quarter does
// not limit a duration that WarnBefore sets. Zero turns the warning off. A negative duration, a positive one
// under 1 ms and one over a year are errors at construction of the health checks. The last use wins.
func WarnBefore(d time.Duration) Option {
	return func(p *Probe) error {
		switch {
		case d < 0:
			return fmt.Errorf("certprobe.WarnBefore(%s): the duration must not be negative", d)
		case d > 0 && d < time.Millisecond:
			return fmt.Errorf("certprobe.WarnBefore(%s): the duration must be 0 or at least 1ms "+
				"(a bare number is in nanoseconds)", d)
		case d > duration.Longest:
			return fmt.Errorf("certprobe.WarnBefore(%s): the duration must be at most %s (a year)",
				d, duration.Longest)
		}
		p.warnBefore, p.warns = d, true
		return nil
	}
}

// ServerName sets the name that the certificate must have. With Server and Config, the probe also requests
// the certificate of this name (SNI). The name must be a host name or an IP address, without a port. The
// default is the host of the address for Server, and no name for File and Config. An invalid name is an error
// at construction of the health checks. The last use wins. For a server with several names use several
// checks.
func ServerName(name string) Option {
	return func(p *Probe) error {
		if !validHost(name) {
			return fmt.Errorf("certprobe.ServerName(%q): it must be a host name or an IP address, "+
				"without a port", hidden(name))
		}
		p.name = name
		return nil
	}
}

// RootCAs sets the authorities that the chain must lead to. The default for Server is the system's
// authorities. File and Config verify the chain only with this option. To verify their chain against the
// system's authorities, use the result of x509.SystemCertPool. A nil pool is an error at construction of the
// health checks. The last use wins.
func RootCAs(pool *x509.CertPool) Option {
	return func(p *Probe) error {
		if pool == nil {
			return errors.New("certprobe.RootCAs(nil): the pool must not be nil; " +
				"x509.SystemCertPool returns the system's authorities")
		}
		p.roots, p.verify = pool, true
		return nil
	}
}
