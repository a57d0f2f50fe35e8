package sqlprobe

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"time"

	"github.com/echo-probes/echohealth/internal/basecontext"
)

// closeLimit bounds the closing of a connection: a driver may wait for the database meanwhile.
const closeLimit = time.Second

// ownConn is a connection beside the pool. It belongs to the run in flight. As database/sql resets a
// connection when it is used again after it was given back, this one is never given back.
type ownConn struct {
	connector driver.Connector // nil: there is no way to connect
	db        *sql.DB          // of the one connection; nil when there is none
	conn      *sql.Conn
}

// ask runs the statement. A kept connection that turns out to be closed is replaced, once.
func (o *ownConn) ask(ctx context.Context, statement string) error {
	kept := o.conn != nil
	err := o.try(ctx, statement)
	if kept && stale(err) {
		o.close()
		err = o.try(ctx, statement)
	}
	return err
}

// try runs the statement, after connecting where there is no connection.
func (o *ownConn) try(ctx context.Context, statement string) (err error) {
	if o.conn == nil {
		o.db = sql.OpenDB(plain{o.connector})
		if o.conn, err = o.db.Conn(ctx); err != nil {
			o.close()
			return err
		}
	}
	return drain(ctx, o.conn, statement)
}

// close closes the connection, if there is one, in a second at most.
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

// plain hides that a connector has more methods: (*sql.DB).Close would close the application's.
type plain struct{ driver.Connector }

// within calls f, and returns when it has, or after the limit.
func within(limit time.Duration, f func()) {
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(limit):
	}
}

// connectAnew makes a connection beside the pool and closes it. A driver that connects only when it has to is
// asked whether it can.
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
