package e2e_test

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/internal/reason"
	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/probetest"
	"github.com/echo-probes/echohealth/probes/sqlprobe"
	_ "modernc.org/sqlite"
)

// Only these tests use the drivers of MySQL and SQLite. They compare the errors that the library knows with
// those of the real drivers and servers.

func openDB(t *testing.T, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	require.NoError(t, err)
	t.Cleanup(func() { db.Close() })
	return db
}

// errorOf returns the error of the last statement. All statements run on one connection.
func errorOf(t *testing.T, db *sql.DB, statements ...string) error {
	t.Helper()
	conn, err := db.Conn(t.Context())
	if err != nil {
		return err
	}
	defer conn.Close()
	last := len(statements) - 1
	for _, statement := range statements[:last] {
		_, err := conn.ExecContext(t.Context(), statement)
		require.NoError(t, err, statement)
	}
	_, err = conn.ExecContext(t.Context(), statements[last])
	return err
}

func TestErrorsOfMariaDB(t *testing.T) {
	server := testserver.NewMariaDB(t, "max_connections=20")
	server.Exec(t, `CREATE TABLE orders (n int) ENGINE=InnoDB; INSERT INTO orders VALUES (1);
		CREATE USER locked IDENTIFIED BY 'x' ACCOUNT LOCK; CREATE USER expired IDENTIFIED BY 'x' PASSWORD EXPIRE;
		CREATE USER few IDENTIFIED BY 'x' WITH MAX_USER_CONNECTIONS 1; CREATE USER other IDENTIFIED BY 'x';`)
	user := func(name, database string) string { return name + ":x@tcp(" + server.Addr() + ")/" + database }
	holder := openDB(t, "mysql", user("few", ""))
	require.NoError(t, holder.Ping())
	locker := openDB(t, "mysql", server.DSN())
	transaction, err := locker.Begin()
	require.NoError(t, err)
	defer transaction.Rollback()
	_, err = transaction.Exec("UPDATE orders SET n = 2")
	require.NoError(t, err)

	one := []string{"SELECT 1"}
	tests := []struct {
		dsn        string
		statements []string
		number     int
		want       probes.Reason
	}{
		{user("app", ""), one, 1045, "authentication_failed"},
		{user("locked", ""), one, 4151, "authentication_failed"},
		{user("expired", ""), one, 1820, "authentication_failed"},
		{user("few", ""), one, 1226, "too_many_connections"},
		{user("other", "app"), one, 1044, "permission_denied"},
		{server.DSN(), []string{"SELECT 1 FROM mysql.user"}, 1142, "permission_denied"},
		{server.DSN(), []string{"SET GLOBAL read_only = 1"}, 1227, "permission_denied"},
		{strings.TrimSuffix(server.AdminDSN(), "app") + "none", one, 1049, "not_found"},
		{server.DSN(), []string{"SELECT * FROM none"}, 1146, "not_found"},
		{server.DSN(), []string{"SET SESSION TRANSACTION READ ONLY",
			"INSERT INTO orders VALUES (3)"}, 1792, "read_only"},
		{server.DSN(), []string{"SET innodb_lock_wait_timeout = 0", "UPDATE orders SET n = 3"}, 1205, "timeout"},
		{server.DSN(), []string{"SET max_statement_time = 0.01",
			"SELECT COUNT(*) FROM seq_1_to_99999 a, seq_1_to_99999 b WHERE a.seq + b.seq < 0"}, 1969, "timeout"},
		{server.DSN(), []string{"SET max_heap_table_size = 16384",
			"CREATE TEMPORARY TABLE small (t char(255)) ENGINE=MEMORY",
			"INSERT INTO small SELECT 'x' FROM seq_1_to_9999"}, 1114, "out_of_resources"},
		{server.DSN() + "?no_such=1", one, 1193, "misconfigured"},
		{user("other", ""), []string{"SELECT * FROM orders"}, 1046, "misconfigured"},
		{server.DSN(), []string{"SELEC 1"}, 1064, "misconfigured"},
	}
	for _, test := range tests {
		err := errorOf(t, openDB(t, "mysql", test.dsn), test.statements...)
		assert.ErrorIs(t, err, &mysql.MySQLError{Number: uint16(test.number)}, "%s", test.statements)
		assert.Equal(t, test.want, reason.Of(err), "%v", err)
	}
	server.Exec(t, "SET GLOBAL read_only = ON")
	err = errorOf(t, openDB(t, "mysql", server.DSN()), "INSERT INTO orders VALUES (3)")
	assert.Equal(t, probes.ReasonReadOnly, reason.Of(err), "%v", err)

	many := openDB(t, "mysql", server.DSN())
	many.SetMaxIdleConns(30)
	assert.Equal(t, probes.ReasonTooManyConnections, reason.Of(connectTimes(t, many, 30)))
}

// connectTimes makes n connections at the same time, and returns the first error.
func connectTimes(t *testing.T, db *sql.DB, n int) error {
	for range n {
		conn, err := db.Conn(t.Context())
		if err != nil {
			return err
		}
		defer conn.Close()
	}
	return nil
}

// A connection ends during a statement.
func TestMariaDBEndsAStatement(t *testing.T) {
	server := testserver.NewMariaDB(t)
	db := openDB(t, "mysql", server.DSN())
	for _, end := range []func(){
		func() { server.Exec(t, "KILL USER app") },
		func() { server.Stop(t) },
	} {
		failed := make(chan error, 1)
		go func() { failed <- errorOf(t, db, "DO SLEEP(60)") }()
		require.Eventually(t, func() bool {
			const running = "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'DO SLEEP%'"
			return server.Exec(t, running) == "1"
		}, time.Minute, 10*time.Millisecond)
		end()
		err := <-failed
		assert.ErrorIs(t, err, mysql.ErrInvalidConn)
		assert.Equal(t, probes.ReasonConnectionLost, reason.Of(err), "%v", err)
	}
}

func TestErrorsOfSQLite(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "orders.db")
	dsn := func(name, query string) string { return "file:" + name + "?" + query }
	good := openDB(t, "sqlite", dsn(file, ""))
	require.NoError(t, errorOf(t, good, "CREATE TABLE orders (n)"))
	junk := filepath.Join(dir, "junk.db")
	require.NoError(t, os.WriteFile(junk, []byte(strings.Repeat("This is no database. ", 100)), 0o600))
	locker := openDB(t, "sqlite", dsn(file, ""))
	read, insert := "SELECT * FROM orders", "INSERT INTO orders VALUES (1)"
	tests := []struct {
		dsn        string
		statements []string
		want       probes.Reason
	}{
		{dsn(file, "mode=ro"), []string{insert}, "read_only"},
		{dsn(file, ""), []string{"PRAGMA query_only = ON", insert}, "read_only"},
		{dsn(file, ""), []string{"PRAGMA max_page_count = 1", "CREATE TABLE more AS SELECT zeroblob(1e6)"},
			"out_of_resources"},
		{dsn(filepath.Join(dir, "none", "orders.db"), ""), []string{read}, "not_found"},
		{dsn(dir, ""), []string{read}, "not_found"},
		{dsn(file, ""), []string{"SELECT * FROM none"}, "not_found"},
		{dsn(junk, ""), []string{read}, "misconfigured"},
		{dsn(file, ""), []string{"SELEC 1"}, "failed"},
	}
	for _, test := range tests {
		err := errorOf(t, openDB(t, "sqlite", test.dsn), test.statements...)
		assert.Equal(t, test.want, reason.Of(err), "%s: %v", test.statements, err)
	}
	conn, err := locker.Conn(t.Context())
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.ExecContext(t.Context(), "BEGIN EXCLUSIVE")
	require.NoError(t, err)
	err = errorOf(t, openDB(t, "sqlite", dsn(file, "")), read)
	assert.Equal(t, probes.ReasonTimeout, reason.Of(err), "%v", err)
}

var readOnly = slog.Bool("read_only", true)

func TestRequireWritableOfMariaDB(t *testing.T) {
	server := testserver.NewMariaDB(t)
	db := openDB(t, "mysql", server.DSN())
	plain, writable := sqlprobe.New(db), sqlprobe.New(db, sqlprobe.RequireWritable())
	require.NoError(t, writable.Validate())
	defer plain.Close()
	defer writable.Close()
	check := func(want probes.Reason) {
		t.Helper()
		result := writable.Check(t.Context())
		assert.Equal(t, want, result.Reason, "%v", result.Err)
		assert.Equal(t, want != "", result.Status == probes.Error)
		assert.Equal(t, want != "", assert.ObjectsAreEqual(readOnly, result.Details[len(result.Details)-1]))
		assert.Equal(t, probes.OK, plain.Check(t.Context()).Status)
	}
	check("")
	server.Exec(t, "SET GLOBAL read_only = ON")
	check(probes.ReasonReadOnly)
	server.Exec(t, "SET GLOBAL read_only = OFF")
	check("")
	db.SetMaxOpenConns(1)
	require.NoError(t, errorOf(t, db, "SET SESSION TRANSACTION READ ONLY"))
	check(probes.ReasonReadOnly)
}

func TestRequireWritableOfSQLite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "orders.db")
	require.NoError(t, errorOf(t, openDB(t, "sqlite", file), "CREATE TABLE orders (n)"))
	before, err := os.ReadFile(file)
	require.NoError(t, err)
	for query, want := range map[string]probes.Reason{
		"": "", "_pragma=query_only(0)": "", "_pragma=query_only(1)": probes.ReasonReadOnly,
		"mode=ro": probes.ReasonReadOnly, "immutable=1": probes.ReasonReadOnly,
	} {
		probe := sqlprobe.New(openDB(t, "sqlite", "file:"+file+"?"+query), sqlprobe.RequireWritable())
		require.NoError(t, probe.Validate())
		result := probe.Check(t.Context())
		assert.Equal(t, want, result.Reason, "%q: %v", query, result.Err)
		require.NoError(t, probe.Close())
	}
	after, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, before, after, "a check wrote to the file")
}

func TestConformanceOnMariaDB(t *testing.T) {
	server := testserver.NewMariaDB(t)
	proxy := testserver.NewProxy(t, server.Addr())
	dsn := strings.Replace(server.DSN(), server.Addr(), proxy.Addr(), 1)
	for name, test := range map[string]struct {
		dsn  string
		opts []sqlprobe.Option
		want probes.Status
	}{
		"as it is":                {dsn, nil, probes.OK},
		"with RequireWritable":    {dsn, []sqlprobe.Option{sqlprobe.RequireWritable()}, probes.OK},
		"with the wrong password": {strings.Replace(dsn, "app-secret", "wrong-secret", 1), nil, probes.Error},
	} {
		t.Run(name, func(t *testing.T) {
			probetest.Run(t, func(t *testing.T) probes.Probe {
				connector, err := mysql.MySQLDriver{}.OpenConnector(test.dsn)
				require.NoError(t, err)
				db := sql.OpenDB(connector)
				t.Cleanup(func() { db.Close() })
				opts := []sqlprobe.Option{sqlprobe.Connector(connector), sqlprobe.NewConnectionEvery(time.Millisecond)}
				return sqlprobe.New(db, append(opts, test.opts...)...)
			}, probetest.Options{
				Want:    test.want,
				Hang:    func(t *testing.T) { proxy.Stall(); t.Cleanup(proxy.Pass) },
				Secrets: []string{"secret"},
				Hidden:  []string{"127.0.0.1", "app", "mysql"},
				Ignore:  []string{testserver.ProxyGoroutine},
			})
		})
	}
}

// An application may put its DSN into an error. Neither the log nor the private page may show the password.
func TestPasswordsOfMySQL(t *testing.T) {
	server := testserver.NewMariaDB(t)
	for _, secret := range []string{"S3cret-Pa55", "S3c:ret", "S3c@ret/x", "S3cret(tcp)"} {
		dsn := "app:" + secret + "@tcp(" + server.Addr() + ")/app?timeout=2s"
		err := errorOf(t, openDB(t, "mysql", dsn), "SELECT 1")
		require.Equal(t, probes.ReasonAuthenticationFailed, reason.Of(err), "%v", err)
		for _, format := range []string{"connect to %s: %w", "dsn=%q: %w", "%[2]w (%[1]s)", "open mysql://%s: %w"} {
			var log strings.Builder
			health, err := echohealth.New(
				echohealth.WithCheck("orders", probes.Func(func(context.Context) error {
					return fmt.Errorf(format, dsn, err)
				})),
				echohealth.WithLogger(slog.New(slog.NewTextHandler(&log, nil))), echohealth.WithoutSystemMetrics())
			require.NoError(t, err)
			recorder := httptest.NewRecorder()
			health.Private(echohealth.ShowErrors()).ServeHTTP(recorder,
				httptest.NewRequest(http.MethodGet, "/api/health/detailed/", nil))
			require.NoError(t, health.Close())
			for _, text := range []string{recorder.Body.String(), log.String()} {
				assert.NotContains(t, text, secret, format)
				assert.NotContains(t, text, "ret", format) // not even a part of the password
				assert.Contains(t, text, "authentication_failed")
				assert.Contains(t, text, "1045")
			}
		}
	}
}
