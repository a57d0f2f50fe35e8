package pgxprobe

import (
	"context"
	"errors"
	"time"

	"github.com/echo-probes/echohealth/internal/classify"
	"github.com/echo-probes/echohealth/probes"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// queueLimit is how long the probe waits for a connection that another goroutine got first.
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
	defer p.giveBack(ctx, conn)
	return trip(ctx, conn.Conn())
}

// acquire takes an idle connection of the pool. Where there is none any more it must not queue behind the
// application, so it looks once whether the pool is full: only then is there a queue.
//
// It gives up by a cancellation, before the deadline that the pool gets to see. The pool may be pinging the
// connection: after a deadline it would close this one and go on to the next, after a cancellation it returns at once
// and keeps the connection if the ping is still answered.
func (p *Probe) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	deadline, _ := ctx.Deadline() // a run always has one
	waiting, leave := context.WithDeadline(context.WithoutCancel(ctx), deadline.Add(time.Second))
	defer leave()
	defer context.AfterFunc(ctx, leave)()
	look := time.AfterFunc(queueLimit, func() {
		if full(p.pool.Stat()) {
			leave()
		}
	})
	defer look.Stop()
	conn, err := p.pool.Acquire(waiting)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil && waiting.Err() != nil:
		return nil, errNoneIdle
	}
	return conn, err
}

// giveBack releases a connection. If the database left the query unanswered, pgx takes up to 15 s to close the
// connection; taken out of the pool, it holds no place there meanwhile.
func (p *Probe) giveBack(ctx context.Context, conn *pgxpool.Conn) {
	if ctx.Err() == nil || !conn.Conn().IsClosed() {
		conn.Release()
		return
	}
	dead := conn.Hijack()
	if hook := p.config.BeforeClose; hook != nil {
		hook(dead)
	}
}

// poolClosed finds out whether the application has closed its pool. Only acquiring a connection tells; it's done
// once after the pool has lost its last one.
func (p *Probe) poolClosed(ctx context.Context) bool {
	stat := p.pool.Stat()
	if stat.TotalConns() > 0 {
		p.asked = false
	}
	if stat.TotalConns() > 0 || stat.NewConnsCount() == 0 || p.asked {
		return false
	}
	p.asked = true
	conn, err := p.acquire(ctx)
	if err == nil {
		p.giveBack(ctx, conn)
	}
	p.closed = classify.Reason(err) == probes.ReasonClientClosed
	return p.closed
}

// trip proves that the database answers. The simple protocol prepares nothing.
func trip(ctx context.Context, conn *pgx.Conn) (readOnly bool, err error) {
	server := conn.PgConn()
	if err := server.Exec(ctx, "SELECT 1").Close(); err != nil {
		return false, err
	}
	standby := server.ParameterStatus("in_hot_standby") == "on"
	return standby || server.ParameterStatus("default_transaction_read_only") == "on", nil
}

// full reports whether an application that wants a connection has to wait for another to be given back.
func full(stat *pgxpool.Stat) bool {
	return stat.IdleConns() == 0 && stat.TotalConns() >= stat.MaxConns()
}
