package amqpprobe_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/echo-probes/echohealth/internal/leaktest"
	"github.com/echo-probes/echohealth/internal/reason"
	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/amqpprobe"
)

func TestMain(m *testing.M) {
	names.serve()
	testserver.Main(m)
}

// noLeaks requires that no goroutine is left at the end of the test. Call it first, so that it checks after
// all other cleanup functions.
func noLeaks(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { leaktest.Verify(t, before) })
}

func newProbe(t testing.TB, url string) *amqpprobe.Probe {
	t.Helper()
	probe := amqpprobe.New(url)
	require.NoError(t, probe.Validate())
	t.Cleanup(func() { assert.NoError(t, probe.Close()) })
	return probe
}

// within runs a check with a limit of d.
func within(t *testing.T, probe probes.Probe, d time.Duration) probes.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	return probe.Check(ctx)
}

func requireOK(t *testing.T, result probes.Result) {
	t.Helper()
	require.Equal(t, probes.Result{Status: probes.OK}, result)
}

func requireError(t *testing.T, want probes.Reason, result probes.Result) {
	t.Helper()
	require.Equal(t, probes.Error, result.Status, "%v", result.Err)
	if result.Reason == "" {
		result.Reason = reason.Of(result.Err) // as the health checks do
	}
	require.Equal(t, want, result.Reason, "%v", result.Err)
	require.NotContains(t, result.Err.Error(), "secret")
}

func requireWarning(t *testing.T, want probes.Reason, result probes.Result) {
	t.Helper()
	require.Equal(t, probes.Warning, result.Status, "%v", result.Err)
	if result.Reason == "" {
		result.Reason = reason.Of(result.Err) // as the health checks do
	}
	require.Equal(t, want, result.Reason, "%v", result.Err)
	require.NotContains(t, result.Err.Error(), "secret")
}

func TestCheck(t *testing.T) {
	noLeaks(t)
	rabbit := testserver.SharedRabbitMQ(t)
	proxy := testserver.NewProxy(t, rabbit.Addr())
	probe := newProbe(t, "pyamqp://app:app-secret@"+proxy.Addr()+"//")
	for range 50 {
		requireOK(t, probe.Check(t.Context()))
	}
	assert.Equal(t, 1, proxy.Accepted())

	proxy.Refuse()
	requireError(t, probes.ReasonConnectionRefused, within(t, probe, 5*time.Second))
	proxy.Pass()
	requireOK(t, within(t, probe, 5*time.Second))
}

func TestCheckNeedsNoPermissionInTheVhost(t *testing.T) {
	rabbit := testserver.SharedRabbitMQ(t)
	rabbit.Ctl(t, "add_user", "probe", "probe-secret")
	rabbit.Ctl(t, "set_permissions", "probe", "^$", "^$", "^$")
	probe := newProbe(t, "amqp://probe:probe-secret@"+rabbit.Addr()+"/")
	requireOK(t, probe.Check(t.Context()))
	rabbit.Ctl(t, "clear_permissions", "probe")
	requireError(t, probes.ReasonPermissionDenied, newProbe(t, "amqp://probe:probe-secret@"+rabbit.Addr()+"/").Check(t.Context()))
}

func TestCheckErrors(t *testing.T) {
	rabbit := testserver.SharedRabbitMQ(t)
	tests := map[string]struct {
		url  string
		want probes.Reason
	}{
		"refused":        {fmt.Sprintf("amqp://app:app-secret@127.0.0.1:%d/", testserver.FreePort(t)), probes.ReasonConnectionRefused},
		"unknown vhost":  {rabbit.URL() + "missing", probes.ReasonNotFound},
		"wrong password": {"amqp://app:wrong-secret@" + rabbit.Addr() + "/", probes.ReasonAuthenticationFailed},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireError(t, test.want, within(t, newProbe(t, test.url), 10*time.Second))
		})
	}
}

func TestFrozenBroker(t *testing.T) {
	noLeaks(t)
	rabbit := testserver.NewRabbitMQ(t)
	probe := newProbe(t, rabbit.URL())
	requireOK(t, probe.Check(t.Context()))
	rabbit.Freeze(t)
	start := time.Now()
	requireError(t, probes.ReasonTimeout, within(t, probe, 200*time.Millisecond))
	assert.Less(t, time.Since(start), 8*time.Second, "without the limit it would take 10 s or more")
	rabbit.Thaw(t)
	requireOK(t, within(t, probe, 5*time.Second))
}

func TestKilledBroker(t *testing.T) {
	noLeaks(t)
	rabbit := testserver.NewRabbitMQ(t)
	probe := newProbe(t, rabbit.URL())
	requireOK(t, probe.Check(t.Context()))
	rabbit.Kill(t)
	requireError(t, probes.ReasonConnectionRefused, within(t, probe, 5*time.Second))
	rabbit.Start(t)
	requireOK(t, within(t, probe, 5*time.Second))
}

func TestClose(t *testing.T) {
	noLeaks(t)
	probe := amqpprobe.New(testserver.SharedRabbitMQ(t).URL())
	requireOK(t, probe.Check(t.Context()))
	require.NoError(t, probe.Close())
	requireError(t, probes.ReasonClientClosed, probe.Check(t.Context()))
	require.NoError(t, amqpprobe.New("amqp://never-used/").Close())
}

func TestValidate(t *testing.T) {
	probe := amqpprobe.New("amqp://app:s3cret@rabbit:5672/?hartbeat=10", amqpprobe.TLSConfig(nil))
	err := probe.Validate()
	assert.ErrorContains(t, err, `broker URL "amqp://***@rabbit:5672/?***": unknown option "hartbeat"`)
	assert.ErrorContains(t, err, "amqpprobe.TLSConfig(nil): the configuration must not be nil")
	requireError(t, probes.ReasonMisconfigured, probe.Check(t.Context()))
	assert.Nil(t, probe.Advise())
	assert.NoError(t, probe.Close())

	assert.ErrorContains(t, amqpprobe.New("amqp://rabbit/", amqpprobe.TLSConfig(new(tls.Config))).Validate(), "TLS options need a scheme with TLS")
	assert.NoError(t, amqpprobe.New("amqps://rabbit/", amqpprobe.TLSConfig(new(tls.Config))).Validate())
}

func TestAdvise(t *testing.T) {
	advice := amqpprobe.New("amqp://app:s3cret@rabbit/?heartbeat=0").Advise()
	require.Len(t, advice, 1)
	assert.Contains(t, advice[0], "Set heartbeat=10")
	assert.Empty(t, amqpprobe.New("amqp://rabbit/").Advise())
}

func TestMemoryAlarmIsNotSeen(t *testing.T) {
	rabbit := testserver.NewRabbitMQ(t)
	probe := newProbe(t, rabbit.URL())
	rabbit.Ctl(t, "set_vm_memory_high_watermark", "absolute", "1")
	requireOK(t, within(t, probe, 5*time.Second))
}

func BenchmarkCheck(b *testing.B) {
	probe := newProbe(b, testserver.SharedRabbitMQ(b).URL())
	b.ReportAllocs()
	for b.Loop() {
		if result := probe.Check(b.Context()); result.Status != probes.OK {
			b.Fatal(result.Err)
		}
	}
}

func proxied(t *testing.T, proxy *testserver.Proxy, raw string) string {
	t.Helper()
	u, err := url.Parse(raw)
	require.NoError(t, err)
	u.Host = proxy.Addr()
	return u.String()
}
