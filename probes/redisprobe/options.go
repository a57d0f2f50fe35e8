package redisprobe

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/echo-probes/echohealth/internal/newconn"
)

// An Option configures a Probe. An invalid argument is an error at construction of the health checks.
type Option func(*Probe) error

// PingOnly omits the SET, for a replica or for a user without write permission. The check then does not
// notice when Redis takes no writes. The last use wins.
func PingOnly() Option {
	return func(p *Probe) error { p.pingOnly = true; return nil }
}

// KeyPrefix sets a prefix for the names of the probe's keys, such as "shop:" for a user with the ACL rule
// ~shop:*. The probe then writes the key "shop:echohealth:" followed by a random word. The default is no
// prefix. A prefix with a hash tag, such as "{shop}:", puts all keys into one slot of a cluster, so the check
// notices only whether that slot takes writes. With PingOnly the probe uses no key.
//
// Errors are an empty prefix, one over 256 bytes, one with control characters or invalid UTF-8, and one with
// a { that begins no hash tag. The last use wins.
func KeyPrefix(prefix string) Option {
	return func(p *Probe) error {
		p.prefix = prefix
		if prefix == "" || len(prefix) > 256 || !utf8.ValidString(prefix) ||
			strings.ContainsFunc(prefix, unicode.IsControl) || openTag(prefix) {
			return fmt.Errorf("redisprobe.KeyPrefix(%.80q): the prefix must have 1 to 256 bytes of UTF-8 "+
				"without control characters, and a { must begin a hash tag such as {shop}", prefix)
		}
		return nil
	}
}

// openTag reports whether the first { of prefix begins no hash tag. Like Redis, it ignores any other {.
func openTag(prefix string) bool {
	_, tag, opened := strings.Cut(prefix, "{")
	return opened && strings.Index(tag, "}") < 1
}

// NewConnectionEvery sets how often the probe makes a new connection, logs in and closes it: once per d, 10 %
// more or less. The default is one minute. Zero turns it off. If the new connection fails and the kept
// connection answers, the check is a Warning with the reason of the failure, such as authentication_failed
// after a password change.
//
// The probe makes one new connection at a time, outside the application's pool, and none while the check is
// an error. For a *redis.ClusterClient it makes one to each master. With Sentinel it makes one to the master
// that Sentinel names. For a *redis.Ring and any other implementation the probe keeps no connection, and the
// option has no effect.
//
// A negative duration, a positive one under 1 ms, and one over a year are errors. The last use wins.
func NewConnectionEvery(d time.Duration) Option {
	return func(p *Probe) error {
		p.newConnections = d
		return newconn.Validate("redisprobe.NewConnectionEvery", d)
	}
}

// BaseContext sets a context whose values are visible during each check. They are visible to OnConnect and
// CredentialsProviderContext of any client. If the probe uses the client itself, they are also visible to its
// hooks, such as a hook that needs a tenant. Values of the check's own context have precedence. The deadline
// and the cancellation of ctx have no effect. The default has no values. A nil ctx is an error. The last use
// wins.
func BaseContext(ctx context.Context) Option {
	return func(p *Probe) error {
		if ctx == nil {
			return errors.New("redisprobe.BaseContext(nil): the context must not be nil")
		}
		p.base = ctx
		return nil
	}
}
