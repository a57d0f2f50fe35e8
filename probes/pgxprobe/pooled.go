package pgxprobe

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/echo-probes/echohealth/internal/basecontext"
	"github.com/echo-probes/echohealth/internal/reason"
	"github.com/echo-probes/echohealth/probes"
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
	return p.query.ask(ctx, conn.Conn())
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

// hasHook reports whether the pool calls a function of the application before it hands out a connection or
// after it gets it back. The pool closes a connection that such a function refuses, and loses one for which
// it panics. A function that needs a tenant in the context does one of the two to a check.
func hasHook(config *pgxpool.Config) bool {
	//lint:ignore SA1019 BeforeAcquire is deprecated, but the pool still calls it
	return config.PrepareConn != nil || config.BeforeAcquire != nil || config.AfterRelease != nil
}

// poolClosed reports whether the application has closed its pool. The only way to know is to acquire a
// connection. The probe does so once after the pool has lost its last connection.
func (p *Probe) poolClosed(ctx context.Context) bool {
	stat := p.pool.Stat()
	if stat.TotalConns() > 0 {
		p.closedTested = false
	}
	if stat.TotalConns() > 0 || stat.NewConnsCount() == 0 || p.closedTested {
		return false
	}
	p.closedTested = true
	conn, err := p.pool.Acquire(&endsSoon{Context: basecontext.With(context.WithoutCancel(ctx), p.base)})
	if err == nil { // the application was faster in making one
		conn.Release()
	}
	p.closed = reason.Of(err) == probes.ReasonClientClosed
	return p.closed
}

// endsSoon is a context that has ended, except for the first call of Done. A pool then begins to make a
// connection and does not wait for it, so it calls no hook.
type endsSoon struct {
	context.Context
	asked atomic.Bool
}

func (c *endsSoon) Done() <-chan struct{} {
	if !c.asked.Swap(true) {
		return nil
	}
	ended := make(chan struct{})
	close(ended)
	return ended
}

func (c *endsSoon) Err() error {
	if c.asked.Load() {
		return context.Canceled
	}
	return nil
}

// full reports whether a caller that wants a connection must wait until another is released.
func full(stat *pgxpool.Stat) bool {
	return stat.IdleConns() == 0 && stat.TotalConns() >= stat.MaxConns()
}
