package celeryprobe

import (
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/assert"

	"github.com/echo-probes/echohealth/probes"
)

// refusal returns the state of a queue whose passive declaration RabbitMQ has refused with this code and
// text.
func refusal(queue string, code int, text string) depth {
	return refusedDepth(queue, &amqp.Error{Code: code, Reason: text, Server: true, Recover: true})
}

// RabbitMQ answers 404 for some queues that exist. Such a queue may have tasks, and new tasks for it may be
// lost.
func TestQueuesThatTheBrokerCannotUse(t *testing.T) {
	for text, want := range map[string]probes.Reason{
		"NOT_FOUND - home node 'rabbit@b' of durable queue 'mail' in vhost '/' is down or inaccessible": probes.ReasonUnreachable, // RabbitMQ 3.10
		"NOT_FOUND - queue 'mail' in vhost '/' process is stopped by supervisor":                        probes.ReasonUnreachable, // RabbitMQ 4.0
		"NOT_FOUND - failed to perform operation on queue 'mail' in vhost '/' due to timeout":           probes.ReasonTimeout,
	} {
		mail := refusal("mail", amqp.NotFound, text)
		alone := probing(t, &fakeBroker{queues: []depth{mail}})()
		assert.Equal(t, probes.Error, alone.Status, text)
		assert.Equal(t, want, alone.Reason, text)
		assert.Equal(t, []slog.Attr{slog.Int("unknown_queues", 1)}, alone.Details, text)
		assert.ErrorContains(t, alone.Err, text)

		missing := refusal("gone", amqp.NotFound, "NOT_FOUND - no queue 'gone' in vhost '/'")
		several := probing(t, &fakeBroker{queues: []depth{
			missing, {queue: "celery", pending: 4, consumers: 2}, mail, {queue: "idle", pending: 1},
		}}, PendingThreshold(1, 2))()
		assert.Equal(t, probes.Error, several.Status, text)
		assert.Equal(t, want, several.Reason, "it has priority over a backlog")
		assert.Equal(t, []slog.Attr{
			slog.Int("pending_tasks", 5), slog.Int("consumers", 2), slog.Int("unknown_queues", 1),
		}, several.Details, text)
	}
}

// A queue is not a problem only because the broker does not report its figures.
func TestLockedQueue(t *testing.T) {
	locked := refusal("mail", amqp.ResourceLocked, "RESOURCE_LOCKED - cannot obtain exclusive access to ...")
	result := probing(t, &fakeBroker{queues: []depth{locked}})()
	assert.Equal(t, probes.Result{
		Status: probes.OK, Details: []slog.Attr{slog.Int("unknown_queues", 1)},
	}, result)
}

// If the broker refuses a ping, the state of the workers is unknown. The next checks do not repeat the ping.
// A problem of the queues has precedence, because it explains more.
func TestRefusedPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		denied := probes.Fail(probes.ReasonPermissionDenied, errors.New("access to queue refused"))
		b := &fakeBroker{queues: rabbit(2), err: fmt.Errorf("%w: %w", errPingRefused, denied)}
		check := probing(t, b, PingWorkers(1), Strict())
		for range 14 {
			result := check()
			assert.Equal(t, probes.Warning, result.Status, "never an error, even if Strict")
			assert.Equal(t, probes.ReasonPermissionDenied, result.Reason)
			assert.Equal(t, []slog.Attr{slog.Int("pending_tasks", 0), slog.Int("consumers", 2)}, result.Details)
			assert.ErrorContains(t, result.Err, "access to queue refused")
			time.Sleep(time.Second)
		}
		assert.Equal(t, 1, b.calls)
		b.queues = rabbit(0)
		assert.Equal(t, probes.ReasonNoConsumers, check().Reason)
		time.Sleep(time.Second)
		b.queues, b.err, b.reached, b.replies = rabbit(2), nil, unknown, from("a")
		assert.Equal(t, probes.OK, check().Status)
		assert.Equal(t, 2, b.calls)
	})
}
