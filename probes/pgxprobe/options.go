package pgxprobe

import (
	"context"
	"errors"
	"time"

	"github.com/echo-probes/echohealth/internal/newconn"
)

// An Option changes what a Probe asks for.
type Option func(*Probe)

// RequireWritable makes a database that takes no writes, a standby for one, Error with ReasonReadOnly. By
// default it is ok with the detail "read_only":true.
//
// It costs nothing: PostgreSQL tells its clients in_hot_standby (since version 14) and
// default_transaction_read_only unasked, and again with the next answer after either has changed.
func RequireWritable() Option {
	return func(p *Probe) { p.writable = true }
}

// BaseContext gives the checks the values of ctx: the pool's hooks, such as PrepareConn and BeforeConnect,
// and its tracers get them from their context's Value. A hook that sets the tenant of row-level security
// needs it. Only the values count, not the deadline or the cancellation of ctx. The default is
// context.Background(). A nil ctx is an error at construction of the health checks. The last use wins.
func BaseContext(ctx context.Context) Option {
	return func(p *Probe) { p.base = ctx }
}

// NewConnectionEvery sets how often a check makes a new connection, logs in and closes it, to find out
// whether the application could make one: d, 10 % more or less. The default is one minute. Zero turns it off.
// A duration below zero, between zero and 1 ms, or over a year is an error at construction of the health
// checks. The last use wins.
func NewConnectionEvery(d time.Duration) Option {
	return func(p *Probe) { p.every = d }
}

// Validate refuses a nil pool, and what BaseContext and NewConnectionEvery refuse.
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
