package amqpprobe_test

import (
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/internal/reason"
	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/amqpprobe"
)

// dial connects as an application does.
func dial(t *testing.T, url string) *amqp.Connection {
	t.Helper()
	conn, err := amqp.Dial(url)
	require.NoError(t, err)
	t.Cleanup(func() { conn.CloseDeadline(time.Now().Add(100 * time.Millisecond)) })
	return conn
}

// publishUntilBlocked publishes over conn during an alarm, until the broker blocks the connection and the
// probe reports it. One message may not suffice, because the connection may learn of the alarm only after it.
func publishUntilBlocked(t *testing.T, conn *amqp.Connection, probe probes.Probe) {
	t.Helper()
	ch, err := conn.Channel()
	require.NoError(t, err)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		result := probe.Check(t.Context())
		if result.Status == probes.OK {
			err := ch.PublishWithContext(t.Context(), "amq.fanout", "", false, false, amqp.Publishing{})
			assert.NoError(c, err)
		}
		assert.Equal(c, probes.ReasonBrokerBlocked, result.Reason)
	}, 20*time.Second, 10*time.Millisecond)
}

func eventually(t *testing.T, probe probes.Probe, status probes.Status, want probes.Reason) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		result := probe.Check(t.Context())
		if result.Reason == "" {
			result.Reason = reason.Of(result.Err) // as the health checks do
		}
		assert.Equal(c, status, result.Status, "%v", result.Err)
		assert.Equal(c, want, result.Reason, "%v", result.Err)
	}, 20*time.Second, 10*time.Millisecond)
}

func TestFromConn(t *testing.T) {
	noLeaks(t)
	rabbit := testserver.SharedRabbitMQ(t)
	proxy := testserver.NewProxy(t, rabbit.Addr())
	var current atomic.Pointer[amqp.Connection]
	probe := amqpprobe.FromConn(current.Load)
	requireWarning(t, probes.ReasonDependencyStarting, probe.Check(t.Context()))

	current.Store(dial(t, proxied(t, proxy, rabbit.URL())))
	requireOK(t, probe.Check(t.Context()))

	proxy.Reset()
	eventually(t, probe, probes.Error, probes.ReasonConnectionLost)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.ErrorContains(c, probe.Check(t.Context()).Err, "connection reset by peer", "the cause")
	}, 20*time.Second, time.Millisecond)

	current.Store(dial(t, proxied(t, proxy, rabbit.URL())))
	requireOK(t, probe.Check(t.Context()))
	require.NoError(t, current.Load().Close())
	requireError(t, probes.ReasonConnectionLost, probe.Check(t.Context()))
	assert.EqualError(t, probe.Check(t.Context()).Err, "connection_lost: the application's connection is closed")
}

func TestFromConnSeesAnAlarm(t *testing.T) {
	noLeaks(t)
	rabbit := testserver.NewRabbitMQ(t)
	publisher, idle := dial(t, rabbit.URL()), dial(t, rabbit.URL())
	current := publisher
	probe := amqpprobe.FromConn(func() *amqp.Connection { return current })
	requireOK(t, probe.Check(t.Context()))
	for range 2 {
		rabbit.Ctl(t, "set_vm_memory_high_watermark", "absolute", "1")
		requireOK(t, probe.Check(t.Context())) // the broker reports an alarm only after a message is published
		publishUntilBlocked(t, publisher, probe)
		assert.ErrorContains(t, probe.Check(t.Context()).Err, "low on memory")
		current = idle
		requireOK(t, probe.Check(t.Context()))
		current = publisher
		requireError(t, probes.ReasonBrokerBlocked, probe.Check(t.Context()))
		rabbit.Ctl(t, "set_vm_memory_high_watermark", "absolute", "1GB")
		eventually(t, probe, probes.OK, "")
	}
}

// An application that is starting has no connection yet. This is not an outage until startLimit.
func TestFromConnBeforeTheFirstConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		probe := amqpprobe.FromConn(func() *amqp.Connection { return nil })
		time.Sleep(time.Hour) // the limit begins with the first check
		for range 30 {
			requireWarning(t, probes.ReasonDependencyStarting, probe.Check(t.Context()))
			time.Sleep(time.Second)
		}
		for range 3 {
			result := probe.Check(t.Context())
			requireError(t, probes.ReasonConnectionLost, result)
			assert.ErrorContains(t, result.Err, "has had no connection within 30s of the first check")
			time.Sleep(time.Minute)
		}
	})
}

// During the start the service is ready, and no error is recorded.
func TestFromConnAtTheStartOfAService(t *testing.T) {
	var log strings.Builder
	health, err := echohealth.New(echohealth.WithoutSystemMetrics(),
		echohealth.WithLogger(slog.New(slog.NewTextHandler(&log, nil))),
		echohealth.WithAMQP(amqpprobe.FromConn(func() *amqp.Connection { return nil })))
	require.NoError(t, err)
	report := health.Report(t.Context())
	require.NoError(t, health.Close())
	assert.True(t, report.Ready)
	assert.Contains(t, log.String(), "level=WARN")
	assert.NotContains(t, log.String(), "level=ERROR")
}

// An application that has been connected once is no longer starting, even within startLimit.
func TestFromConnAfterTheFirstConnection(t *testing.T) {
	noLeaks(t)
	var current atomic.Pointer[amqp.Connection]
	probe := amqpprobe.FromConn(current.Load)
	requireWarning(t, probes.ReasonDependencyStarting, probe.Check(t.Context()))
	current.Store(dial(t, testserver.SharedRabbitMQ(t).URL()))
	requireOK(t, probe.Check(t.Context()))
	current.Store(nil)
	result := probe.Check(t.Context())
	requireError(t, probes.ReasonConnectionLost, result)
	assert.EqualError(t, result.Err, "connection_lost: the application has no connection")
}

// If the application's function panics or hangs, only this check fails.
func TestFromConnWhereTheFunctionFails(t *testing.T) {
	conn := dial(t, testserver.SharedRabbitMQ(t).URL())
	var fault atomic.Int32
	release := make(chan struct{})
	probe := amqpprobe.FromConn(func() *amqp.Connection {
		switch fault.Load() {
		case 0:
			panic("application")
		case 1:
			<-release
		}
		return conn
	})
	health, err := echohealth.New(echohealth.WithoutSystemMetrics(),
		echohealth.WithLogger(slog.New(slog.DiscardHandler)), echohealth.WithAMQP(probe,
			echohealth.Timeout(50*time.Millisecond), echohealth.FreshFor(time.Millisecond)))
	require.NoError(t, err)
	defer health.Close()
	says := func(status probes.Status, reason probes.Reason) {
		t.Helper()
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			check := health.Report(t.Context()).Checks[0]
			assert.Equal(c, status, check.Status)
			assert.Equal(c, reason, check.Reason)
		}, 20*time.Second, 10*time.Millisecond)
	}
	says(probes.Error, probes.ReasonPanic)
	fault.Store(1)
	says(probes.Error, probes.ReasonTimeout)
	close(release)
	says(probes.OK, "")
}

// Many checks of a connection need only one goroutine, and amqp091-go never waits for the probe.
func TestFromConnGoroutines(t *testing.T) {
	noLeaks(t)
	rabbit := testserver.SharedRabbitMQ(t)
	conns := []*amqp.Connection{dial(t, rabbit.URL()), dial(t, rabbit.URL()), dial(t, rabbit.URL())}
	i := 0
	probe := amqpprobe.FromConn(func() *amqp.Connection { i++; return conns[i%len(conns)] })
	before := runtime.NumGoroutine()
	for range 100 {
		requireOK(t, probe.Check(t.Context()))
	}
	assert.LessOrEqual(t, runtime.NumGoroutine(), before+len(conns))
}

func TestFromConnValidate(t *testing.T) {
	assert.ErrorContains(t, amqpprobe.FromConn(nil).Validate(), "amqpprobe.FromConn(nil)")
	assert.NoError(t, amqpprobe.FromConn(func() *amqp.Connection { return nil }).Validate())
}

func BenchmarkFromConn(b *testing.B) {
	conn, err := amqp.Dial(testserver.SharedRabbitMQ(b).URL())
	require.NoError(b, err)
	defer conn.Close()
	probe := amqpprobe.FromConn(func() *amqp.Connection { return conn })
	b.ReportAllocs()
	for b.Loop() {
		if result := probe.Check(b.Context()); result.Status != probes.OK {
			b.Fatal(result.Err)
		}
	}
}
