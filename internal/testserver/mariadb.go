package testserver

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// MariaDB is a running MariaDB server. Its only database besides the system's own is app. The user app has
// all privileges on app. The server keeps its data over Stop and Kill.
type MariaDB struct {
	Server
	program string
	account *user.User
	options []string
}

// NewMariaDB starts a MariaDB that ends with the test. Options are mariadbd's without the dashes, such as
// "max_connections=10".
func NewMariaDB(t testing.TB, options ...string) *MariaDB {
	t.Helper()
	account := unprivileged(t, "mysql")
	m := &MariaDB{program: find(t, "mariadbd", "mariadb-server", "/usr/sbin/mariadbd"), account: account,
		options: slices.Clone(options)}
	m.lifecycle = lifecycle{
		name:    "MariaDB",
		dir:     mustMakeDir(t, account),
		command: m.server,
		answers: m.greeting,
		stop:    syscall.SIGTERM,
	}
	if err := mariaDBData.copy(account, m.dir, m.initialize); err != nil {
		m.giveUp(t, err)
	}
	m.open(t)
	m.endWith(t)
	return m
}

// mariaDBData is the data directory that every server copies.
var mariaDBData template

// initialize makes a data directory in dir, with the database app and the users app and admin.
func (m *MariaDB) initialize(dir string) error {
	install := command{account: m.account, argv: append([]string{"mariadb-install-db"}, m.storage(dir,
		"auth-root-authentication-method=normal", "skip-test-db", "skip-name-resolve")...)}
	if _, err := install.run(dir, ""); err != nil {
		return err
	}
	bootstrap := command{account: m.account, argv: append([]string{m.program}, m.storage(dir, "bootstrap")...)}
	_, err := bootstrap.run(dir, mariaDBSetup)
	return err
}

// storage returns the arguments that every program must get that opens the data directory in dir. It appends
// the options others, which are given without dashes.
func (m *MariaDB) storage(dir string, others ...string) []string {
	argv := []string{"--no-defaults"}
	for _, option := range append([]string{
		"datadir=" + filepath.Join(dir, "data"), "innodb_log_file_size=4M", "innodb_buffer_pool_size=16M",
		// Without waiting for the disk, writing is much faster. Data is lost only if the machine crashes.
		"innodb_flush_method=nosync", "innodb_flush_log_at_trx_commit=2",
	}, others...) {
		argv = append(argv, "--"+option)
	}
	return argv
}

// mariaDBSetup prepares the data. FLUSH PRIVILEGES enables CREATE USER, which --bootstrap disables.
const mariaDBSetup = `FLUSH PRIVILEGES;
CREATE DATABASE app;
CREATE USER app@'%' IDENTIFIED BY 'app-secret';
GRANT ALL ON app.* TO app@'%';
CREATE USER admin@'%' IDENTIFIED BY 'admin-secret';
GRANT ALL ON *.* TO admin@'%' WITH GRANT OPTION;
DROP DATABASE sys;
`

func (m *MariaDB) server() command {
	return command{account: m.account, argv: append([]string{m.program}, m.storage(m.dir, append([]string{
		"bind-address=127.0.0.1", "port=" + strconv.Itoa(m.port), "socket=" + m.socket(),
		"pid-file=" + filepath.Join(m.dir, "pid"), "skip-name-resolve", "log-warnings=1",
	}, m.options...)...)...)}
}

func (m *MariaDB) socket() string { return filepath.Join(m.dir, "socket") }

// greeting returns nil if the server sends the first packet of a session. A packet that refuses the session,
// because there are too many connections, is enough.
func (m *MariaDB) greeting() error {
	conn, err := net.DialTimeout("tcp", m.Addr(), time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Second))
	header := make([]byte, 5)
	if _, err := io.ReadFull(conn, header); err != nil {
		return err
	}
	const protocol, refusal = 10, 0xff
	if kind := header[4]; kind != protocol && kind != refusal {
		return errors.New("another program listens on the port of MariaDB")
	}
	return nil
}

// DSN returns the DSN of database app for the user app, in the notation of go-sql-driver/mysql. Its password
// is "app-secret".
func (m *MariaDB) DSN() string { return m.dsn("app", "app-secret") }

// AdminDSN returns the DSN of database app for a user with all privileges.
func (m *MariaDB) AdminDSN() string { return m.dsn("admin", "admin-secret") }

func (m *MariaDB) dsn(name, password string) string {
	return fmt.Sprintf("%s:%s@tcp(%s)/app", name, password, m.Addr())
}

// Exec executes SQL statements with all privileges in database app, and returns their result, one line per
// row, without column names. It fails the test at the first error. Exec works even when the server has no
// free connection, but only for one caller at a time.
func (m *MariaDB) Exec(t testing.TB, sql string) string {
	t.Helper()
	client := command{account: m.account, argv: []string{"mariadb", "--no-defaults", "--batch",
		"--skip-column-names", "--socket=" + m.socket(), "--user=admin", "--password=admin-secret", "app"}}
	return strings.TrimSpace(client.mustRun(t, m.dir, sql))
}
