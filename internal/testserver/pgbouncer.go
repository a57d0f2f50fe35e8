package testserver

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// PgBouncer is a running PgBouncer in front of a PostgreSQL. It pools connections by transaction. The roles
// app and postgres can use the database app through it.
type PgBouncer struct {
	Server
	program  string
	backend  *Postgres
	settings []string
}

// NewPgBouncer starts a PgBouncer that ends with the test. Settings are lines of the section [pgbouncer] of
// its configuration, such as "max_client_conn = 2". If a setting is given twice, the last value applies.
func NewPgBouncer(t testing.TB, backend *Postgres, settings ...string) *PgBouncer {
	t.Helper()
	program := find(t, "pgbouncer", "pgbouncer", "/usr/sbin/pgbouncer")
	b := &PgBouncer{program: program, backend: backend, settings: slices.Clone(settings)}
	b.lifecycle = lifecycle{
		name:    "PgBouncer",
		dir:     mustMakeDir(t, backend.account),
		command: b.server,
		answers: b.accepting,
		// SIGQUIT stops PgBouncer immediately. Since version 1.23, SIGTERM waits for the clients.
		stop: syscall.SIGQUIT,
	}
	b.SetPassword(t, "app-secret")
	b.open(t)
	b.endWith(t)
	return b
}

// server writes the configuration file, because its port is known only now, and returns the command that
// starts PgBouncer. A write error is ignored, because PgBouncer then reports the missing file.
func (b *PgBouncer) server() command {
	b.configure()
	return command{account: b.backend.account, argv: []string{b.program, "pgbouncer.ini"}}
}

func (b *PgBouncer) configure() error {
	lines := append([]string{
		"[databases]",
		fmt.Sprintf("app = host=127.0.0.1 port=%d", b.backend.port),
		"[pgbouncer]",
		"listen_addr = 127.0.0.1", fmt.Sprintf("listen_port = %d", b.port), "unix_socket_dir =",
		"auth_type = scram-sha-256", "auth_file = users.txt", "admin_users = " + adminRole,
		"pool_mode = transaction",
	}, b.settings...)
	return b.write("pgbouncer.ini", strings.Join(lines, "\n")+"\n")
}

func (b *PgBouncer) write(name, text string) error {
	return os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o644)
}

// DSN returns the URL of the database app, through PgBouncer, for the role app.
func (b *PgBouncer) DSN() string { return b.dsn("app", "app-secret", "app") }

func (b *PgBouncer) dsn(role, password, database string) string {
	return fmt.Sprintf("postgres://%s:%s@%s/%s?sslmode=disable", role, password, b.Addr(), database)
}

// SetPassword changes the password of the role app in PgBouncer's list of users. Clients must give this
// password, and PgBouncer logs in to the PostgreSQL with it. PgBouncer reads the list at its next start and
// on Admin(t, "RELOAD").
func (b *PgBouncer) SetPassword(t testing.TB, password string) {
	t.Helper()
	users := fmt.Sprintf("\"app\" %q\n%q %q\n", password, adminRole, adminPassword)
	if err := b.write("users.txt", users); err != nil {
		t.Fatal(err)
	}
}

// Use makes backend the PostgreSQL behind the PgBouncer. The PgBouncer's clients stay connected.
func (b *PgBouncer) Use(t testing.TB, backend *Postgres) {
	t.Helper()
	b.backend = backend
	if err := b.configure(); err != nil {
		t.Fatal(err)
	}
	b.Admin(t, "RELOAD;")
}

// Admin executes commands on PgBouncer's console, such as "PAUSE app", and returns their output.
func (b *PgBouncer) Admin(t testing.TB, commands string) string {
	t.Helper()
	psql := command{account: b.backend.account, argv: []string{filepath.Join(b.backend.bin, "psql"),
		"--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1",
		b.dsn(adminRole, adminPassword, "pgbouncer")}}
	return psql.mustRun(t, b.dir, commands)
}
