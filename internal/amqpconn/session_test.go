package amqpconn

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/internal/testserver"
)

// amqp091-go's recovery would give a connection several lives, of which Conn knows one.
func TestTheConnectionIsNotRecovered(t *testing.T) {
	target, err := ParseURL(testserver.SharedRabbitMQ(t).URL(), nil)
	require.NoError(t, err)
	conn := New(target)
	defer conn.Close()
	require.NoError(t, conn.Do(t.Context(), func(_ context.Context, s *Session) error {
		assert.False(t, s.conn.IsRecoveryEnabled())
		return nil
	}))
}
