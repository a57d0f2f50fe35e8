package sqlprobe

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"log/slog"
	"time"

	"github.com/echo-probes/echohealth/internal/basecontext"
	"github.com/echo-probes/echohealth/internal/reason"
	"github.com/echo-probes/echohealth/probes"
)

// observe makes one query and returns the result. It uses the pool, unless this may cost the pool
// connections.
func (p *Probe) observe(ctx context.Context) probes.Result {
	ctx = basecontext.With(ctx, p.base)
	stats := p.db.Stats()
	p.run.begin(stats.WaitCount)
	if result, ok := p.hooks.repeated(time.Now()); ok {
		result.Details = details(stats)
		return result
	}
	if p.connector != nil && (p.hooks.refusal != nil || p.hooks.pause > 0 || !p.hooks.known) {
		if result, ok := p.observeOwn(ctx); ok {
			return result
		}
	}
	return p.observePool(ctx, stats.Idle)
}

// observeOwn queries the database on the probe's own connection. It closes that connection if the driver
// accepts checks, because the next checks then use the pool. It returns false if this check must use the pool
// too, because the pool is closed, or because the query failed without a panic and no refusal is known.
func (p *Probe) observeOwn(ctx context.Context) (probes.Result, bool) {
	p.run.setHolds(true) // this query does not wait for the pool
	if p.closed(ctx) {
		return probes.Result{}, false // observePool reports that the pool is closed
	}
	err := safely(func() error { return p.own.ask(ctx, p.ask) })
	if panicked(err) {
		p.own.abandon()
		result := p.result(err)
		p.hooks.repeat(result, panicPause)
		return result, true
	}
	if err == nil {
		p.hooks.call(ctx, p.own.conn)
	}
	if p.hooks.refusal == nil && p.hooks.pause == 0 {
		p.own.close()
		if err != nil && ctx.Err() == nil {
			return probes.Result{}, false
		}
	}
	return p.result(err), true
}

// closed reports whether the application has closed the pool. It calls Conn with a canceled context, so that
// Conn takes no connection. Conn then returns the context's error, unless the pool is closed, which Conn
// checks first.
func (p *Probe) closed(ctx context.Context) bool {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	_, err := p.db.Conn(ctx)
	return !errors.Is(err, context.Canceled)
}

// observePool queries the database on a connection of the pool. If the connection turns out to be closed,
// observePool tries another, because a closed connection is not an outage. It tries one more than the pool
// had idle, so that the last one is new.
func (p *Probe) observePool(ctx context.Context, idle int) probes.Result {
	var err error
	for range max(1, idle) + 1 {
		err = safely(func() error { return p.query(ctx) })
		if err == nil || ctx.Err() != nil || !connectionLost(err) {
			break
		}
	}
	result := p.result(err)
	switch {
	case panicked(err):
		if pause := p.hooks.nextPoolPause(); p.connector == nil {
			p.hooks.repeat(result, pause)
		} // else the next checks use the probe's own connection
	case err == nil && p.hooks.refusal != nil && p.connector == nil:
		p.hooks.repeat(result, repeatFor)
	}
	return result
}

// result returns the result of a query that ended with err. A nil err means that the database answered.
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

// query first gets a connection and then runs the statement, so that waitState knows whether the query still
// waits for a connection.
func (p *Probe) query(ctx context.Context) error {
	p.run.setHolds(false)
	conn, err := p.db.Conn(ctx)
	if err != nil {
		return err
	}
	p.run.setHolds(true)
	err = p.ask(ctx, conn)
	if err == nil && (!p.hooks.known || p.hooks.refusal != nil) {
		p.hooks.call(ctx, conn)
	}
	conn.Close() // not deferred, because Close would wait forever after a panic in the driver
	return err
}

// execute runs the statement. The driver may prepare it. A pooler may then run it on another connection, on
// which it is not prepared or on which another client has prepared one of the same name. In that case execute
// runs it once more without preparing it.
func execute(ctx context.Context, conn *sql.Conn, statement string) error {
	err := drain(ctx, conn, statement)
	if preparedElsewhere(err) {
		_, err = conn.ExecContext(ctx, statement) // here pgx and lib/pq prepare no statement without arguments
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

// preparedElsewhere reports whether err is a PostgreSQL error for a prepared statement that the server does
// not know, or that it already has.
func preparedElsewhere(err error) bool {
	answer, ok := errors.AsType[interface {
		error
		SQLState() string
	}](err)
	return ok && (answer.SQLState() == "26000" || answer.SQLState() == "42P05")
}

// connectionLost reports whether err means that a connection was closed by the network, or by the server with
// an error such as PostgreSQL's 57P01.
func connectionLost(err error) bool {
	switch reason.Of(err) {
	case probes.ReasonConnectionLost, probes.ReasonDependencyStarting:
		return true
	}
	return errors.Is(err, driver.ErrBadConn)
}
