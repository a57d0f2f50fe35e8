package amqpconn

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/echo-probes/echohealth/internal/leaktest"
	"github.com/echo-probes/echohealth/internal/reason"
	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
)

// amqp091-go's recovery would replace a lost connection without Conn's knowledge.
func TestConnectionIsNotRecovered(t *testing.T) {
	target, err := ParseURL(testserver.SharedRabbitMQ(t).URL(), nil)
	require.NoError(t, err)
	conn := New(target)
	defer conn.Close()
	require.NoError(t, conn.Do(t.Context(), func(_ context.Context, s *Session) error {
		assert.False(t, s.conn.IsRecoveryEnabled())
		return nil
	}))
}

// Try must leave no connection on the broker and no goroutine, even if it fails.
func TestTry(t *testing.T) {
	defer leaktest.Verify(t, goleak.IgnoreCurrent())
	rabbit := testserver.SharedRabbitMQ(t)
	target, err := ParseURL(rabbit.URL(), nil)
	require.NoError(t, err)
	for range 20 {
		require.NoError(t, target.Try(t.Context()))
	}
	missing, err := ParseURL(rabbit.URL()+"missing", nil)
	require.NoError(t, err)
	for range 20 {
		assert.Equal(t, probes.ReasonNotFound, reason.Of(missing.Try(t.Context())))
	}
	assert.Eventually(t, func() bool { return rabbit.Ctl(t, "list_connections", "pid") == "" },
		2*time.Minute, 100*time.Millisecond)
}

// Try must return when its context ends, whatever the broker does.
func TestTryEndsWithItsContext(t *testing.T) {
	defer leaktest.Verify(t, goleak.IgnoreCurrent(), goleak.IgnoreAnyFunction(testserver.ProxyGoroutine))
	proxy := testserver.NewProxy(t, testserver.SharedRabbitMQ(t).Addr())
	target, err := ParseURL("amqp://app:app-secret@"+proxy.Addr(), nil)
	require.NoError(t, err)
	proxy.Silent()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	assert.Equal(t, probes.ReasonTimeout, reason.Of(target.Try(ctx)))
}
