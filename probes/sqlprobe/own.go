package sqlprobe

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"time"

	"github.com/echo-probes/echohealth/internal/basecontext"
)

// closeLimit bounds the closing of a connection, because a driver may wait for the database meanwhile.
const closeLimit = time.Second

// ownConn is a connection outside the pool. Only the run in flight uses it. It is never released to its own
// pool, because database/sql would call ResetSession before the next use.
type ownConn struct {
	connector driver.Connector // nil: no connection can be made
	db        *sql.DB          // contains the one connection; nil when there is none
	conn      *sql.Conn
}

// ask calls f with the connection. It replaces a kept connection that turns out to be closed, once.
func (o *ownConn) ask(ctx context.Context, f func(context.Context, *sql.Conn) error) error {
	kept := o.conn != nil
	err := o.try(ctx, f)
	if kept && connectionLost(err) {
		o.close()
		err = o.try(ctx, f)
	}
	return err
}

// try calls f with the connection, and connects first if there is none.
func (o *ownConn) try(ctx context.Context, f func(context.Context, *sql.Conn) error) (err error) {
	if o.conn == nil {
		o.db = sql.OpenDB(connectorOnly{o.connector})
		if o.conn, err = o.db.Conn(ctx); err != nil {
			o.close()
			return err
		}
	}
	return f(ctx, o.conn)
}

// close closes the connection, if there is one, within a second.
func (o *ownConn) close() {
	if o.db == nil {
		return
	}
	db, conn := o.db, o.conn
	o.db, o.conn = nil, nil
	within(closeLimit, func() {
		if conn != nil {
			conn.Close()
		}
		db.Close()
	})
}

// connectorOnly hides the other methods of a connector, because (*sql.DB).Close would close the
// application's connector.
type connectorOnly struct{ driver.Connector }

// within calls f and returns when f returns, or after the limit.
func within(limit time.Duration, f func()) {
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(limit):
	}
}

// connectAnew makes a connection outside the pool and closes it. It pings, because a driver may connect only
// at first use.
func (p *Probe) connectAnew(ctx context.Context) error {
	ctx = basecontext.With(ctx, p.base)
	conn, err := p.connector.Connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if pinger, ok := conn.(driver.Pinger); ok {
		return pinger.Ping(ctx)
	}
	return nil
}
