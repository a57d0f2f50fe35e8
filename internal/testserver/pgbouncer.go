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

// PgBouncer is a running PgBouncer in front of a PostgreSQL. It pools by transaction, and offers the server's
// database app to the roles app and postgres.
type PgBouncer struct {
	Server
	program  string
	backend  *Postgres
	settings []string
}

// NewPgBouncer starts a PgBouncer that ends with the test. Settings are lines of the section [pgbouncer] of
// its configuration, such as "max_client_conn = 2". A setting that is given twice has its last value.
func NewPgBouncer(t testing.TB, backend *Postgres, settings ...string) *PgBouncer {
	t.Helper()
	program := find(t, "pgbouncer", "pgbouncer", "/usr/sbin/pgbouncer")
	b := &PgBouncer{program: program, backend: backend, settings: slices.Clone(settings)}
	b.lifecycle = lifecycle{
		name:    "PgBouncer",
		dir:     mustMakeDir(t, backend.account),
		command: b.server,
		answers: b.accepting,
		stop:    syscall.SIGQUIT, // at once: since 1.23 SIGTERM waits for the clients
	}
	b.SetPassword(t, "app-secret")
	b.open(t)
	b.endWith(t)
	return b
}

// server writes the configuration, which has the port, and returns how to start the program. If the file
// can't be written, the program says that it is missing.
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

// DSN returns the URL of database app for the role app, by way of the PgBouncer.
func (b *PgBouncer) DSN() string { return b.dsn("app", "app-secret", "app") }

func (b *PgBouncer) dsn(role, password, database string) string {
	return fmt.Sprintf("postgres://%s:%s@%s/%s?sslmode=disable", role, password, b.Addr(), database)
}

// SetPassword changes the password of the role app that PgBouncer knows: it wants it from its clients, and
// logs in to the PostgreSQL with it. PgBouncer reads it at its next start, and on Admin's RELOAD.
func (b *PgBouncer) SetPassword(t testing.TB, password string) {
	t.Helper()
	users := fmt.Sprintf("\"app\" %q\n%q %q\n", password, adminRole, adminPassword)
	if err := b.write("users.txt", users); err != nil {
		t.Fatal(err)
	}
}

// Use puts another PostgreSQL behind the PgBouncer. Its clients stay connected.
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
