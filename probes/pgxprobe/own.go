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
	now    func() time.Time

	conn   *pgx.Conn // nil when there is none
	failed error     // why there is none
	redial time.Time // no dial before this time, while failed is set
}

// ask makes the round trip, after a dial where there is no connection. A kept one that turns out to be closed is
// replaced.
func (o *ownConn) ask(ctx context.Context) (readOnly bool, err error) {
	if o.conn != nil {
		readOnly, err = o.trip(ctx)
		if err == nil || ctx.Err() != nil || !lost(err) {
			return readOnly, err
		}
		o.close()
	}
	if err := o.dial(ctx); err != nil {
		return false, err
	}
	return o.trip(ctx)
}

func (o *ownConn) trip(ctx context.Context) (readOnly bool, err error) {
	readOnly, err = trip(ctx, o.conn)
	if o.conn.IsClosed() {
		o.close()
	}
	return readOnly, err
}

// dial connects, unless a dial failed shortly before: then it says why that one did.
func (o *ownConn) dial(ctx context.Context) error {
	began := o.now()
	if o.failed != nil && began.Before(o.redial) {
		return fmt.Errorf("no new dial before %s after this one: %w", dialPause, o.failed)
	}
	o.conn, o.failed = o.connect(ctx)
	o.redial = began
	if o.failed != nil && !metNoDatabase(o.failed) {
		o.redial = began.Add(dialPause)
	}
	return o.failed
}

func (o *ownConn) connect(ctx context.Context) (*pgx.Conn, error) {
	config := o.config.ConnConfig.Copy()
	if hook := o.config.BeforeConnect; hook != nil {
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
	if hook := o.config.AfterConnect; hook != nil {
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
	if hook := o.config.BeforeClose; hook != nil {
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
