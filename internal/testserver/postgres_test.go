package testserver_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/internal/testserver"
)

type postgresUser struct{ *testserver.Postgres }

func (u postgresUser) ask(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, u.DSN())
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "SELECT 1")
	return err
}

func (u postgresUser) store(t *testing.T) {
	t.Helper()
	u.Exec(t, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (7);")
}

func (u postgresUser) stored(t *testing.T) bool {
	t.Helper()
	return query[int](t, u.AdminDSN(), "SELECT n FROM kept") == 7
}

// query returns the single value that a query returns.
func query[V any](t *testing.T, dsn, sql string) V {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	defer conn.Close(t.Context())
	var value V
	require.NoError(t, conn.QueryRow(t.Context(), sql).Scan(&value))
	return value
}

func TestPostgresLifecycle(t *testing.T) {
	postgres := testserver.NewPostgres(t)
	testLife(t, postgres, postgresUser{postgres})
}

func TestPostgresSettings(t *testing.T) {
	postgres := testserver.NewPostgres(t, "max_connections=8", "application_name=of the test")
	assert.Equal(t, "8", query[string](t, postgres.DSN(), "SHOW max_connections"))
	assert.Equal(t, "of the test", query[string](t, postgres.DSN(), "SHOW application_name"))
}

func TestPostgresRoles(t *testing.T) {
	postgres := testserver.SharedPostgres(t)
	const superuser = "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"
	assert.False(t, query[bool](t, postgres.DSN(), superuser))
	assert.True(t, query[bool](t, postgres.AdminDSN(), superuser))
	assert.Equal(t, "app", query[string](t, postgres.DSN(), "SELECT current_database()"))

	config, err := pgx.ParseConfig(postgres.DSN())
	require.NoError(t, err)
	config.Password = "wrong"
	_, err = pgx.ConnectConfig(t.Context(), config)
	var refusal *pgconn.PgError
	require.ErrorAs(t, err, &refusal)
	assert.Equal(t, "28P01", refusal.Code)
}

func TestPostgresFreezesSessions(t *testing.T) {
	postgres := testserver.NewPostgres(t)
	conn, err := pgx.Connect(t.Context(), postgres.DSN())
	require.NoError(t, err)
	postgres.Freeze(t)
	ctx, cancel := context.WithTimeout(t.Context(), quiet)
	defer cancel()
	require.ErrorIs(t, conn.Ping(ctx), context.DeadlineExceeded)
}

func TestPostgresStandby(t *testing.T) {
	primary := testserver.NewPostgres(t)
	primary.Exec(t, "CREATE TABLE seen (n int); INSERT INTO seen VALUES (1); GRANT ALL ON seen TO app;")
	standby := primary.Standby(t)
	assert.Equal(t, 1, query[int](t, standby.DSN(), "SELECT n FROM seen"))
	assert.Equal(t, "on", query[string](t, standby.DSN(), "SHOW transaction_read_only"))

	primary.Exec(t, "UPDATE seen SET n = 2")
	require.Eventually(t, func() bool { return query[int](t, standby.DSN(), "SELECT n FROM seen") == 2 }, soon, quiet)

	standby.Promote(t)
	assert.Equal(t, 3, query[int](t, standby.DSN(), "UPDATE seen SET n = 3 RETURNING n"))
}
