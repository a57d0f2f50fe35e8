package redisprobe

import (
	"context"
	"errors"
	"time"

	"github.com/echo-probes/echohealth/internal/newconn"
)

// An Option configures a Probe. An invalid argument is an error at construction of the health checks.
type Option func(*Probe) error

// PingOnly leaves out the SET, for a replica or for a user without write permission. The check then does not
// tell whether Redis takes writes. The last use wins.
func PingOnly() Option {
	return func(p *Probe) error { p.pingOnly = true; return nil }
}

// NewConnectionEvery sets how often the probe makes a new connection, logs in and closes it: once per d,
// 10 % more or less. The default is one minute. Zero turns it off. While the new connection fails and the
// kept connection answers, the check is a Warning with the reason of the failure, such as
// authentication_failed after a password change.
//
// The probe makes one new connection at a time, none while the check is an error, and none through the
// application's pool. For a *redis.ClusterClient it makes one to each master; with Sentinel, one to the
// master that Sentinel names. For a *redis.Ring and any other implementation the probe keeps no connection,
// and the option has no effect.
//
// A negative duration, a positive one under 1 ms, and one over a year are errors. The last use wins.
func NewConnectionEvery(d time.Duration) Option {
	return func(p *Probe) error {
		p.newConnections = d
		return newconn.Validate("redisprobe.NewConnectionEvery", d)
	}
}

// BaseContext sets a context whose values are visible during each call: to the OnConnect and the
// CredentialsProviderContext of any client, and to the hooks of a client that the probe uses itself, such as
// a hook that needs a tenant. Values of the check's own context come first. Only the values of ctx count,
// not its deadline or its cancellation. The default has no values. A nil ctx is an error. The last use wins.
func BaseContext(ctx context.Context) Option {
	return func(p *Probe) error {
		if ctx == nil {
			return errors.New("redisprobe.BaseContext(nil): the context must not be nil")
		}
		p.base = ctx
		return nil
	}
}
