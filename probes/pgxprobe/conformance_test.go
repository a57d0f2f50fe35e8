package pgxprobe_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/pgxprobe"
	"github.com/echo-probes/echohealth/probes/probetest"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

func TestConformance(t *testing.T) {
	server := testserver.SharedPostgres(t)
	proxy := testserver.NewProxy(t, server.Addr())
	dsn := via(t, server.DSN(), proxy.Addr())
	refuse := func(c *pgxpool.Config) {
		c.PrepareConn = func(context.Context, *pgx.Conn) (bool, error) { return false, errNoTenant }
	}
	tests := map[string]struct {
		dsn    string
		state  func(*testing.T, *pgxpool.Pool) // puts the pool into the state of the test
		want   probes.Status
		adjust []func(*pgxpool.Config)
	}{
		"over the pool":            {dsn, func(t *testing.T, pool *pgxpool.Pool) { warm(t, pool, 2) }, probes.OK, nil},
		"over its own connection":  {dsn, func(*testing.T, *pgxpool.Pool) {}, probes.OK, nil},
		"beside a saturated pool":  {dsn, func(t *testing.T, pool *pgxpool.Pool) { take(t, pool, 2) }, probes.Warning, nil},
		"with the wrong password":  {strings.Replace(dsn, "app-secret", "wrong-secret", 1), func(*testing.T, *pgxpool.Pool) {}, probes.Error, nil},
		"of a pool that is closed": {dsn, func(t *testing.T, pool *pgxpool.Pool) { warm(t, pool, 1); pool.Close() }, probes.Error, nil},
		"whose hook refuses it":    {dsn, func(*testing.T, *pgxpool.Pool) {}, probes.OK, []func(*pgxpool.Config){refuse}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			probetest.Run(t, func(t *testing.T) probes.Probe {
				pool := newPool(t, test.dsn, append(test.adjust, maxConns(2))...)
				test.state(t, pool)
				return pgxprobe.New(pool, pgxprobe.NewConnectionEvery(time.Millisecond))
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
