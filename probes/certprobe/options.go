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
// days, but at most a quarter of the time that the certificate is valid for, so that one of 90 days warns
// after 69 days and one of a day after 18 hours: a certificate that is renewed in time should never warn. A
// duration that is set is used as it is. Zero turns the warning off. A negative duration, a positive one
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
// the certificate of this name (SNI). It must be a host name or an IP address, without a port. The default is
// the host of the address of Server, and no name for File and Config. Another name is an error at
// construction of the health checks. The last use wins. For a server with several names use several checks.
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

// RootCAs sets the authorities, up to one of which the chain must lead. The default is the system's for
// Server. File and Config verify the chain only with this option: for the system's authorities, give what
// x509.SystemCertPool returns. A nil pool is an error at construction of the health checks. The last use
// wins.
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
