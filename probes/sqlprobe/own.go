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
		o.db = sql.OpenDB(connectorOnly{o.connector})
		if o.conn, err = o.db.Conn(ctx); err != nil {
			o.close()
			return err
		}
	}
	return f(ctx, o.conn)
}

// abandon closes what can be closed after a panic of the driver. conn.Close would wait forever for the call
// that panicked.
func (o *ownConn) abandon() {
	o.conn = nil
	o.close()
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

// within calls f. It returns when f returns, or after the limit, and f then continues in its goroutine.
func within(limit time.Duration, f func()) {
	done := make(chan struct{})
	go func() { defer close(done); f() }()
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
