package sqlprobe

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/echo-probes/echohealth/internal/basecontext"
	"github.com/echo-probes/echohealth/internal/reason"
	"github.com/echo-probes/echohealth/probes"
)

// observe is one run. It uses the pool, unless that may cost the pool connections.
func (p *Probe) observe(ctx context.Context) probes.Result {
	ctx = basecontext.With(ctx, p.base)
	stats := p.db.Stats()
	p.run.begin(stats.WaitCount)
	if result, ok := p.hooks.repeated(time.Now()); ok {
		result.Details = details(stats)
		return result
	}
	if p.connector != nil && (p.hooks.refusal != nil || !p.hooks.known && stats.Idle > 0) {
		if result, ok := p.observeOwn(ctx); ok {
			return result
		}
	}
	return p.observePool(ctx, stats.Idle)
}

// observeOwn uses the probe's own connection, and closes it if the driver accepts checks. It returns false
// if there is no answer and the pool may be used as well.
func (p *Probe) observeOwn(ctx context.Context) (probes.Result, bool) {
	p.run.setHolds(true) // the run does not wait for the pool
	if p.closed(ctx) {
		return probes.Result{}, false // observePool reports it
	}
	err := p.own.ask(ctx, p.ask)
	if err == nil {
		p.hooks.call(ctx, p.own.conn)
	}
	if p.hooks.refusal == nil {
		p.own.close()
		if err != nil && ctx.Err() == nil {
			return probes.Result{}, false
		}
	}
	return p.result(err), true
}

// closed reports whether the application has closed the pool. Conn is called with a context that has ended,
// so that it takes no connection: it returns the error of the context, or before it that of a closed pool.
func (p *Probe) closed(ctx context.Context) bool {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	_, err := p.db.Conn(ctx)
	return !errors.Is(err, context.Canceled)
}

// observePool uses a connection of the pool. A connection that the database has closed since its last use is
// not an outage. After as many of them as the pool had idle, the next connection is new.
func (p *Probe) observePool(ctx context.Context, idle int) probes.Result {
	var err error
	for range max(1, idle) + 1 {
		if err = p.query(ctx); err == nil || ctx.Err() != nil || !connectionLost(err) {
			break
		}
	}
	result := p.result(err)
	switch {
	case probes.FromError(err).Reason == probes.ReasonPanic:
		p.hooks.repeat(result, repeatAfterPanic)
	case err == nil && p.hooks.refusal != nil && p.connector == nil:
		p.hooks.repeat(result, repeatFor)
	}
	return result
}

// result returns the result of a run with this error.
func (p *Probe) result(err error) probes.Result {
	if err != nil {
		result, saturated := p.unanswered(err)
		if !saturated {
			p.run.end(false)
		}
		return result
	}
	p.run.end(!p.readOnly)
	result := probes.Result{Status: probes.OK}
	switch {
	case p.readOnly:
		result = takesNoWrites()
	case p.hooks.refusal != nil:
		result = refused(p.hooks.refusal)
	}
	result.Details = details(p.db.Stats())
	if p.readOnly {
		result.Details = append(result.Details, slog.Bool("read_only", true))
	}
	return result
}

// query first gets a connection and then runs the statement, so that it knows which of the two took too long.
func (p *Probe) query(ctx context.Context) error {
	p.run.setHolds(false)
	conn, err := p.acquire(ctx)
	if err != nil {
		return err
	}
	p.run.setHolds(true)
	err = p.ask(ctx, conn)
	if err == nil && (!p.hooks.known || p.hooks.refusal != nil) {
		p.hooks.call(ctx, conn)
	}
	conn.Close() // not deferred: after a panic in the driver it would wait for ever
	return err
}

// acquire gets a connection of the pool. A panic comes from the driver's ResetSession or Connect.
func (p *Probe) acquire(ctx context.Context) (conn *sql.Conn, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = probes.Fail(probes.ReasonPanic, fmt.Errorf("the driver panicked when the pool got a connection, "+
				"and the pool lost this connection; the next attempt is in %s: %v\n%s",
				repeatAfterPanic, v, debug.Stack()))
		}
	}()
	return p.db.Conn(ctx)
}

// execute runs the statement. A driver may prepare it, and a pooler may then use another connection, where it
// is not prepared or where another client has prepared it. So execute runs it once more without preparing it.
func execute(ctx context.Context, conn *sql.Conn, statement string) error {
	err := drain(ctx, conn, statement)
	if preparedElsewhere(err) {
		_, err = conn.ExecContext(ctx, statement) // pgx and lib/pq prepare none that has no arguments
	}
	return err
}

func drain(ctx context.Context, conn *sql.Conn, statement string) error {
	rows, err := conn.QueryContext(ctx, statement)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
	}
	return rows.Err()
}

// preparedElsewhere reports whether PostgreSQL does not know a prepared statement, or knows it already.
func preparedElsewhere(err error) bool {
	answer, ok := errors.AsType[interface {
		error
		SQLState() string
	}](err)
	return ok && (answer.SQLState() == "26000" || answer.SQLState() == "42P05")
}

// connectionLost reports whether a pooled connection turned out to be closed: by the network, or by the
// server with an error such as PostgreSQL's 57P01.
func connectionLost(err error) bool {
	switch reason.Of(err) {
	case probes.ReasonConnectionLost, probes.ReasonDependencyStarting:
		return true
	}
	return errors.Is(err, driver.ErrBadConn)
}
