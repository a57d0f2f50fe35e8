package amqpprobe

import (
	"runtime"
	"testing"
	"time"
	"weak"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/internal/testserver"
)

func dialShared(t *testing.T) *amqp.Connection {
	t.Helper()
	conn, err := amqp.Dial(testserver.SharedRabbitMQ(t).URL())
	require.NoError(t, err)
	t.Cleanup(func() { conn.CloseDeadline(time.Now().Add(100 * time.Millisecond)) })
	return conn
}

// An alarm ends with the connection, whatever the order in which follow reads the reports.
func TestAnAlarmEndsWithTheConnection(t *testing.T) {
	open, closed := dialShared(t), dialShared(t)
	require.NoError(t, closed.Close())
	for range 50 {
		w := &connWatch{conn: open}
		blocks, closes := make(chan amqp.Blocking, 1), make(chan *amqp.Error, 1)
		blocks <- amqp.Blocking{Active: true}
		closes <- amqp.ErrClosed
		close(closes)
		time.AfterFunc(time.Millisecond, func() { close(blocks) })
		w.follow(nil, blocks, closes)
		require.NoError(t, w.err())
	}
	w := &connWatch{conn: closed}
	w.setBlocked(amqp.Blocking{Active: true})
	assert.Nil(t, w.blocked, "it arrived after the end")
	w = &connWatch{conn: open}
	w.setBlocked(amqp.Blocking{Active: true})
	assert.NotNil(t, w.blocked)
}

// The probe forgets connections that the application has replaced.
func TestClosedConnectionsAreForgotten(t *testing.T) {
	current := dialShared(t)
	probe := FromConn(func() *amqp.Connection { return current })
	var replaced []weak.Pointer[amqp.Connection]
	for range 5 {
		probe.Check(t.Context())
		replaced = append(replaced, weak.Make(current))
		current.CloseDeadline(time.Now().Add(time.Second))
		conn, err := amqp.Dial(testserver.SharedRabbitMQ(t).URL())
		require.NoError(t, err)
		current = conn
	}
	defer func() { current.CloseDeadline(time.Now().Add(time.Second)) }()
	assert.EventuallyWithT(t, func(c *assert.CollectT) {
		probe.Check(t.Context())
		probe.mu.Lock()
		assert.Len(c, probe.watches, 1)
		probe.mu.Unlock()
		runtime.GC()
		for _, conn := range replaced[1:] { // the first connection stays until the end of the test
			assert.Nil(c, conn.Value())
		}
	}, 20*time.Second, 10*time.Millisecond)
}
