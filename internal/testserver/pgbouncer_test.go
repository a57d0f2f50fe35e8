package testserver_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/internal/testserver"
)

func TestPgBouncer(t *testing.T) {
	bouncer := testserver.NewPgBouncer(t, testserver.SharedPostgres(t))
	assert.Contains(t, bouncer.Admin(t, "SHOW CONFIG;"), "pool_mode|transaction|")
	connect := func() error {
		conn, err := pgx.Connect(t.Context(), bouncer.DSN())
		if err != nil {
			return err
		}
		defer conn.Close(context.Background())
		_, err = conn.Exec(t.Context(), "SELECT 1")
		return err
	}
	require.NoError(t, connect())
	bouncer.Admin(t, "SET query_wait_timeout = 1; PAUSE app;")
	assert.ErrorContains(t, connect(), "query_wait_timeout")
	bouncer.Admin(t, "SET query_wait_timeout = 120; RESUME app;")
	require.NoError(t, connect())
	bouncer.SetPassword(t, "other")
	bouncer.Admin(t, "RELOAD;")
	assert.ErrorContains(t, connect(), "SASL authentication failed")
	bouncer.SetPassword(t, "app-secret")
	bouncer.Stop(t)
	bouncer.Start(t)
	assert.NoError(t, connect())
}
