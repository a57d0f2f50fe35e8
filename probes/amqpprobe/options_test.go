package amqpprobe

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestNewConnectionEvery(t *testing.T) {
	assert.Equal(t, time.Minute, New("amqp://rabbit").newConnections)
	twice := New("amqp://rabbit", NewConnectionEvery(time.Hour), NewConnectionEvery(0))
	assert.Zero(t, twice.newConnections, "the last use wins")
	err := New("amqp://rabbit", NewConnectionEvery(60)).Validate()
	assert.EqualError(t, err, "amqpprobe.NewConnectionEvery(60ns): "+
		"the duration must be 0, for never, or at least 1ms and at most 8760h0m0s (a year)")
}
