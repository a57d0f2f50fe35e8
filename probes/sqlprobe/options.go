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

// An Option configures a Probe.
type Option func(*Probe)

// Query sets the statement of the checks. The probe runs it unchanged, reads its rows and ignores them. If
// the connection turns out to be closed, the probe sends the statement again on another one. So the statement
// should change nothing and return few rows. The default is SELECT 1. An empty statement is an error at
// construction of the health checks. The last use wins.
func Query(statement string) Option {
	return func(p *Probe) { p.statement = statement }
}

// BaseContext sets a context whose values are visible during a check to the driver's hooks, such as pgx's
// OptionResetSession and OptionBeforeConnect. The deadline and the cancellation of ctx have no effect. The
// default is context.Background(). A nil ctx is an error at construction of the health checks. The last use
// wins.
func BaseContext(ctx context.Context) Option {
	return func(p *Probe) { p.base = ctx }
}

// Connector sets the connector of the connections that the probe makes outside the pool. These are the new
// connections of NewConnectionEvery. If the driver refuses checks on the pool's connections, there is also
// one for the checks. A *sql.DB does not expose its connector, so c must be the connector given to
// sql.OpenDB, or one with the same settings. It must connect to the database itself. It must not be a
// connector of stdlib.GetPoolConnector, which takes a connection from another pool. The probe never closes c.
// By default there is no connector. A nil c is an error at construction of the health checks. The last use
// wins.
func Connector(c driver.Connector) Option {
	return func(p *Probe) { p.connector, p.connects = c, true }
}

// NewConnectionEvery sets how often the probe makes a new connection, logs in and closes it, to find out
// whether the application could make one: once per d, 10 % more or less. It needs Connector. The default is
// one minute with Connector, and never without it. Zero turns it off. A negative duration, a positive one
// under 1 ms, one over a year, and a positive one without Connector are errors at construction of the health
// checks. The last use wins.
func NewConnectionEvery(d time.Duration) Option {
	return func(p *Probe) { p.every, p.everySet = d, true }
}

// Validate returns an error for a nil db and for invalid arguments of the options.
func (p *Probe) Validate() error {
	var errs []error
	refuse := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	refuse(p.db == nil, "sqlprobe.New(nil): the database must not be nil")
	refuse(strings.TrimSpace(p.statement) == "",
		"sqlprobe.Query(%q): the statement must not be empty", p.statement)
	refuse(p.base == nil, "sqlprobe.BaseContext(nil): the context must not be nil")
	refuse(p.connects && p.connector == nil, "sqlprobe.Connector(nil): the connector must not be nil")
	refuse(p.everySet && p.every > 0 && !p.connects,
		"sqlprobe.NewConnectionEvery(%s): sqlprobe.Connector must say how to connect", p.every)
	errs = append(errs, p.validateQuestion(), newconn.Validate("sqlprobe.NewConnectionEvery", p.every))
	return errors.Join(errs...)
}
