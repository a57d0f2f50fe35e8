package pgxprobe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"
)

// dialPause is the least time between the beginnings of two dials, when the first one failed.
const dialPause = 10 * time.Second

// ownConn is a connection beside the pool, made the way the pool makes its own. It belongs to the run in flight.
type ownConn struct {
	config *pgxpool.Config
	hooks  hooks
	now    func() time.Time

	conn   *pgx.Conn // nil when there is none
	failed error     // why there is none
	redial time.Time // no dial before this time, after one that failed or whose connection a hook refused
}

// ask makes the round trip, after a dial where there is no connection. A kept one that turns out to be closed is
// replaced, and so is one that the pool's hook refuses after it had taken it.
func (o *ownConn) ask(ctx context.Context) (readOnly bool, err error) {
	if o.conn != nil {
		readOnly, again, err := o.trip(ctx)
		if !again || ctx.Err() != nil {
			return readOnly, err
		}
		o.close()
	}
	if err := o.dial(ctx); err != nil {
		return false, err
	}
	readOnly, _, err = o.trip(ctx)
	if isRefusal(err) {
		o.redial = o.now().Add(dialPause)
		if o.conn == nil { // the hook has closed it
			o.failed = err
		}
	}
	return readOnly, err
}

// trip makes the round trip and has the hooks judge the connection. Again means that another one may do
// better.
func (o *ownConn) trip(ctx context.Context) (readOnly, again bool, err error) {
	readOnly, err = trip(ctx, o.conn)
	var keep bool
	if err == nil {
		keep, err = o.hooks.try(ctx, o.conn)
	}
	if isRefusal(err) {
		again = !keep && !o.now().Before(o.redial)
	} else {
		again = lost(err)
	}
	if o.conn.IsClosed() || err == nil && !keep {
		o.close()
	}
	return readOnly, again, err
}

// dial connects, unless a dial failed shortly before: then it says why that one did.
func (o *ownConn) dial(ctx context.Context) error {
	began := o.now()
	if o.failed != nil && began.Before(o.redial) {
		return fmt.Errorf("no new dial before %s after this one: %w", dialPause, o.failed)
	}
	o.conn, o.failed = connect(ctx, o.config)
	o.redial = began
	if o.failed != nil && !metNoDatabase(o.failed) {
		o.redial = began.Add(dialPause)
	}
	return o.failed
}

// connect makes a connection the way the pool makes its own.
func connect(ctx context.Context, pool *pgxpool.Config) (*pgx.Conn, error) {
	config := pool.ConnConfig.Copy()
	if hook := pool.BeforeConnect; hook != nil {
		if err := hook(ctx, config); err != nil {
			return nil, err
		}
	}
	connected := adapt(config)
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	connected.Store(true)
	if hook := pool.AfterConnect; hook != nil {
		if err := hook(ctx, conn); err != nil {
			shut(conn)
			return nil, err
		}
	}
	return conn, nil
}

// close closes the connection, if there is one, in a second at most.
func (o *ownConn) close() {
	if o.conn == nil {
		return
	}
	conn := o.conn
	o.conn = nil
	discard(o.config, conn)
}

// discard closes a connection that connect has made, as the pool closes its own.
func discard(pool *pgxpool.Config, conn *pgx.Conn) {
	if hook := pool.BeforeClose; hook != nil {
		hook(conn)
	}
	shut(conn)
}

// shut closes conn. One that pgx has closed already may still be waiting for a silent database's goodbye.
func shut(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	conn.Close(ctx)
	conn.PgConn().Conn().Close()
}

// adapt makes config one for a connection that nobody depends on. The flag that it returns is to be set once there is
// a connection.
func adapt(config *pgx.ConnConfig) (connected *atomic.Bool) {
	const name = "application_name"
	if config.RuntimeParams[name] == "" {
		config.RuntimeParams[name] = "echohealth"
	}
	// A dial may hang for as long as the next would have to wait, so that a database is seen at once when it is back.
	// With several hosts each has its share.
	config.ConnectTimeout = dialPause / time.Duration(hosts(config))
	config.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.DeadlineContextWatcherHandler{Conn: conn.Conn()}
	}
	// When a query has no answer, pgx dials once more to cancel it, for up to 15 s. A SELECT 1 is not worth that.
	connected = new(atomic.Bool)
	dial := config.DialFunc
	config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		if connected.Load() {
			return nil, errors.New("pgxprobe cancels no query")
		}
		return dial(ctx, network, address)
	}
	return connected
}

// hosts counts the hosts that pgx will try one after another. A fallback may be the same host without TLS.
func hosts(config *pgx.ConnConfig) int {
	n, host, port := 1, config.Host, config.Port
	for _, fallback := range config.Fallbacks {
		if fallback.Host != host || fallback.Port != port {
			n, host, port = n+1, fallback.Host, fallback.Port
		}
	}
	return n
}
