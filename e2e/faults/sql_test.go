package faults_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"sync/atomic"

	"github.com/echo-probes/echohealth/probes/sqlprobe"
)

// sqlApp uses a database through a *sql.DB.
type sqlApp struct {
	*sql.DB
	counting *counting
}

func startSQL(connector driver.Connector, r *rig, opts ...sqlprobe.Option) application {
	c := &counting{Connector: connector}
	a := &sqlApp{sql.OpenDB(c), c}
	a.SetMaxOpenConns(poolSize)
	a.SetMaxIdleConns(poolSize)
	if r.scene.fault.writable {
		opts = append(opts, sqlprobe.RequireWritable())
	}
	r.probe = sqlprobe.New(a.DB, opts...)
	return a
}

// counting counts the connections that its connector makes.
type counting struct {
	driver.Connector
	made atomic.Int64
}

func (c *counting) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err == nil {
		c.made.Add(1)
	}
	return conn, err
}

func (a *sqlApp) use(ctx context.Context) error {
	var errs []error
	release, err := a.take(ctx, func(conn *sql.Conn) {
		_, err := conn.ExecContext(ctx, "SELECT 1")
		errs = append(errs, err)
	})
	release()
	return errors.Join(append(errs, err)...)
}

func (a *sqlApp) hold(ctx context.Context) (func(), error) { return a.take(ctx, func(*sql.Conn) {}) }

func (a *sqlApp) take(ctx context.Context, f func(*sql.Conn)) (release func(), err error) {
	var conns []*sql.Conn
	release = func() {
		for _, conn := range conns {
			_ = conn.Close()
		}
	}
	for range poolSize {
		conn, err := a.Conn(ctx)
		if err != nil {
			return release, err
		}
		conns = append(conns, conn)
		f(conn)
	}
	return release, nil
}

func (a *sqlApp) pool() (connections, busy int, made int64) {
	stats := a.Stats()
	return stats.OpenConnections, stats.InUse, a.counting.made.Load()
}

func (a *sqlApp) close() { _ = a.Close() }
