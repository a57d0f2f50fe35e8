package amqpprobe_test

import (
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/amqpprobe"
)

// publisher is an application that publishes over a network that may fail, with a probe of its connection.
type publisher struct {
	rabbit   *testserver.RabbitMQ
	proxy    *testserver.Proxy
	probe    *amqpprobe.ConnProbe
	current  atomic.Pointer[amqp.Connection]
	recovers bool
	lost     atomic.Bool // no broker answers
	stages   []string    // results of the probe so far
}

// connect makes a connection. While no broker answers, a handshake may take only 300 ms, so that a recovery
// makes many attempts.
func (p *publisher) connect(t *testing.T) {
	config := amqp.Config{Dial: func(network, addr string) (net.Conn, error) {
		limit := 20 * time.Second
		if p.lost.Load() {
			limit = 300 * time.Millisecond
		}
		return amqp.DefaultDial(limit)(network, addr)
	}}
	if p.recovers {
		many := &amqp.ReconnectionConfig{MaxRetryCount: 1000, RetryInterval: 100 * time.Millisecond}
		config.Recovery = &amqp.Recovery{ReconnectionConfig: many}
	}
	conn, err := amqp.DialConfig(proxied(t, p.proxy, p.rabbit.URL()), config)
	require.NoError(t, err)
	p.current.Store(conn)
	t.Cleanup(func() { conn.CloseDeadline(time.Now().Add(100 * time.Millisecond)) })
}

// says waits until the probe's result is the expected one, and records it.
func (p *publisher) says(t *testing.T, stage, want string) {
	t.Helper()
	status, reason := probes.OK, probes.Reason("")
	if want != "ok" {
		status, reason = probes.Error, probes.Reason(want)
	}
	eventually(t, p.probe, status, reason)
	p.stages = append(p.stages, fmt.Sprintf("%s: %s", stage, want))
}

func (p *publisher) alarm(t *testing.T) {
	p.rabbit.Ctl(t, "set_vm_memory_high_watermark", "absolute", "1")
}

func (p *publisher) endAlarm(t *testing.T) {
	p.rabbit.Ctl(t, "set_vm_memory_high_watermark", "absolute", "1GB")
}

// blocked publishes during an alarm until the broker blocks the connection.
func (p *publisher) blocked(t *testing.T) {
	t.Helper()
	publishUntilBlocked(t, p.current.Load(), p.probe)
	p.says(t, "published", "broker_blocked")
}

// publishes requires that the broker takes a message on the current connection.
func (p *publisher) publishes(t *testing.T) {
	t.Helper()
	ch, err := p.current.Load().Channel()
	require.NoError(t, err)
	require.NoError(t, ch.Confirm(false))
	confirmed, err := ch.PublishWithDeferredConfirm("amq.fanout", "", false, false, amqp.Publishing{})
	require.NoError(t, err)
	require.True(t, confirmed.Wait())
	p.says(t, "published", "ok")
}

// lose resets the connection. Until back, no broker answers on a new connection, but such a connection looks
// open.
func (p *publisher) lose(t *testing.T) {
	t.Helper()
	p.lost.Store(true)
	p.proxy.Silent()
	p.proxy.Reset()
	p.says(t, "lost", "connection_lost")
	accepted, seemsOpen := p.proxy.Accepted(), 0
	for p.recovers && (p.proxy.Accepted() < accepted+2 || seemsOpen == 0) {
		if !p.current.Load().IsClosed() {
			seemsOpen++
		}
		requireError(t, probes.ReasonConnectionLost, p.probe.Check(t.Context()))
		time.Sleep(time.Millisecond)
	}
	p.says(t, "no broker answers", "connection_lost")
}

// back makes the broker answer again. Without recovery the application makes a new connection.
func (p *publisher) back(t *testing.T) {
	t.Helper()
	p.proxy.Pass()
	p.lost.Store(false)
	if !p.recovers {
		requireError(t, probes.ReasonConnectionLost, p.probe.Check(t.Context()))
		p.connect(t)
	}
	p.says(t, "connected again", "ok")
}

// The test has the result of FromConn at each stage of a connection's life, with and without amqp091-go's
// recovery.
func TestFromConnAndRecovery(t *testing.T) {
	noLeaks(t)
	rabbit := testserver.NewRabbitMQ(t)
	type steps []func(*publisher, *testing.T)
	alarm, blocked, end := (*publisher).alarm, (*publisher).blocked, (*publisher).endAlarm
	lose, back, publishes := (*publisher).lose, (*publisher).back, (*publisher).publishes
	ok := func(p *publisher, t *testing.T) { p.says(t, "steady", "ok") }
	tests := []struct {
		name  string
		steps steps
	}{
		{"alarm", steps{alarm, ok, blocked, end, ok, publishes}},
		{"loss", steps{lose, back, publishes, lose, back, publishes}},
		{"loss during an alarm that ends meanwhile", steps{alarm, blocked, lose, end, back, publishes}},
		{"loss during an alarm that goes on", steps{alarm, blocked, lose, back, blocked, end, publishes}},
	}
	for _, test := range tests {
		for _, recovers := range []bool{false, true} {
			name := fmt.Sprintf("%s, recovery %t", test.name, recovers)
			t.Run(name, func(t *testing.T) {
				p := &publisher{rabbit: rabbit, recovers: recovers}
				p.proxy = testserver.NewProxy(t, rabbit.Addr())
				p.probe = amqpprobe.FromConn(p.current.Load)
				p.connect(t)
				p.says(t, "connected", "ok")
				for _, step := range test.steps {
					step(p, t)
				}
				require.NoError(t, p.current.Load().Close())
				p.says(t, "closed", "connection_lost")
				t.Logf("%s: %s", name, strings.Join(p.stages, "; "))
			})
		}
	}
}

// A recovery that gives up closes the connection permanently.
func TestFromConnWhereRecoveryGivesUp(t *testing.T) {
	noLeaks(t)
	rabbit := testserver.SharedRabbitMQ(t)
	proxy := testserver.NewProxy(t, rabbit.Addr())
	once := &amqp.ReconnectionConfig{MaxRetryCount: 1, RetryInterval: time.Millisecond}
	conn, err := amqp.DialConfig(proxied(t, proxy, rabbit.URL()), amqp.Config{
		Recovery: &amqp.Recovery{ReconnectionConfig: once},
	})
	require.NoError(t, err)
	probe := amqpprobe.FromConn(func() *amqp.Connection { return conn })
	requireOK(t, probe.Check(t.Context()))
	proxy.Refuse()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		err := probe.Check(t.Context()).Err
		assert.ErrorContains(c, err, "connection_lost: the application's connection is closed: ")
		assert.ErrorContains(c, err, "connection reset by peer", "the cause")
	}, 20*time.Second, time.Millisecond)
	proxy.Pass()
	requireError(t, probes.ReasonConnectionLost, probe.Check(t.Context()))
}

// A connection that was lost before its first check is an error until it is recovered.
func TestFromConnSeesALostConnectionFirst(t *testing.T) {
	noLeaks(t)
	p := &publisher{rabbit: testserver.SharedRabbitMQ(t), recovers: true}
	p.proxy = testserver.NewProxy(t, p.rabbit.Addr())
	p.connect(t)
	p.proxy.Refuse() // so that the connection is closed until lose, and never looks open
	conn := p.current.Load()
	require.Eventually(t, conn.IsClosed, 20*time.Second, time.Millisecond)
	p.probe = amqpprobe.FromConn(p.current.Load)
	requireError(t, probes.ReasonConnectionLost, p.probe.Check(t.Context()))
	p.lose(t)
	p.back(t)
	assert.Equal(t, conn, p.current.Load())
}
