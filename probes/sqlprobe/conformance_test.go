package sqlprobe_test

import (
	"database/sql"
	"strings"
	"testing"
	"time"

	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/probetest"
	"github.com/echo-probes/echohealth/probes/sqlprobe"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"
)

func TestConformance(t *testing.T) {
	server := testserver.SharedPostgres(t)
	proxy := testserver.NewProxy(t, server.Addr())
	dsn := via(t, server.DSN(), proxy.Addr())
	tests := map[string]struct {
		dsn   string
		state func(*testing.T, *sql.DB) // puts the pool into the state of the test
		want  probes.Status
	}{
		"over an idle connection": {dsn, func(t *testing.T, db *sql.DB) { warm(t, db, 2) }, probes.OK},
		"over a new connection":   {dsn, func(*testing.T, *sql.DB) {}, probes.OK},
		"with the wrong password": {strings.Replace(dsn, "app-secret", "wrong-secret", 1), func(*testing.T, *sql.DB) {}, probes.Error},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			probetest.Run(t, func(t *testing.T) probes.Probe {
				config, err := pgx.ParseConfig(test.dsn)
				require.NoError(t, err)
				connector := stdlib.GetConnector(*config)
				db := sql.OpenDB(connector)
				t.Cleanup(func() { db.Close() })
				test.state(t, db)
				every := sqlprobe.NewConnectionEvery(time.Millisecond)
				return sqlprobe.New(db, sqlprobe.Connector(connector), every)
			}, probetest.Options{
				Want:    test.want,
				Hang:    func(t *testing.T) { proxy.Stall(); t.Cleanup(proxy.Pass) },
				Secrets: []string{"secret"},
				Hidden:  []string{"127.0.0.1", "app", "postgres"},
				Ignore:  []string{testserver.ProxyGoroutine},
			})
		})
	}
}
