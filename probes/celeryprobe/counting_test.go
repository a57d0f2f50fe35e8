package celeryprobe_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/celeryprobe"
)

// With Redis both workers answer, so both count. RabbitMQ passes a ping to only one of them. The error's text
// then explains why a worker is missing. See https://github.com/celery/celery/issues/2938.
func TestWorkersOfOneName(t *testing.T) {
	onBoth(t, func(t *testing.T, url string, consumers func(int) []slog.Attr) {
		worker(t, url, "one")
		worker(t, url, "one")
		answer := 1
		if consumers(0) == nil {
			answer = 2
			eventually(t, newProbe(t, url, celeryprobe.PingWorkers(2)), probes.OK, "", found(nil, workers(2))...)
		}
		probe := newProbe(t, url, celeryprobe.PingWorkers(answer+1), celeryprobe.PingEvery(time.Second))
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			result := probe.Check(t.Context())
			assert.Equal(c, probes.Warning, result.Status, "%v", result.Err)
			assert.Equal(c, probes.ReasonMissingWorkers, result.Reason, "%v", result.Err)
			assert.Equal(c, found(consumers(2), workers(answer)), result.Details)
			assert.ErrorContains(c, result.Err, `several workers share each of the names ["one@test"]`)
		}, 30*time.Second, 20*time.Millisecond)
	})
}

// A client that is subscribed to all channels does not count as a worker.
func TestSubscribersToAllChannels(t *testing.T) {
	server := testserver.NewRedis(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer client.Close()
	for _, pattern := range []string{"*", "/0.*", "*.pidbox"} {
		listener := client.PSubscribe(t.Context(), pattern)
		defer listener.Close()
		_, err := listener.Receive(t.Context()) // the confirmation of the subscription
		require.NoError(t, err)
	}
	probe := newProbe(t, server.URL(), celeryprobe.PingWorkers(1), celeryprobe.PingEvery(time.Second))
	requireWarning(t, probes.ReasonNoWorkers, check(t, probe), found(nil, workers(0))...)

	one := worker(t, server.URL(), "one")
	start := time.Now()
	eventually(t, probe, probes.OK, "", found(nil, workers(1))...)
	t.Logf("a ping took %s", time.Since(start))
	one.Kill(t)
	eventually(t, probe, probes.Warning, probes.ReasonNoWorkers, found(nil, workers(0))...)
}

// The test has no worker, as with an autoscaler that starts workers only for tasks.
func TestAllowZeroWorkers(t *testing.T) {
	queue := celeryprobe.Queues("zero")
	options := [][]celeryprobe.Option{
		{queue, celeryprobe.AllowZeroWorkers()}, {queue, celeryprobe.AllowZeroWorkers(), celeryprobe.PingWorkers(1)},
	}
	t.Run("RabbitMQ", func(t *testing.T) {
		rabbit := testserver.SharedRabbitMQ(t)
		ch := channel(t, rabbit)
		declare(t, ch, "zero", 0)
		requireWarning(t, probes.ReasonNoConsumers, check(t, newProbe(t, rabbit.URL(), queue)))
		for _, opts := range options {
			requireOK(t, check(t, newProbe(t, rabbit.URL(), opts...)))
		}
		declare(t, ch, "zero", 1)
		requireWarning(t, probes.ReasonNoConsumers, check(t, newProbe(t, rabbit.URL(), options[0]...)))
		requireWarning(t, probes.ReasonNoWorkers, check(t, newProbe(t, rabbit.URL(), options[1]...)))
	})
	t.Run("Redis", func(t *testing.T) {
		client, url := application(t, 3)
		requireWarning(t, probes.ReasonNoWorkers, check(t, newProbe(t, url, queue, celeryprobe.PingWorkers(1))))
		for _, opts := range options {
			requireOK(t, check(t, newProbe(t, url, opts...)))
		}
		push(t, client, "zero", 1)
		requireOK(t, check(t, newProbe(t, url, options[0]...)), pending(1))
		requireWarning(t, probes.ReasonNoWorkers, check(t, newProbe(t, url, options[1]...)), pending(1), workers(0))
	})
}
