package faults_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"modernc.org/sqlite"

	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes/sqlprobe"
)

// sqliteSite is a database in a file. If the fault is one of the file system, the file has its own file
// system.
type sqliteSite struct {
	dir    string
	unused string // an address that is not used, because there is no network between an application and its file
	locks  driver.Conn
}

func openSQLite(s *scene) *sqliteSite {
	unused := net.JoinHostPort("127.0.0.1", strconv.Itoa(testserver.FreePort(s.t)))
	f := &sqliteSite{dir: s.t.TempDir(), unused: unused}
	if s.act.private {
		f.mount(s)
	}
	conn, err := f.connector().Connect(s.t.Context())
	s.must(err, "open %s", f.file())
	defer conn.Close()
	s.must(execute(conn, "CREATE TABLE orders (n int)"), "create a table")
	return f
}

func (f *sqliteSite) Addr() string { return f.unused }

func (f *sqliteSite) file() string { return filepath.Join(f.dir, "fault.db") }

func (f *sqliteSite) secrets() []string { return []string{f.dir, "fault.db", "sqlite"} }

// mount mounts a file system of 1 MB, which needs root.
func (f *sqliteSite) mount(s *scene) {
	s.t.Helper()
	output, err := asRoot("mount", "-t", "tmpfs", "-o", "size=1m,mode=1777", "faults", f.dir).CombinedOutput()
	if err != nil && os.Getenv("ECHOHEALTH_REQUIRE_SERVERS") == "" {
		s.t.Skipf("no file system can be mounted, which needs root: %v: %s", err, output)
	}
	s.must(err, "mount: %s", output)
	s.t.Cleanup(func() { _ = asRoot("umount", "--lazy", f.dir).Run() })
}

func asRoot(argv ...string) *exec.Cmd {
	if os.Geteuid() != 0 {
		argv = append([]string{"sudo", "--non-interactive"}, argv...)
	}
	return exec.Command(argv[0], argv[1:]...)
}

// remount makes the file system read-only or writable. An open file prevents that, so the applications close
// their connections.
func (f *sqliteSite) remount(s *scene, how string) {
	for deadline := time.Now().Add(settling); ; time.Sleep(10 * time.Millisecond) {
		for _, r := range s.rigs {
			r.app.(*sqlApp).SetMaxIdleConns(0)
			r.app.(*sqlApp).SetMaxIdleConns(poolSize)
		}
		err := asRoot("mount", "-o", "remount,"+how, f.dir).Run()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			s.must(err, "remount %s", f.dir)
		}
	}
}

// fill fills the file system.
func (f *sqliteSite) fill(s *scene) {
	file, err := os.Create(filepath.Join(f.dir, "filler"))
	s.must(err, "create a file")
	defer file.Close()
	for err == nil {
		_, err = file.Write(make([]byte, 4<<10))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		s.must(err, "fill the file system")
	}
}

func (f *sqliteSite) empty(s *scene) {
	s.must(os.Remove(filepath.Join(f.dir, "filler")), "remove the file")
}

// lock locks the file, so that no other connection can read it.
func (f *sqliteSite) lock(s *scene) {
	var err error
	f.locks, err = f.connector().Connect(s.t.Context())
	s.must(err, "open %s", f.file())
	s.must(execute(f.locks, "BEGIN EXCLUSIVE"), "lock %s", f.file())
}

func (f *sqliteSite) unlock(s *scene) { s.must(f.locks.Close(), "close the connection") }

func execute(conn driver.Conn, statement string) error {
	_, err := conn.(driver.ExecerContext).ExecContext(context.Background(), statement, nil)
	return err
}

// start starts the application. The probe gets a statement that reads the file, because SELECT 1 does not.
func (f *sqliteSite) start(_ string, r *rig) (application, error) {
	return startSQL(f.connector(), r, sqlprobe.Query("SELECT count(*) FROM sqlite_schema")), nil
}

func (f *sqliteSite) connector() driver.Connector {
	return sqliteConnector("file:" + f.file() + "?_pragma=busy_timeout(5000)")
}

// sqliteConnector is a DSN of modernc.org/sqlite.
type sqliteConnector string

func (c sqliteConnector) Driver() driver.Driver { return &sqlite.Driver{} }

func (c sqliteConnector) Connect(context.Context) (driver.Conn, error) {
	return c.Driver().Open(string(c))
}
