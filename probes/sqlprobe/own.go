package sqlprobe

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"time"

	"github.com/echo-probes/echohealth/internal/basecontext"
)

// closeLimit bounds the closing of a connection, because a driver may wait for the database when it closes
// one.
const closeLimit = time.Second

// ownConn is a connection outside the pool. At most one goroutine uses it at a time. conn is never released
// to db, because database/sql would call ResetSession before the next use.
type ownConn struct {
	connector driver.Connector // nil if no connection can be made
	db        *sql.DB          // contains only conn; nil if there is no connection
	conn      *sql.Conn
	made      driver.Conn // the driver's connection behind conn
}

// ask calls f with the connection. If a kept connection turns out to be closed, ask makes a new one and calls
// f once more.
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
		o.db = sql.OpenDB(connectorOnly{o.connector, &o.made})
		if o.conn, err = o.db.Conn(ctx); err != nil {
			o.close()
			return err
		}
	}
	return f(ctx, o.conn)
}

// abandon closes the driver's connection after a panic of the driver. conn.Close would wait forever for the
// call that panicked. If Connect panicked, the driver's connection is unknown and stays open.
func (o *ownConn) abandon() {
	made := o.made
	o.conn, o.made = nil, nil
	o.close()
	if made != nil {
		within(closeLimit, func() { made.Close() })
	}
}

// close closes the connection, if there is one, within a second.
func (o *ownConn) close() {
	if o.db == nil {
		return
	}
	db, conn := o.db, o.conn
	o.db, o.conn, o.made = nil, nil, nil
	within(closeLimit, func() {
		defer db.Close() // also if the driver panics in conn.Close
		if conn != nil {
			conn.Close()
		}
	})
}

// connectorOnly hides the other methods of a connector, because (*sql.DB).Close would close the
// application's connector. It keeps the connection that Connect has made.
type connectorOnly struct {
	driver.Connector
	made *driver.Conn
}

func (c connectorOnly) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err == nil {
		*c.made = conn
	}
	return conn, err
}

// within calls f. It returns when f returns, or after the limit, and f then continues in its goroutine. A
// panic of f has no effect: f only closes a connection, and the driver may panic.
func within(limit time.Duration, f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { _ = recover() }()
		f()
	}()
	select {
	case <-done:
	case <-time.After(limit):
	}
}

// connectAnew makes a connection outside the pool and closes it. It pings the database, because a driver may
// connect only when the connection is first used.
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
