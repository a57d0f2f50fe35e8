package pgxprobe

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/echo-probes/echohealth/internal/basecontext"
	"github.com/echo-probes/echohealth/internal/reason"
	"github.com/echo-probes/echohealth/probes"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// queueLimit is how long the probe waits in the queue of a full pool. It gets into the queue if the pool had
// an idle connection and the application took it before the probe did.
const queueLimit = 100 * time.Millisecond

var (
	errNoneIdle   = errors.New("the pool had an idle connection, but the application was faster")
	errPoolClosed = probes.Fail(probes.ReasonClientClosed, errors.New("the application has closed the pool"))
)

// askPool sends the query on a connection of the pool.
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

// acquire takes an idle connection of the pool. If the application has taken the last one first, the probe
// would wait in the queue of the pool, ahead of later calls of the application. So acquire gives up if the
// pool is full after queueLimit. Only a full pool has a queue.
//
// acquire gives up by canceling the context of the pool's Acquire, before the deadline of that context.
// Acquire may be pinging a connection. At a deadline it would close that connection and ping the next. After
// a cancellation it returns immediately, and keeps the connection if the ping is still answered.
func (p *Probe) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	deadline, _ := ctx.Deadline() // the context of a run always has a deadline
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

// release returns a connection to the pool. If the database left the query unanswered, pgx takes up to 15 s
// to close the connection. It would occupy a place in the pool for that time, so release removes it from the
// pool.
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

// mustConnectFirst reports whether the probe must make a connection of its own before it uses the pool.
func (p *Probe) mustConnectFirst() bool { return !p.own.connected && hasConnectHook(p.config) }

// hasHook reports whether the pool calls a function of the application when it hands out a connection or gets
// it back. Such a function may need a value in the context, such as a tenant, that a check's context does not
// have. If the function then refuses the connection or panics, the pool loses the connection.
func hasHook(config *pgxpool.Config) bool {
	//lint:ignore SA1019 BeforeAcquire is deprecated, but the pool still calls it
	return config.PrepareConn != nil || config.BeforeAcquire != nil || config.AfterRelease != nil
}

// hasConnectHook reports whether the pool calls a hook or tracer of the application when it makes a
// connection. It makes one for a check if the idle one is dead, or if the application was faster. The pool
// calls the hook with the values of the check's context, in its own goroutine. A panic there ends the
// process. So the probe first makes a connection outside the pool, where it recovers from a panic.
//
// A DialFunc, LookupFunc or ValidateConnect of the application can't be distinguished from those that
// pgxpool.ParseConfig sets.
func hasConnectHook(config *pgxpool.Config) bool {
	conn := config.ConnConfig
	_, traced := conn.Tracer.(pgx.ConnectTracer)
	return traced || config.BeforeConnect != nil || config.AfterConnect != nil || conn.AfterConnect != nil ||
		conn.AfterNetConnect != nil || conn.OAuthTokenProvider != nil
}

// poolClosed reports whether the application has closed its pool. The only way to know is to call Acquire.
// The probe calls it once each time the pool has lost its last connection.
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
	if err == nil { // the application made a connection in the meantime
		conn.Release()
	}
	p.closed = reason.Of(err) == probes.ReasonClientClosed
	return p.closed
}

// endsSoon is a context that ends after the first call of Done. With it, the pool's Acquire begins to make a
// connection but does not wait for it. So Acquire gets no connection for which it would call a hook.
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
