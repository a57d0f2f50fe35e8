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

// dialPause is the minimum time between the starts of two dials when the first one failed.
const dialPause = 10 * time.Second

// ownConn is a connection outside the pool, made as the pool makes its connections. Only the run in flight
// uses it.
type ownConn struct {
	config *pgxpool.Config
	hooks  hooks
	now    func() time.Time

	conn   *pgx.Conn // nil when there is none
	failed error     // why there is none
	redial time.Time // no dial before this time, after one that failed or whose connection a hook refused
}

// ask makes the round trip, and dials first if there is no connection. It replaces a kept connection that
// turns out to be closed, or that the pool's hook now refuses.
func (o *ownConn) ask(ctx context.Context) (readOnly bool, err error) {
	if o.conn != nil {
		readOnly, again, err := o.roundTrip(ctx)
		if !again || ctx.Err() != nil {
			return readOnly, err
		}
		o.close()
	}
	if err := o.dial(ctx); err != nil {
		return false, err
	}
	readOnly, _, err = o.roundTrip(ctx)
	if isRefusal(err) {
		o.redial = o.now().Add(dialPause)
		if o.conn == nil { // the hook has closed it
			o.failed = err
		}
	}
	return readOnly, err
}

// roundTrip makes the round trip and then calls the hooks. Again means that a new connection may succeed.
func (o *ownConn) roundTrip(ctx context.Context) (readOnly, again bool, err error) {
	readOnly, err = roundTrip(ctx, o.conn)
	var keep bool
	if err == nil {
		keep, err = o.hooks.try(ctx, o.conn)
	}
	if isRefusal(err) {
		again = !keep && !o.now().Before(o.redial)
	} else {
		again = connectionLost(err)
	}
	if o.conn.IsClosed() || err == nil && !keep {
		o.close()
	}
	return readOnly, again, err
}

// dial connects. If a dial failed less than dialPause ago, it returns the error of that dial instead.
func (o *ownConn) dial(ctx context.Context) error {
	began := o.now()
	if o.failed != nil && began.Before(o.redial) {
		return fmt.Errorf("no new dial before %s after this one: %w", dialPause, o.failed)
	}
	o.conn, o.failed = connect(ctx, o.config)
	o.redial = began
	if o.failed != nil && !reachedNoServer(o.failed) {
		o.redial = began.Add(dialPause)
	}
	return o.failed
}

// connect makes a connection as the pool does.
func connect(ctx context.Context, pool *pgxpool.Config) (*pgx.Conn, error) {
	config := pool.ConnConfig.Copy()
	if hook := pool.BeforeConnect; hook != nil {
		if err := hook(ctx, config); err != nil {
			return nil, err
		}
	}
	connected := adaptConfig(config)
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	connected.Store(true)
	if hook := pool.AfterConnect; hook != nil {
		if err := hook(ctx, conn); err != nil {
			closeConn(conn)
			return nil, err
		}
	}
	return conn, nil
}

// close closes the connection, if there is one, within a second.
func (o *ownConn) close() {
	if o.conn == nil {
		return
	}
	conn := o.conn
	o.conn = nil
	discard(o.config, conn)
}

// discard closes a connection that connect has made, as the pool closes its connections.
func discard(pool *pgxpool.Config, conn *pgx.Conn) {
	if hook := pool.BeforeClose; hook != nil {
		hook(conn)
	}
	closeConn(conn)
}

// closeConn closes conn. If pgx has closed it already, its socket may still be open, because pgx waits for
// the server's end of the connection.
func closeConn(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	conn.Close(ctx)
	conn.PgConn().Conn().Close()
}

// adaptConfig changes config for a connection of the probe. The caller must set the returned flag when the
// connection is made.
func adaptConfig(config *pgx.ConnConfig) (connected *atomic.Bool) {
	const name = "application_name"
	if config.RuntimeParams[name] == "" {
		config.RuntimeParams[name] = "echohealth"
	}
	// A dial may last until the next one is due, so that the probe notices at once when the database is back.
	// Several hosts share that time.
	config.ConnectTimeout = dialPause / time.Duration(hosts(config))
	config.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.DeadlineContextWatcherHandler{Conn: conn.Conn()}
	}
	// When a query gets no answer, pgx dials again to cancel it, for up to 15 s. A SELECT 1 is not worth
	// that.
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

// hosts counts the hosts that pgx tries in order. A fallback may be the same host without TLS.
func hosts(config *pgx.ConnConfig) int {
	n, host, port := 1, config.Host, config.Port
	for _, fallback := range config.Fallbacks {
		if fallback.Host != host || fallback.Port != port {
			n, host, port = n+1, fallback.Host, fallback.Port
		}
	}
	return n
}
