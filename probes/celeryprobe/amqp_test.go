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

// channel opens a channel on RabbitMQ as an application does.
func channel(t testing.TB, rabbit *testserver.RabbitMQ) *amqp.Channel {
	t.Helper()
	conn, err := amqp.Dial(rabbit.URL())
	require.NoError(t, err)
	t.Cleanup(func() { conn.CloseDeadline(time.Now().Add(time.Second)) })
	ch, err := conn.Channel()
	require.NoError(t, err)
	return ch
}

// declare makes a queue as Celery does, puts tasks into it, and removes the queue at the end of the test.
func declare(t testing.TB, ch *amqp.Channel, name string, tasks int) {
	t.Helper()
	_, err := ch.QueueDeclare(name, true, false, false, false, nil)
	require.NoError(t, err)
	t.Cleanup(func() { ch.QueueDelete(name, false, false, false) })
	send(t, ch, name, tasks)
}

func send(t testing.TB, ch *amqp.Channel, queue string, tasks int) {
	t.Helper()
	require.NoError(t, ch.Confirm(false))
	for range tasks {
		confirmed, err := ch.PublishWithDeferredConfirm("", queue, true, false, amqp.Publishing{Body: []byte("task")})
		require.NoError(t, err)
		require.True(t, confirmed.Wait())
	}
}

// consume adds n consumers to the queue.
func consume(t testing.TB, ch *amqp.Channel, queue string, n int) {
	t.Helper()
	require.NoError(t, ch.Qos(1, 0, true))
	for range n {
		_, err := ch.Consume(queue, "", false, false, false, false, nil)
		require.NoError(t, err)
	}
}

func queues(pending, consumers int) []slog.Attr {
	return []slog.Attr{slog.Int("pending_tasks", pending), slog.Int("consumers", consumers)}
}

func TestAMQPQueues(t *testing.T) {
	noLeaks(t)
	rabbit := testserver.SharedRabbitMQ(t)
	ch := channel(t, rabbit)
	declare(t, ch, "celery", 0)
	declare(t, ch, "mail", 3)
	declare(t, ch, "reports", 4)
	consume(t, channel(t, rabbit), "celery", 2)

	requireOK(t, check(t, newProbe(t, rabbit.URL())), queues(0, 2)...)

	probe := newProbe(t, rabbit.URL(), celeryprobe.Queues("celery", "mail", "reports"))
	result := check(t, probe)
	requireWarning(t, probes.ReasonNoConsumers, result, queues(7, 2)...)
	assert.EqualError(t, result.Err, "queue \"mail\" has no consumer\nqueue \"reports\" has no consumer")

	probe = newProbe(t, rabbit.URL(), celeryprobe.Queues("celery", "missing", "mail", "gone"))
	for range 3 { // a refusal must not affect the next check
		result = check(t, probe)
		requireWarning(t, probes.ReasonNotFound, result, queues(3, 2)...)
		assert.ErrorContains(t, result.Err, `queue "missing" does not exist`)
		assert.ErrorContains(t, result.Err, `queue "gone" does not exist`)
		assert.ErrorContains(t, result.Err, `queue "mail" has no consumer`)
	}
	requireError(t, probes.ReasonNotFound, check(t, newProbe(t, rabbit.URL(), celeryprobe.Queues("missing"), celeryprobe.Strict())))
	requireError(t, probes.ReasonNoConsumers, check(t, newProbe(t, rabbit.URL(), celeryprobe.Queues("mail"), celeryprobe.Strict())))
}

func TestAMQPBacklog(t *testing.T) {
	rabbit := testserver.SharedRabbitMQ(t)
	ch := channel(t, rabbit)
	declare(t, ch, "backlog", 0)
	consume(t, channel(t, rabbit), "backlog", 1)
	probe := newProbe(t, rabbit.URL(), celeryprobe.Queues("backlog"), celeryprobe.PendingThreshold(2, 4))
	strict := newProbe(t, rabbit.URL(), celeryprobe.Queues("backlog"), celeryprobe.PendingThreshold(2, 4), celeryprobe.Strict())
	steps := []struct {
		pending int
		status  probes.Status
	}{{2, probes.OK}, {3, probes.Warning}, {4, probes.Warning}, {5, probes.Error}}
	sent := -1 // one task is with the consumer
	for _, step := range steps {
		send(t, ch, "backlog", step.pending-sent)
		sent = step.pending
		for _, p := range []*celeryprobe.Probe{probe, strict} {
			result := check(t, p)
			assert.Equal(t, step.status, result.Status, "%d tasks", step.pending)
			requireDetails(t, result, queues(step.pending, 1))
			if step.status != probes.OK {
				assert.Equal(t, probes.ReasonBacklog, result.Reason)
			}
		}
	}
}

func TestAMQPOneConnection(t *testing.T) {
	noLeaks(t)
	rabbit := testserver.SharedRabbitMQ(t)
	proxy := testserver.NewProxy(t, rabbit.Addr())
	probe := newProbe(t, through(t, proxy, rabbit.URL()), celeryprobe.Queues("missing", "too"))
	for range 50 {
		requireWarning(t, probes.ReasonNotFound, check(t, probe))
	}
	assert.Equal(t, 1, proxy.Accepted())
	assert.Empty(t, rabbit.Ctl(t, "list_queues"), "nothing was declared")
}

func TestAMQPLogin(t *testing.T) {
	rabbit := testserver.SharedRabbitMQ(t)
	rabbit.Ctl(t, "add_vhost", "closed")
	for name, test := range map[string]struct {
		url  string
		want probes.Reason
	}{
		"wrong password":      {"amqp://app:wrong-secret@" + rabbit.Addr() + "/", probes.ReasonAuthenticationFailed},
		"unknown vhost":       {rabbit.URL() + "missing", probes.ReasonNotFound},
		"vhost not permitted": {rabbit.URL() + "closed", probes.ReasonPermissionDenied},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireError(t, test.want, check(t, newProbe(t, test.url)))
		})
	}
}

func TestAMQPBrokerComesAndGoes(t *testing.T) {
	noLeaks(t)
	rabbit := testserver.NewRabbitMQ(t)
	ch := channel(t, rabbit)
	_, err := ch.QueueDeclare("celery", true, false, false, false, nil)
	require.NoError(t, err)
	send(t, ch, "celery", 0)
	probe := newProbe(t, rabbit.URL())
	requireWarning(t, probes.ReasonNoConsumers, check(t, probe))

	rabbit.Freeze(t)
	requireError(t, probes.ReasonTimeout, within(t, probe, 200*time.Millisecond))
	requireError(t, probes.ReasonTimeout, within(t, probe, 200*time.Millisecond))
	rabbit.Thaw(t)
	requireWarning(t, probes.ReasonNoConsumers, check(t, probe))

	rabbit.Kill(t)
	requireError(t, probes.ReasonConnectionRefused, check(t, probe))
	rabbit.Start(t)
	// A broker that is killed soon after a declaration may have lost even a durable queue.
	_, err = channel(t, rabbit).QueueDeclare("celery", true, false, false, false, nil)
	require.NoError(t, err)
	requireWarning(t, probes.ReasonNoConsumers, check(t, probe))

	require.NoError(t, probe.Close())
	requireError(t, probes.ReasonClientClosed, check(t, probe))
}

func BenchmarkAMQP(b *testing.B) {
	rabbit := testserver.SharedRabbitMQ(b)
	ch := channel(b, rabbit)
	declare(b, ch, "celery", 0)
	consume(b, channel(b, rabbit), "celery", 1)
	benchmark(b, newProbe(b, rabbit.URL()))
}

func benchmark(b *testing.B, probe probes.Probe) {
	b.ReportAllocs()
	for b.Loop() {
		if result := probe.Check(b.Context()); result.Status != probes.OK {
			b.Fatal(result.Err)
		}
	}
}
