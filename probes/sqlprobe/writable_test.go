package sqlprobe_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"log/slog"
	"testing"

	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/sqlprobe"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var readOnlyDetail = slog.Bool("read_only", true)

func assertReadOnly(t *testing.T, result probes.Result) {
	t.Helper()
	assertResult(t, result, probes.Error, probes.ReasonReadOnly)
	assert.Contains(t, result.Details, readOnlyDetail)
}

func assertWritable(t *testing.T, result probes.Result) {
	t.Helper()
	assertResult(t, result, probes.OK, "")
	assert.NotContains(t, result.Details, readOnlyDetail)
}

func TestRequireWritableOnAStandby(t *testing.T) {
	primary := testserver.NewPostgres(t)
	standby := primary.Standby(t)
	db := open(t, standby.DSN())
	plain, writable := newProbe(t, db), newProbe(t, db, sqlprobe.RequireWritable())
	assertWritable(t, plain.Check(t.Context()))
	assertReadOnly(t, writable.Check(t.Context()))
	for _, attrs := range []string{"read-write", "primary"} {
		db := open(t, standby.DSN()+"&target_session_attrs="+attrs)
		assertResult(t, newProbe(t, db).Check(t.Context()), probes.Error, probes.ReasonReadOnly)
	}
	standby.Promote(t)
	assertWritable(t, writable.Check(t.Context())) // on the same connection
}

// The probe uses the session's current answer, not the parameter that the server sent at login.
func TestRequireWritableAsksEachTime(t *testing.T) {
	server := testserver.NewPostgres(t)
	db := open(t, server.DSN())
	db.SetMaxOpenConns(1)
	probe := newProbe(t, db, sqlprobe.RequireWritable())
	for range 2 {
		assertWritable(t, probe.Check(t.Context()))
		execute(t, db, "SET default_transaction_read_only = on")
		assertReadOnly(t, probe.Check(t.Context()))
		execute(t, db, "SET default_transaction_read_only = off")
	}
	assertWritable(t, probe.Check(t.Context()))
}

func execute(t *testing.T, db *sql.DB, statement string) {
	t.Helper()
	_, err := db.ExecContext(t.Context(), statement)
	require.NoError(t, err)
}

// RequireWritable also applies on the probe's own connection, which it uses if the driver refuses checks.
func TestRequireWritableOnTheOwnConnection(t *testing.T) {
	server := testserver.NewPostgres(t)
	server.Exec(t, "ALTER ROLE app SET default_transaction_read_only = on")
	config, err := pgx.ParseConfig(server.DSN())
	require.NoError(t, err)
	connector := stdlib.GetConnector(*config, stdlib.OptionResetSession(
		func(context.Context, *pgx.Conn) error { return driver.ErrBadConn }))
	db := sql.OpenDB(connector)
	t.Cleanup(func() { db.Close() })
	warm(t, db, 1)
	probe := newProbe(t, db, sqlprobe.Connector(connector), sqlprobe.RequireWritable())
	for range 2 {
		assertReadOnly(t, probe.Check(t.Context()))
	}
	assert.Equal(t, 1, db.Stats().Idle, "the pool lost its connection")
}

// If the last answer was that the database is read-only, a full pool is an error, not a warning.
func TestReadOnlyAndThenSaturated(t *testing.T) {
	server := testserver.SharedPostgres(t)
	db := open(t, server.DSN())
	db.SetMaxOpenConns(1)
	checks := &checker{probe: newProbe(t, db, sqlprobe.ReadOnlyQuery("SELECT 'on'")), timeout: patient}
	assertReadOnly(t, checks.check())
	take(t, db, 1)
	assertResult(t, checks.check(), probes.Error, probes.ReasonTimeout)
}

func TestReadOnlyQuery(t *testing.T) {
	tests := map[string]probes.Reason{ // "" means that the database takes writes
		"SELECT 'off'": "", "SELECT 'OFF'": "", "SELECT 0": "", "SELECT false": "", "SELECT 'No'": "",
		"SELECT 'on', 'off'":                 "", // only the last column counts
		"SELECT 'on'":                        probes.ReasonReadOnly,
		"SELECT 1":                           probes.ReasonReadOnly,
		"SELECT true":                        probes.ReasonReadOnly,
		"SELECT 'NO_LOCK'":                   probes.ReasonReadOnly,
		"SELECT NULL":                        probes.ReasonReadOnly,
		"VALUES ('off'), ('on'), ('off')":    probes.ReasonReadOnly,
		"SELECT 1 WHERE false":               probes.ReasonMisconfigured,
		"SELECT":                             probes.ReasonMisconfigured, // a row without a column
		"SET TIME ZONE 'UTC'":                probes.ReasonMisconfigured,
		"SELECT * FROM no_such_table":        probes.ReasonNotFound,
		"SELECT pg_promote()":                probes.ReasonPermissionDenied,
		"SELECT 1 FROM generate_series(1,9)": probes.ReasonReadOnly,
	}
	db := open(t, testserver.SharedPostgres(t).DSN())
	for statement, want := range tests {
		result := newProbe(t, db, sqlprobe.ReadOnlyQuery(statement)).Check(t.Context())
		status := probes.Error
		if want == "" {
			status = probes.OK
		}
		assertResult(t, result, status, want)
		assert.Zero(t, db.Stats().InUse, statement)
	}
}

func TestQuestionOfRequireWritable(t *testing.T) {
	postgres, err := sql.Open("pgx", "")
	require.NoError(t, err)
	defer postgres.Close()
	unknown := openFake(fakeDriver{works, works}, 0)
	defer unknown.Close()
	other := sql.OpenDB(namedDriver{fakeDriver{works, works}})
	defer other.Close()
	for want, probe := range map[string]*sqlprobe.Probe{
		"": sqlprobe.New(postgres, sqlprobe.RequireWritable()),
		"sqlprobe.RequireWritable(): it has no question for the driver <nil>: " +
			"sqlprobe.ReadOnlyQuery must give one": sqlprobe.New(unknown, sqlprobe.RequireWritable()),
		"sqlprobe.RequireWritable(): it has no question for the driver sqlprobe_test.namedDriver: " +
			"sqlprobe.ReadOnlyQuery must give one": sqlprobe.New(other, sqlprobe.RequireWritable()),
		"sqlprobe.ReadOnlyQuery(\" \\n\"): the statement must not be empty": sqlprobe.New(postgres,
			sqlprobe.ReadOnlyQuery("SELECT 0"), sqlprobe.ReadOnlyQuery(" \n")),
		"sqlprobe.New(nil): the database must not be nil": sqlprobe.New(nil, sqlprobe.RequireWritable()),
	} {
		got := ""
		if err := probe.Validate(); err != nil {
			got = err.Error()
		}
		assert.Equal(t, want, got)
		require.NoError(t, probe.Close())
	}
	for _, db := range []*sql.DB{unknown, other} {
		opts := []sqlprobe.Option{sqlprobe.RequireWritable(), sqlprobe.ReadOnlyQuery("SELECT 0")}
		require.NoError(t, newProbe(t, db, opts...).Validate())
	}
}

type namedDriver struct{ fakeDriver }

func (d namedDriver) Driver() driver.Driver            { return d }
func (d namedDriver) Open(string) (driver.Conn, error) { return nil, driver.ErrSkip }
