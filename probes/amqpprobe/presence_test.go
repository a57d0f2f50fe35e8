package amqpprobe

import (
	"testing"
	"testing/synctest"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/assert"

	"github.com/echo-probes/echohealth/probes"
)

// An application that is starting has no channel yet. This is not an outage until startLimit.
func TestChannelThatNeverComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		channel := &channelProbe{current: func() *amqp.Channel { return nil }}
		for range 30 {
			result := probes.FromError(channel.check())
			assert.Equal(t, probes.Warning, result.Status)
			assert.Equal(t, probes.ReasonDependencyStarting, result.Reason)
			time.Sleep(time.Second)
		}
		result := probes.FromError(channel.check())
		assert.Equal(t, probes.Error, result.Status)
		assert.Equal(t, probes.ReasonConnectionLost, result.Reason)
		assert.ErrorContains(t, result.Err, "the application has had no channel within 30s of the first check")
	})
}
