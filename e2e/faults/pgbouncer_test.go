package faults_test

import (
	"testing"

	driver "github.com/jackc/pgx/v5"

	"github.com/echo-probes/echohealth/internal/testserver"
)

// poolerSite is a PgBouncer, and the PostgreSQL behind it. Only one scene uses them.
type poolerSite struct {
	*testserver.PgBouncer
	behind *postgresSite

	hogs []*driver.Conn // connections that use up PgBouncer's limit
}

func openPooler(s *scene) *poolerSite {
	behind := &postgresSite{Postgres: testserver.NewPostgres(s.t), role: "app", database: "app"}
	behind.setPassword(s, password)
	p := &poolerSite{behind: behind,
		PgBouncer: testserver.NewPgBouncer(s.t, behind.Postgres, "max_client_conn = 14", "server_login_retry = 1")}
	p.setPassword(s, password)
	return p
}

func (p *poolerSite) secrets() []string { return []string{"PgBouncer", "pgbouncer", "postgres"} }

func (p *poolerSite) start(addr string, r *rig) (application, error) { return p.behind.start(addr, r) }

// setPassword changes the password that PgBouncer requires from its clients.
func (p *poolerSite) setPassword(s *scene, word string) {
	p.SetPassword(s.t, word)
	p.Admin(s.t, "RELOAD;")
}

// useUp opens all connections that PgBouncer allows to its clients.
func (p *poolerSite) useUp(s *scene) {
	p.hogs = useUp(s, "postgres://app:"+password+"@"+p.Addr()+"/app?sslmode=disable")
}

func (p *poolerSite) pause(t testing.TB) { p.Admin(t, "PAUSE app;") }

func (p *poolerSite) resume(t testing.TB) { p.Admin(t, "RESUME app;") }
