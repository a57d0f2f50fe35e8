package testserver

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

const (
	adminRole     = "postgres"
	adminPassword = "admin-secret"
)

// removeSegment removes the System V shared memory segment of a killed server. The system never frees such a
// segment, and has room for only 4096 of them.
const removeSegment = `test ! -f data/postmaster.pid ||
ipcrm -m $(sed -n '7s/^ *[0-9]* *//p' data/postmaster.pid)`

// Postgres is a running PostgreSQL server. Its only databases are template1 and app. The ordinary role app
// owns app. The server keeps its data after Stop and Kill.
type Postgres struct {
	Server
	bin      string // directory of PostgreSQL's programs
	account  *user.User
	settings []string
}

// NewPostgres starts a PostgreSQL that ends with the test. Settings are lines of postgresql.conf, such as
// "max_connections=8". PostgreSQL reserves three of the connections for superusers, unless
// superuser_reserved_connections sets another number.
func NewPostgres(t testing.TB, settings ...string) *Postgres {
	t.Helper()
	postgres := startPostgres(t, settings...)
	postgres.endWith(t)
	return postgres
}

func startPostgres(t testing.TB, settings ...string) *Postgres {
	t.Helper()
	p := newPostgres(t, "PostgreSQL", settings)
	if err := p.copyCluster(); err != nil {
		p.giveUp(t, err)
	}
	p.open(t)
	return p
}

// newPostgres prepares a server that has no data yet.
func newPostgres(t testing.TB, name string, settings []string) *Postgres {
	t.Helper()
	program := find(t, "postgres", "postgresql", "/usr/lib/postgresql/*/bin/postgres")
	if real, err := filepath.EvalSymlinks(program); err == nil {
		program = real // initdb, psql and pg_basebackup are in the same directory
	}
	account := unprivileged(t, "postgres")
	p := &Postgres{bin: filepath.Dir(program), account: account, settings: slices.Clone(settings)}
	p.lifecycle = lifecycle{
		name:    name,
		dir:     mustMakeDir(t, account),
		command: p.postgres,
		answers: p.accepting,
		stop:    syscall.SIGINT, // "fast": ends the sessions
		cleanup: removeSegment,
	}
	return p
}

func (p *Postgres) data() string { return filepath.Join(p.dir, "data") }

func (p *Postgres) postgres() command {
	argv := []string{filepath.Join(p.bin, "postgres"), "-D", p.data()}
	settings := append([]string{
		"listen_addresses=127.0.0.1", "port=" + strconv.Itoa(p.port), "unix_socket_directories=",
		// Much faster, and safe unless the machine crashes.
		"fsync=off", "shared_buffers=16MB", "autovacuum=off",
		// Not in /dev/shm: a killed server would leave its segments there.
		"dynamic_shared_memory_type=mmap",
		// A standby that was stopped for a while needs the old segments.
		"wal_keep_size=64MB",
	}, p.settings...)
	for _, setting := range settings {
		argv = append(argv, "-c", setting)
	}
	return command{account: p.account, argv: argv}
}

// accepting returns nil when the server accepts connections. Like pg_ctl, it reads the state in the last line
// of postmaster.pid. If the process id in the first line is not the server's, an earlier server has written
// the file.
func (p *Postgres) accepting() error {
	lines := p.pidFile()
	if len(lines) < 8 || lines[0] != strconv.Itoa(p.process.pid()) {
		return errors.New("it is not accepting connections")
	}
	if state := strings.TrimSpace(lines[7]); state != "ready" && state != "standby" {
		return fmt.Errorf("it is not accepting connections: %s", state)
	}
	return nil
}

func (p *Postgres) pidFile() []string {
	text, _ := os.ReadFile(filepath.Join(p.data(), "postmaster.pid"))
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// postgresData is the data directory that every server copies, except a standby.
var postgresData template

// copyCluster makes the server's data directory.
func (p *Postgres) copyCluster() error { return postgresData.copy(p.account, p.dir, p.initialize) }

// initialize makes a cluster in the subdirectory data of dir, with the role app and the database app.
func (p *Postgres) initialize(dir string) error {
	data, passwords := filepath.Join(dir, "data"), filepath.Join(dir, "password")
	if err := os.WriteFile(passwords, []byte(adminPassword+"\n"), 0o644); err != nil {
		return err
	}
	initdb := command{account: p.account, argv: []string{filepath.Join(p.bin, "initdb"),
		"--pgdata", data, "--username", adminRole, "--pwfile", passwords, "--auth", "scram-sha-256",
		"--encoding", "UTF8", "--locale", "C", "--wal-segsize", "1", "--no-sync"}}
	if _, err := initdb.run(dir, ""); err != nil {
		return err
	}
	single := command{account: p.account, argv: []string{filepath.Join(p.bin, "postgres"),
		"--single", "-D", data, "-c", "fsync=off", "-c", "dynamic_shared_memory_type=mmap", "template1"}}
	_, err := single.run(dir, setup)
	return err
}

// setup prepares the cluster. It drops template0, because each copy of the cluster then takes a third less
// time.
const setup = `
CREATE ROLE app LOGIN PASSWORD 'app-secret'
ALTER DATABASE postgres RENAME TO app
ALTER DATABASE app OWNER TO app
ALTER DATABASE template0 IS_TEMPLATE false
DROP DATABASE template0
`

// DSN returns the URL of the database app for its owner, the role app, which is not a superuser. The password
// is "app-secret".
func (p *Postgres) DSN() string { return p.dsn("app", "app-secret") }

// AdminDSN returns the URL of the database app for the superuser.
func (p *Postgres) AdminDSN() string { return p.dsn(adminRole, adminPassword) }

func (p *Postgres) dsn(role, password string) string {
	return fmt.Sprintf("postgres://%s:%s@%s/app?sslmode=disable", role, password, p.Addr())
}

// Exec executes SQL statements as the superuser in the database app, each in a separate transaction. It fails
// the test at the first error.
func (p *Postgres) Exec(t testing.TB, sql string) {
	t.Helper()
	p.psql(t, sql)
}

func (p *Postgres) psql(t testing.TB, sql string) string {
	t.Helper()
	psql := command{account: p.account, argv: []string{filepath.Join(p.bin, "psql"),
		"--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1", p.AdminDSN()}}
	return psql.mustRun(t, p.dir, sql)
}

// UseCertificate makes the server offer TLS. pem must contain a certificate and its private key. The
// certificate applies to new connections soon after the call, and replaces the certificate of an earlier
// call. DSN and AdminDSN still connect without TLS.
func (p *Postgres) UseCertificate(t testing.TB, pem string) {
	t.Helper()
	write := command{account: p.account, argv: []string{"/bin/sh", "-c", "umask 077; cat > data/server.pem"}}
	write.mustRun(t, p.dir, pem)
	p.Exec(t, `ALTER SYSTEM SET ssl_cert_file = 'server.pem'; ALTER SYSTEM SET ssl_key_file = 'server.pem';
		ALTER SYSTEM SET ssl = on; SELECT pg_reload_conf();`)
}

// Standby starts a hot standby that ends with the test. It follows the server by streaming replication and
// has the server's settings.
func (p *Postgres) Standby(t testing.TB) *Postgres {
	t.Helper()
	standby := newPostgres(t, "the PostgreSQL standby", p.settings)
	backup := command{account: p.account, argv: []string{filepath.Join(p.bin, "pg_basebackup"),
		"--pgdata", standby.data(), "--dbname", p.AdminDSN(), "--write-recovery-conf",
		"--wal-method", "stream", "--checkpoint", "fast", "--no-sync"}}
	if _, err := backup.run(standby.dir, ""); err != nil {
		standby.giveUp(t, err)
	}
	standby.open(t)
	standby.endWith(t)
	return standby
}

// Promote turns a standby into a primary, and returns when it accepts writes.
func (p *Postgres) Promote(t testing.TB) {
	t.Helper()
	if p.psql(t, "SELECT pg_promote()") != "t\n" {
		p.fatal(t, "promote", errors.New("it is still in recovery"))
	}
}
