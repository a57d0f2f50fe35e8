package sqlprobe_test

import (
	"database/sql"
	"strings"
	"testing"

	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/probetest"
	"github.com/echo-probes/echohealth/probes/sqlprobe"
)

func TestConformance(t *testing.T) {
	server := testserver.SharedPostgres(t)
	proxy := testserver.NewProxy(t, server.Addr())
	dsn := via(t, server.DSN(), proxy.Addr())
	tests := map[string]struct {
		dsn   string
		state func(*testing.T, *sql.DB) // what the pool is in
		want  probes.Status
	}{
		"over an idle connection": {dsn, func(t *testing.T, db *sql.DB) { warm(t, db, 2) }, probes.OK},
		"over a new connection":   {dsn, func(*testing.T, *sql.DB) {}, probes.OK},
		"with the wrong password": {strings.Replace(dsn, "app-secret", "wrong-secret", 1), func(*testing.T, *sql.DB) {}, probes.Error},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			probetest.Run(t, func(t *testing.T) probes.Probe {
				db := open(t, test.dsn)
				test.state(t, db)
				return sqlprobe.New(db)
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
