package recipes

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alexliesenfeld/health"
	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/probes"
	healthgo "github.com/hellofresh/health-go/v5"
	healthhttp "github.com/hellofresh/health-go/v5/checks/http"
	"github.com/stretchr/testify/assert"
)

func report(t *testing.T, options ...echohealth.Option) echohealth.Report {
	t.Helper()
	return open(t, append(options, echohealth.WithTimeout(time.Minute))...).Report(t.Context())
}

func TestFromAlexliesenfeld(t *testing.T) {
	check := health.Check{Name: "orders", Timeout: time.Minute}
	check.Check = func(context.Context) error { return nil }
	assert.True(t, report(t, fromAlexliesenfeld(check)).Ready)

	check.Check = func(context.Context) error { return errDown }
	down := report(t, fromAlexliesenfeld(check))
	assert.False(t, down.Ready)
	assert.Equal(t, probes.ReasonFailed, down.Checks[0].Reason)

	check.Timeout = 50 * time.Millisecond
	check.Check = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	assert.Equal(t, probes.ReasonTimeout, report(t, fromAlexliesenfeld(check)).Checks[0].Reason)
}

func TestFromHealthGo(t *testing.T) {
	var status atomic.Int64
	status.Store(http.StatusOK)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(int(status.Load()))
	}))
	t.Cleanup(server.Close)
	check := healthgo.Config{Name: "billing", Check: healthhttp.New(healthhttp.Config{URL: server.URL})}
	assert.True(t, report(t, fromHealthGo(check)).Ready)

	status.Store(http.StatusInternalServerError)
	down := report(t, fromHealthGo(check))
	assert.False(t, down.Ready)
	assert.Equal(t, probes.ReasonFailed, down.Checks[0].Reason)

	check.SkipOnErr = true
	optional := report(t, fromHealthGo(check))
	assert.True(t, optional.Ready)
	assert.Equal(t, echohealth.Degraded, optional.Status)

	server.Close()
	assert.Equal(t, probes.ReasonConnectionRefused, report(t, fromHealthGo(check)).Checks[0].Reason)
}

func TestFromHeptiolabs(t *testing.T) {
	up := report(t, echohealth.WithCheck("spool", fromHeptiolabs(func() error { return nil })))
	assert.True(t, up.Ready)
	down := report(t, echohealth.WithCheck("spool", fromHeptiolabs(func() error { return errDown })))
	assert.False(t, down.Ready)
}
