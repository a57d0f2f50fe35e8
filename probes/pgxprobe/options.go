package pgxprobe

import (
	"context"
	"errors"
	"time"

	"github.com/echo-probes/echohealth/internal/newconn"
)

// An Option configures a Probe.
type Option func(*Probe)

// RequireWritable makes the check of a database that takes no writes, such as a standby, an Error with
// ReasonReadOnly. By default such a check is OK with the detail "read_only":true.
//
// The check then sends SHOW transaction_read_only instead of SELECT 1, which costs no further round trip. So
// it also notices a standby behind a pooler. Without the option the detail comes from two parameters that
// PostgreSQL reports without a query: in_hot_standby (since version 14) and default_transaction_read_only. A
// pooler may report the parameters of an earlier server.
func RequireWritable() Option {
	return func(p *Probe) { p.writable = true }
}

// BaseContext sets a context whose values are visible during a check to tracers, to ShouldPing and to the
// hooks of new connections, such as BeforeConnect and AfterConnect. The deadline and the cancellation of ctx
// have no effect. The default is context.Background(). A nil ctx is an error at construction of the health
// checks. The last use wins.
func BaseContext(ctx context.Context) Option {
	return func(p *Probe) { p.base = ctx }
}

// NewConnectionEvery sets how often the probe makes a new connection, logs in and closes it, to find out
// whether the application could make one: once per d, 10 % more or less. The default is one minute. Zero
// turns it off. A negative duration, a positive one under 1 ms, and one over a year are errors at
// construction of the health checks. The last use wins.
func NewConnectionEvery(d time.Duration) Option {
	return func(p *Probe) { p.every = d }
}

// Validate returns an error for a nil pool and for invalid arguments of BaseContext and NewConnectionEvery.
func (p *Probe) Validate() error {
	var errs []error
	if p.pool == nil {
		errs = append(errs, errors.New("pgxprobe.New(nil): the pool must not be nil"))
	}
	if p.base == nil {
		errs = append(errs, errors.New("pgxprobe.BaseContext(nil): the context must not be nil"))
	}
	return errors.Join(append(errs, newconn.Validate("pgxprobe.NewConnectionEvery", p.every))...)
}
