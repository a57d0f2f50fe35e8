package celeryprobe_test

import (
	"log/slog"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/celeryprobe"
)

// The node that holds a durable queue is stopped. Another node of the cluster then answers 404, as for a
// queue that does not exist, although tasks wait in this queue.
func TestAMQPQueueOfAStoppedNode(t *testing.T) {
	noLeaks(t)
	first, second := testserver.NewRabbitMQCluster(t)
	here, there := channel(t, first), channel(t, second)
	declare(t, here, "here", 1)
	_, err := there.QueueDeclare("celery", true, false, false, false, nil)
	require.NoError(t, err)
	require.NoError(t, there.Confirm(false))
	confirmed, err := there.PublishWithDeferredConfirm("", "celery", true, false,
		amqp.Publishing{DeliveryMode: amqp.Persistent, Body: []byte("task")})
	require.NoError(t, err)
	require.True(t, confirmed.Wait())
	quorum := amqp.Table{"x-queue-type": "quorum"}
	_, err = there.QueueDeclare("orders", true, false, false, false, quorum) // the queue's leader is the second node
	require.NoError(t, err)
	send(t, there, "orders", 1)
	alone := newProbe(t, first.URL())
	both := newProbe(t, first.URL(), celeryprobe.Queues("here", "celery"))
	requireWarning(t, probes.ReasonNoConsumers, check(t, alone), queues(1, 0)...)
	requireWarning(t, probes.ReasonNoConsumers, check(t, both), queues(2, 0)...)

	second.Stop(t)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.Equal(c, probes.ReasonUnreachable, check(t, alone).Reason)
	}, 30*time.Second, 100*time.Millisecond)
	result := check(t, alone)
	requireError(t, probes.ReasonUnreachable, result)
	requireDetails(t, result, []slog.Attr{unknownQueues(1)})
	t.Log(result.Err)
	result = check(t, both)
	requireError(t, probes.ReasonUnreachable, result)
	requireDetails(t, result, append(queues(1, 0), unknownQueues(1)))

	// RabbitMQ reports a queue without a majority only as empty.
	result = check(t, newProbe(t, first.URL(), celeryprobe.Queues("orders")))
	requireWarning(t, probes.ReasonNoConsumers, result, queues(0, 0)...)
	assert.ErrorContains(t, result.Err, "a quorum queue without a majority of its nodes is also reported as")

	second.Start(t)
	eventually(t, both, probes.Warning, probes.ReasonNoConsumers, queues(2, 0)...)
}
