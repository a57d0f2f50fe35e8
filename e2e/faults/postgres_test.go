package faults_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	driver "github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes/pgxprobe"
)

// poolSize is the number of connections of an application.
const poolSize = 4

// postgresSite is a role and a database of a PostgreSQL server.
type postgresSite struct {
	*testserver.Postgres
	role, database, ca string

	hogs []*driver.Conn // connections that use up the server's limit
}

func openPostgres(s *scene) *postgresSite {
	p := &postgresSite{Postgres: s.servers.postgres, role: unique("faultuser"), database: unique("faultdb"), ca: s.servers.cert.cert}
	switch {
	case s.fault.tls:
		p.Postgres = s.servers.postgresTLS
	case s.act.private:
		p.Postgres = testserver.NewPostgres(s.t, s.act.settings...)
	}
	p.Exec(s.t, fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s'", p.role, password))
	p.create(s)
	return p
}

func (p *postgresSite) secrets() []string { return []string{p.role, p.database, p.ca, "postgres"} }

func (p *postgresSite) create(s *scene) {
	s.servers.copying.Lock() // PostgreSQL can make only one copy of a template at a time
	defer s.servers.copying.Unlock()
	p.Exec(s.t, "CREATE DATABASE "+p.database)
}

func (p *postgresSite) drop(s *scene) {
	p.Exec(s.t, "DROP DATABASE "+p.database+" WITH (FORCE)")
}

func (p *postgresSite) setPassword(s *scene, word string) {
	p.Exec(s.t, fmt.Sprintf("ALTER ROLE %s PASSWORD '%s'", p.role, word))
}

func (p *postgresSite) revoke(s *scene) {
	p.Exec(s.t, "REVOKE CONNECT ON DATABASE "+p.database+" FROM PUBLIC")
}

func (p *postgresSite) grant(s *scene) {
	p.Exec(s.t, "GRANT CONNECT ON DATABASE "+p.database+" TO PUBLIC")
}

// standby returns the address of a standby server.
func (p *postgresSite) standby(s *scene) string { return p.Standby(s.t).Addr() }

// useUp opens all connections that the server allows to users other than superusers.
func (p *postgresSite) useUp(s *scene) { p.hogs = useUp(s, p.DSN()) }

// useUp opens all connections that a server allows.
func useUp(s *scene, dsn string) (hogs []*driver.Conn) {
	s.proxies((*testserver.Proxy).Refuse)
	// The server takes a moment to close the connections that were reset.
	for refused := 0; refused < 50; {
		conn, err := driver.Connect(s.t.Context(), dsn)
		if err == nil {
			hogs, refused = append(hogs, conn), 0
			continue
		}
		refused++
		time.Sleep(10 * time.Millisecond)
	}
	s.proxies(pass)
	return hogs
}

func (p *postgresSite) giveBack(s *scene) { giveBack(s, p.hogs) }

func giveBack(s *scene, hogs []*driver.Conn) {
	for _, conn := range hogs {
		s.must(conn.Close(s.t.Context()), "close a connection")
	}
}

func (p *postgresSite) start(addr string, r *rig) (application, error) {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(p.role, password), Host: addr, Path: p.database, RawQuery: "connect_timeout=2&sslmode=disable"}
	if r.scene.fault.tls {
		u.RawQuery = "connect_timeout=2&sslmode=verify-full&sslrootcert=" + url.QueryEscape(p.ca)
	}
	if r.column == sqlDB {
		config, err := driver.ParseConfig(u.String())
		if err != nil {
			return nil, err
		}
		return startSQL(stdlib.GetConnector(*config), r), nil
	}
	config, err := pgxpool.ParseConfig(u.String())
	if err != nil {
		return nil, err
	}
	config.MaxConns = poolSize
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		return nil, err
	}
	var opts []pgxprobe.Option
	if r.scene.fault.writable {
		opts = append(opts, pgxprobe.RequireWritable())
	}
	r.probe = pgxprobe.New(pool, opts...)
	return pgxApp{pool}, nil
}

// pgxApp uses PostgreSQL through a pool of pgx.
type pgxApp struct{ *pgxpool.Pool }

func (a pgxApp) use(ctx context.Context) error {
	var errs []error
	release, err := a.take(ctx, func(conn *pgxpool.Conn) {
		_, err := conn.Exec(ctx, "SELECT 1")
		errs = append(errs, err)
	})
	release()
	return errors.Join(append(errs, err)...)
}

func (a pgxApp) hold(ctx context.Context) (func(), error) { return a.take(ctx, func(*pgxpool.Conn) {}) }

// take takes all connections of the pool, and calls f with each.
func (a pgxApp) take(ctx context.Context, f func(*pgxpool.Conn)) (release func(), err error) {
	var conns []*pgxpool.Conn
	release = func() {
		for _, conn := range conns {
			conn.Release()
		}
	}
	for range poolSize {
		conn, err := a.Acquire(ctx)
		if err != nil {
			return release, err
		}
		conns = append(conns, conn)
		f(conn)
	}
	return release, nil
}

func (a pgxApp) pool() (connections, busy int, made int64) {
	stat := a.Stat()
	return int(stat.TotalConns()), int(stat.AcquiredConns()), stat.NewConnsCount()
}

func (a pgxApp) close() { a.Close() }
