package testserver_test

import (
	"context"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/internal/testserver"
)

type rabbitUser struct{ *testserver.RabbitMQ }

// connect opens a connection with a channel; closing the connection closes both.
func (u rabbitUser) connect(ctx context.Context) (*amqp.Connection, *amqp.Channel, error) {
	deadline, _ := ctx.Deadline()
	conn, err := amqp.DialConfig(u.URL(), amqp.Config{Dial: amqp.DefaultDial(time.Until(deadline))})
	if err != nil {
		return nil, nil, err
	}
	channel, err := conn.Channel()
	return conn, channel, err
}

func (u rabbitUser) mustConnect(t *testing.T) (*amqp.Connection, *amqp.Channel) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	conn, channel, err := u.connect(ctx)
	require.NoError(t, err)
	t.Cleanup(func() { conn.CloseDeadline(time.Now().Add(quiet)) })
	return conn, channel
}

func (u rabbitUser) ask(ctx context.Context) error {
	conn, _, err := u.connect(ctx)
	if err != nil {
		return err
	}
	return conn.Close()
}

func (u rabbitUser) store(t *testing.T) {
	t.Helper()
	conn, channel := u.mustConnect(t)
	_, err := channel.QueueDeclare("kept", true, false, false, false, nil)
	require.NoError(t, err)
	require.NoError(t, conn.Close())
}

func (u rabbitUser) stored(t *testing.T) bool {
	t.Helper()
	conn, channel := u.mustConnect(t)
	_, err := channel.QueueDeclarePassive("kept", true, false, false, false, nil)
	require.NoError(t, conn.Close())
	return err == nil
}

func TestRabbitMQLifecycle(t *testing.T) {
	t.Parallel()
	rabbit := testserver.NewRabbitMQ(t)
	testLife(t, rabbit, rabbitUser{rabbit})
}

func TestRabbitMQControl(t *testing.T) {
	t.Parallel()
	rabbit := testserver.NewRabbitMQ(t, "channel_max = 7")
	assert.Contains(t, rabbit.Ctl(t, "list_users"), "app")
	assert.Equal(t, "42", rabbit.Eval(t, "6 * 7"))
	assert.Equal(t, "{ok,7}", rabbit.Eval(t, "application:get_env(rabbit, channel_max)"))

	conn, channel := rabbitUser{rabbit}.mustConnect(t)
	blocked := conn.NotifyBlocked(make(chan amqp.Blocking, 1))
	rabbit.Ctl(t, "set_vm_memory_high_watermark", "absolute", "1")
	// The alarm reaches the connection a moment later, and blocks it only if it publishes after that. So publish
	// repeatedly.
	require.Eventually(t, func() bool {
		require.NoError(t, channel.PublishWithContext(t.Context(), "", "nowhere", false, false, amqp.Publishing{}))
		select {
		case b := <-blocked:
			return b.Active
		default:
			return false
		}
	}, soon, 100*time.Millisecond, "no memory alarm")
	rabbit.Ctl(t, "set_vm_memory_high_watermark", "absolute", "1GB")
	select {
	case b := <-blocked:
		assert.False(t, b.Active)
	case <-time.After(soon):
		t.Fatal("the memory alarm has not ended")
	}
}
