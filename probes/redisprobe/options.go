package redisprobe

import (
	"context"
	"errors"
	"time"

	"github.com/echo-probes/echohealth/internal/newconn"
)

// An Option changes what New makes. An argument that can't be meant is an error at construction of the health
// checks.
type Option func(*Probe) error

// PingOnly leaves out the SET: for a replica, and for a user who may not write. The check then does not say
// whether Redis takes writes. The last use wins.
func PingOnly() Option {
	return func(p *Probe) error { p.pingOnly = true; return nil }
}

// NewConnectionEvery sets how often the probe makes a new connection, logs in, and closes it: once per d, give
// or take a tenth. The default is one minute. Zero turns it off. While that fails and the kept connection
// answers, the check is a Warning with the reason of the failure, such as authentication_failed after the
// password was changed.
//
// A new connection is never made while another is being made, while the check is an error, or over the
// application's pool. For a *redis.ClusterClient it is one to each master; through Sentinel, to the master
// that it names. A *redis.Ring and any other implementation has no kept connection of the probe's, and the
// option no effect.
//
// The last use wins. A negative duration, a positive one under 1 ms, and more than a year are errors.
func NewConnectionEvery(d time.Duration) Option {
	return func(p *Probe) error {
		p.newConnections = d
		return newconn.Validate("redisprobe.NewConnectionEvery", d)
	}
}

// BaseContext sets a context whose values the context of each call has: for the hooks of a client that is
// asked itself, such as one that takes the tenant from it, and for the OnConnect and the
// CredentialsProviderContext of any client. What the check's own context has comes first. The deadline and
// the cancellation of ctx do not count. The default is no values. The last use wins. A nil ctx is an error.
func BaseContext(ctx context.Context) Option {
	return func(p *Probe) error {
		if ctx == nil {
			return errors.New("redisprobe.BaseContext(nil): the context must not be nil")
		}
		p.base = ctx
		return nil
	}
}
