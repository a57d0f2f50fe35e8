package amqpprobe_test

import (
	"sync/atomic"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/amqpprobe"
)

func openChannel(t *testing.T, conn *amqp.Connection) *amqp.Channel {
	t.Helper()
	ch, err := conn.Channel()
	require.NoError(t, err)
	return ch
}

// The broker closes a channel and leaves the connection open.
func TestChannel(t *testing.T) {
	noLeaks(t)
	conn := dial(t, testserver.SharedRabbitMQ(t).URL())
	var ch atomic.Pointer[amqp.Channel]
	own := func() *amqp.Connection { return conn }
	without := amqpprobe.FromConn(own)
	probe := amqpprobe.FromConn(own, amqpprobe.Channel(ch.Load))
	requireWarning(t, probes.ReasonDependencyStarting, probe.Check(t.Context()))

	ch.Store(openChannel(t, conn))
	requireOK(t, probe.Check(t.Context()))
	require.NoError(t, ch.Load().Ack(42, false))
	eventually(t, probe, probes.Error, probes.ReasonConnectionLost)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.ErrorContains(c, probe.Check(t.Context()).Err, "unknown delivery tag 42", "the broker's reason")
	}, 20*time.Second, time.Millisecond)
	requireOK(t, without.Check(t.Context()))

	ch.Store(openChannel(t, conn))
	requireOK(t, probe.Check(t.Context()))
	require.NoError(t, ch.Load().Close())
	requireError(t, probes.ReasonConnectionLost, probe.Check(t.Context()))
	ch.Store(nil)
	result := probe.Check(t.Context())
	requireError(t, probes.ReasonConnectionLost, result)
	assert.ErrorContains(t, result.Err, "the application has no channel")
}

// The check reports the first closed channel. A fault of the connection has precedence.
func TestSeveralChannels(t *testing.T) {
	noLeaks(t)
	conn := dial(t, testserver.SharedRabbitMQ(t).URL())
	first, second := openChannel(t, conn), openChannel(t, conn)
	probe := amqpprobe.FromConn(func() *amqp.Connection { return conn },
		amqpprobe.Channel(func() *amqp.Channel { return first }),
		amqpprobe.Channel(func() *amqp.Channel { return second }))
	requireOK(t, probe.Check(t.Context()))
	require.NoError(t, second.Close())
	result := probe.Check(t.Context())
	requireError(t, probes.ReasonConnectionLost, result)
	assert.ErrorContains(t, result.Err, "channel is closed")
	require.NoError(t, conn.Close())
	assert.ErrorContains(t, probe.Check(t.Context()).Err, "connection is closed")
}

func TestChannelValidate(t *testing.T) {
	probe := amqpprobe.FromConn(nil, amqpprobe.Channel(nil))
	assert.ErrorContains(t, probe.Validate(), "amqpprobe.FromConn(nil)")
	assert.ErrorContains(t, probe.Validate(), "amqpprobe.Channel(nil): the function must not be nil")
	requireError(t, probes.ReasonMisconfigured, probe.Check(t.Context()))
}

// The probe knows an alarm from before the first check, if it watches the connection since before the alarm:
// from the construction of the health checks, or from Watch.
func TestAlarmBeforeTheFirstCheck(t *testing.T) {
	noLeaks(t)
	rabbit := testserver.NewRabbitMQ(t)
	atStart, later := dial(t, rabbit.URL()), dial(t, rabbit.URL())
	var current atomic.Pointer[amqp.Connection]
	current.Store(atStart)
	probe := amqpprobe.FromConn(current.Load)
	health, err := echohealth.New(echohealth.WithoutSystemMetrics(), echohealth.WithAMQP(probe))
	require.NoError(t, err)
	defer health.Close()
	probe.Watch(later)
	rabbit.Ctl(t, "set_vm_memory_high_watermark", "absolute", "1")
	for _, conn := range []*amqp.Connection{atStart, later} {
		reported := conn.NotifyBlocked(make(chan amqp.Blocking, 16))
		ch := openChannel(t, conn)
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			require.NoError(t, ch.PublishWithContext(t.Context(), "amq.fanout", "", false, false, amqp.Publishing{}))
			assert.NotEmpty(c, reported)
		}, 20*time.Second, 10*time.Millisecond)
		current.Store(conn)
		eventually(t, probe, probes.Error, probes.ReasonBrokerBlocked)
	}
	rabbit.Ctl(t, "set_vm_memory_high_watermark", "absolute", "1GB")
	eventually(t, probe, probes.OK, "")
}

// A function that panics at the construction of the health checks must not end the service.
func TestValidateOutlivesAPanic(t *testing.T) {
	var app *struct{ conn *amqp.Connection }
	probe := amqpprobe.FromConn(func() *amqp.Connection { return app.conn })
	assert.NoError(t, probe.Validate())
	assert.Panics(t, func() { probe.Check(t.Context()) }, "a check reports it")
	amqpprobe.FromConn(func() *amqp.Connection { return nil }).Watch(nil)
}
