package pgxprobe

import (
	"context"
	"errors"
	"time"

	"github.com/echo-probes/echohealth/internal/reason"
	"github.com/echo-probes/echohealth/probes"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// queueLimit is how long the probe waits for a connection that another goroutine has acquired first.
const queueLimit = 100 * time.Millisecond

var (
	errNoneIdle   = errors.New("the pool had an idle connection, but the application was faster")
	errPoolClosed = probes.Fail(probes.ReasonClientClosed, errors.New("the application has closed the pool"))
)

// askPool makes the round trip on a connection of the pool.
func (p *Probe) askPool(ctx context.Context) (readOnly bool, err error) {
	p.acquiring = true
	conn, err := p.acquire(ctx)
	p.acquiring = false
	if err != nil {
		return false, err
	}
	defer p.release(ctx, conn)
	return roundTrip(ctx, conn.Conn())
}

// acquire takes an idle connection of the pool. If none is left, it must not queue before the application.
// So it checks once whether the pool is full, because only then is there a queue.
//
// It gives up by cancellation, before the deadline of the context that the pool gets. The pool may be
// pinging the connection. After a deadline it would close that connection and try the next. After a
// cancellation it returns at once, and keeps the connection if the ping is still answered.
func (p *Probe) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	deadline, _ := ctx.Deadline() // a run always has one
	waiting, cancel := context.WithDeadline(context.WithoutCancel(ctx), deadline.Add(time.Second))
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	queueTimer := time.AfterFunc(queueLimit, func() {
		if full(p.pool.Stat()) {
			cancel()
		}
	})
	defer queueTimer.Stop()
	conn, err := p.pool.Acquire(waiting)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil && waiting.Err() != nil:
		return nil, errNoneIdle
	}
	return conn, err
}

// release gives a connection back. If the database left the query unanswered, pgx takes up to 15 s to close
// the connection. So the probe takes it out of the pool, where it would occupy a place meanwhile.
func (p *Probe) release(ctx context.Context, conn *pgxpool.Conn) {
	if ctx.Err() == nil || !conn.Conn().IsClosed() {
		conn.Release()
		return
	}
	taken := conn.Hijack()
	if hook := p.config.BeforeClose; hook != nil {
		hook(taken)
	}
}

// poolClosed reports whether the application has closed its pool. Only acquiring a connection tells. The
// probe does so once after the pool has lost its last connection.
func (p *Probe) poolClosed(ctx context.Context) bool {
	stat := p.pool.Stat()
	if stat.TotalConns() > 0 {
		p.closedTested = false
	}
	if stat.TotalConns() > 0 || stat.NewConnsCount() == 0 || p.closedTested {
		return false
	}
	p.closedTested = true
	conn, err := p.acquire(ctx)
	if err == nil {
		p.release(ctx, conn)
	}
	p.closed = reason.Of(err) == probes.ReasonClientClosed
	return p.closed
}

// roundTrip proves that the database answers. The simple protocol prepares no statement.
func roundTrip(ctx context.Context, conn *pgx.Conn) (readOnly bool, err error) {
	server := conn.PgConn()
	if err := server.Exec(ctx, "SELECT 1").Close(); err != nil {
		return false, err
	}
	standby := server.ParameterStatus("in_hot_standby") == "on"
	return standby || server.ParameterStatus("default_transaction_read_only") == "on", nil
}

// full reports whether a caller that wants a connection must wait until another is released.
func full(stat *pgxpool.Stat) bool {
	return stat.IdleConns() == 0 && stat.TotalConns() >= stat.MaxConns()
}
