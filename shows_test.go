package echohealth_test

import (
	"context"
	"net/http"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/probes"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Shows returns what the middleware would decide.
func TestShows(t *testing.T) {
	base := []echohealth.Option{
		quiet, echohealth.WithoutSystemMetrics(), echohealth.WithDatabase(well),
		echohealth.WithGroup("payment", "database"), echohealth.WithGroup("cart", "database"), echohealth.WithPrometheus(),
	}
	token := echohealth.WithGuard(echohealth.BearerToken("s3cret"))
	configurations := map[string][]echohealth.Option{
		"everything":         nil,
		"a guard":            {token},
		"a guard that fails": {echohealth.WithGuard(echohealth.GuardFunc(func(*http.Request) bool { panic("no") }))},
		"some public":        {echohealth.WithPublic(echohealth.Live, echohealth.Group("payment"))},
		"public and guarded": {token, echohealth.WithPublic(echohealth.Ready, echohealth.Groups, echohealth.Detailed)},
		"the rest":           {echohealth.WithPublic(echohealth.Checks, echohealth.Startup, echohealth.Index)},
	}
	paths := map[echohealth.Endpoint]string{
		echohealth.Live: "live", echohealth.Ready: "ready", echohealth.Startup: "startup", echohealth.Detailed: "detailed", echohealth.Index: "",
		echohealth.Checks: "checks/database", echohealth.Group("payment"): "groups/payment", echohealth.Group("cart"): "groups/cart",
		echohealth.Group("nobody"): "groups/nobody", echohealth.Prometheus: "prometheus", echohealth.History: "history", "reddy": "reddy",
	}
	for name, options := range configurations {
		t.Run(name, func(t *testing.T) {
			h := newHealth(t, append(options, base...)...)
			for endpoint, path := range paths {
				for _, client := range []*http.Request{visitor("1.2.3.4:1"), visitor("1.2.3.4:1", "Authorization", "Bearer s3cret")} {
					answered := as(h, client, "/api/health/"+path).Code == 200
					assert.Equal(t, answered, h.Shows(endpoint, client), "%q with %q", endpoint, client.Header)
				}
			}
		})
	}
}

// Ready returns what /ready/ answers, and does not wait for a check that readiness does not depend on.
func TestReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hangs := probes.Func(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		h := newHealth(t, quiet, echohealth.WithoutSystemMetrics(), echohealth.WithStartupGate(),
			echohealth.WithDatabase(well), echohealth.WithCheck("slow", hangs, echohealth.Optional()))
		began := time.Now()
		assert.False(t, h.Ready(t.Context()), "it starts")
		h.MarkStarted()
		assert.True(t, h.Ready(t.Context()))
		assert.Zero(t, time.Since(began))
		drained, cancel := context.WithCancel(t.Context())
		cancel()
		require.Error(t, h.Drain(drained))
		assert.False(t, h.Ready(t.Context()), "it drains")
	})
	assert.False(t, newHealth(t, quiet, echohealth.WithDatabase(failing(syscall.ECONNREFUSED))).Ready(t.Context()))
}

func TestClosed(t *testing.T) {
	h := newHealth(t, quiet)
	assert.False(t, h.Closed())
	assert.True(t, h.Ready(t.Context()))
	require.NoError(t, h.Close())
	assert.True(t, h.Closed())
	assert.False(t, h.Ready(t.Context()))
}

func TestSystem(t *testing.T) {
	h := newHealth(t, quiet, echohealth.WithDatabase(well))
	var system []string
	for _, check := range h.Report(t.Context()).Checks {
		if check.System() {
			system = append(system, check.Name)
		}
	}
	assert.Subset(t, system, []string{"cpu", "memory", "disk", "connections"})
	assert.NotContains(t, system, "database")
	cpu, err := h.Check(t.Context(), "cpu")
	require.NoError(t, err)
	assert.True(t, cpu.System())
}
