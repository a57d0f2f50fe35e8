package amqpconn_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/assert"

	"github.com/echo-probes/echohealth/internal/amqpconn"
	"github.com/echo-probes/echohealth/probes"
)

// answers are the errors that RabbitMQ 3.10, 4.0 and 4.3 can send for the calls of the probes, verbatim.
var answers = []struct {
	code int
	text string
	want probes.Reason
}{
	{320, "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'", "dependency_starting"},
	{320, "CONNECTION_FORCED - Node was put into maintenance mode", "dependency_starting"},
	{320, "CONNECTION_FORCED - vhost 'orders' is deleted", "dependency_starting"},
	{320, "CONNECTION_FORCED - credential expired", "authentication_failed"},

	{403, "ACCESS_REFUSED - access to queue 'q' in vhost '/' refused for user 'app'", "permission_denied"},
	{403, "ACCESS_REFUSED - configure access to exchange 'amq.direct' in vhost '/' refused for user 'app'",
		"permission_denied"},

	{404, "NOT_FOUND - no queue 'celery' in vhost '/'", "not_found"},
	{404, "NOT_FOUND - no queue 'failed due to timeout' in vhost '/'", "not_found"},
	{404, "NOT_FOUND - no exchange 'celery.pidbox' in vhost '/'", "not_found"},
	{404, "NOT_FOUND - home node 'rabbit@b' of durable queue 'celery' in vhost '/' is down or inaccessible",
		"unreachable"},
	{404, "NOT_FOUND - queue 'celery' in vhost '/' process is stopped by supervisor", "unreachable"},
	{404, "NOT_FOUND - queue 'celery' in vhost '/' has crashed and failed to restart", "unreachable"},
	{404, "NOT_FOUND - failed to perform operation on queue 'celery' in vhost '/' due to timeout", "timeout"},
	{404, "NOT_FOUND - failed to perform operation on queue 'celery' in vhost '/': " +
		"its leader <12.3.0> may be stopping or being demoted", "dependency_starting"},
	{404, "NOT_FOUND - Queue 'celery' not declared", "not_found"}, // LavinMQ
	{404, "NOT_FOUND - ", "not_found"},                            // LavinMQ

	{405, "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'q' in vhost '/'. It could be " +
		"originally declared on another connection or the exclusive property value does not match that of " +
		"the original declaration.", "permission_denied"},

	{406, "PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'q' in vhost '/': " +
		"received 'true' but current is 'false'", "misconfigured"},
	{406, "PRECONDITION_FAILED - cannot declare queue 'q': queue limit in vhost '/' (0) is reached",
		"out_of_resources"},
	{406, "PRECONDITION_FAILED - cannot declare queue 'q': queue limit in cluster (5) is reached",
		"out_of_resources"},
	{406, "PRECONDITION_FAILED - cannot declare exchange 'reply.celery.pidbox' in vhost '/': " +
		"exchange limit of 5 is reached", "out_of_resources"},

	{506, "RESOURCE_ERROR - Stream coordinator unavailable for queue 'q' in vhost '/'", "out_of_resources"},

	{530, "NOT_ALLOWED - vhost orders not found", "not_found"},
	{530, "NOT_ALLOWED - access to vhost 'orders' refused for user 'app'", "permission_denied"},
	{530, "NOT_ALLOWED - access to vhost '/' refused for user 'app': connection limit (0) is reached",
		"too_many_connections"},
	{530, "NOT_ALLOWED - access to vhost '/' refused for user 'app': " +
		"connection limit cannot be queried, timeout", "timeout"},
	{530, "NOT_ALLOWED - connection refused for user 'app': user connection limit (0) is reached",
		"too_many_connections"},
	{530, "NOT_ALLOWED - connection refused: node connection limit (1) is reached", "too_many_connections"},
	{530, "NOT_ALLOWED - number of channels opened for user 'app' has reached the maximum allowed user limit " +
		"of (0)", "too_many_connections"},
	{530, "NOT_ALLOWED - number of channels opened for user 'app' has reached the maximum allowed user limit " +
		"of 0", "too_many_connections"}, // 4.3
	{530, "NOT_ALLOWED - number of channels opened on node 'rabbit@a' has reached the maximum allowed limit " +
		"of (2)", "too_many_connections"},
	{530, "NOT_ALLOWED - number of channels opened (7) has reached the negotiated channel_max (7)",
		"too_many_connections"},
	{530, "NOT_ALLOWED - negotiated channel_max = 0 (no limit) is higher than the maximum allowed value (2047)",
		"misconfigured"},

	{540, "NOT_IMPLEMENTED - queue.purge not supported by stream queues queue 'q' in vhost '/'",
		"misconfigured"},
	{541, "INTERNAL_ERROR - access to vhost '/' refused for user 'app': vhost '/' is down",
		"dependency_starting"},
	{541, "INTERNAL_ERROR - failed to open channel 1", "failed"},
	{541, "INTERNAL_ERROR - Could not add binding due to timeout", "timeout"},
	{541, "INTERNAL_ERROR - failed to declare exchange 'x' in vhost '/' because the operation timed out",
		"timeout"},
	{541, "INTERNAL_ERROR - Feature `transient_nonexcl_queues` is deprecated.", "misconfigured"},
}

func TestReasonsOfRabbitMQsAnswers(t *testing.T) {
	for _, answer := range answers {
		err := &amqp.Error{Code: answer.code, Reason: answer.text, Server: true}
		assert.Equal(t, answer.want, amqpconn.Reason(fmt.Errorf("queue: %w", err)), answer.text)
		missing := answer.code == amqp.NotFound && answer.want == probes.ReasonNotFound
		assert.Equal(t, missing, amqpconn.IsNotFound(err), answer.text)
		assert.Equal(t, answer.code == amqp.ResourceLocked, amqpconn.IsLocked(err), answer.text)
		assert.Equal(t, answer.code != amqp.ConnectionForced, amqpconn.Rejected(err), answer.text)
		channels := strings.Contains(answer.text, "number of channels")
		assert.Equal(t, channels, amqpconn.IsChannelLimit(err), answer.text)
	}
	assert.Empty(t, amqpconn.Reason(errors.New("another")))
	assert.False(t, amqpconn.Rejected(errors.New("another")))
	assert.True(t, amqpconn.Rejected(amqp.ErrChannelMax))
	assert.False(t, amqpconn.Rejected(amqp.ErrClosed))
	assert.Equal(t, probes.ReasonTooManyConnections, amqpconn.Reason(amqp.ErrChannelMax))
}
