package sqlprobe

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/echo-probes/echohealth/internal/newconn"
)

// An Option changes what a Probe asks for.
type Option func(*Probe)

// Query replaces SELECT 1 by another statement. It is run as it is, its rows are read and ignored, and one
// that turns out to be sent on a closed connection is sent again: it should change nothing and return little.
// Empty is an error at construction of the health checks. The last use wins.
func Query(statement string) Option {
	return func(p *Probe) { p.statement = statement }
}

// BaseContext gives the checks the values of ctx: the driver's hooks, such as pgx's OptionResetSession and
// OptionBeforeConnect, get them from their context's Value. Only the values count, not the deadline or the
// cancellation of ctx. The default is context.Background(). A nil ctx is an error at construction of the
// health checks. The last use wins.
func BaseContext(ctx context.Context) Option {
	return func(p *Probe) { p.base = ctx }
}

// Connector lets the probe make connections beside the pool: the new one that NewConnectionEvery is about,
// and one of its own where the driver refuses the pool's connections to a check. A *sql.DB does not show its
// connector, so c must be the one that db was made of with sql.OpenDB, or one with the same settings. It must
// connect to the database, not take a connection of another pool as that of stdlib.GetPoolConnector does. The
// probe never closes c. By default there is none. A nil c is an error at construction of the health checks.
// The last use wins.
func Connector(c driver.Connector) Option {
	return func(p *Probe) { p.connector, p.connects = c, true }
}

// NewConnectionEvery sets how often a check makes a new connection, logs in and closes it, to find out
// whether the application could make one: d, 10 % more or less. It needs Connector. The default is one minute
// with Connector, and never without. Zero turns it off. A duration below zero, between zero and 1 ms, or over
// a year is an error at construction of the health checks, and so is one above zero without Connector. The
// last use wins.
func NewConnectionEvery(d time.Duration) Option {
	return func(p *Probe) { p.every, p.everySet = d, true }
}

// Validate refuses a nil db, and what the options refuse.
func (p *Probe) Validate() error {
	var errs []error
	refuse := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	refuse(p.db == nil, "sqlprobe.New(nil): the database must not be nil")
	refuse(strings.TrimSpace(p.statement) == "", "sqlprobe.Query(%q): the statement must not be empty", p.statement)
	refuse(p.base == nil, "sqlprobe.BaseContext(nil): the context must not be nil")
	refuse(p.connects && p.connector == nil, "sqlprobe.Connector(nil): the connector must not be nil")
	refuse(p.everySet && p.every > 0 && !p.connects,
		"sqlprobe.NewConnectionEvery(%s): sqlprobe.Connector must say how to connect", p.every)
	return errors.Join(append(errs, newconn.Validate("sqlprobe.NewConnectionEvery", p.every))...)
}
