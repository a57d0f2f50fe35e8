package celeryprobe

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/internal/testserver"
)

// startWorkers starts n workers, named w0@test and so on.
func startWorkers(t testing.TB, url string, n int) {
	t.Helper()
	for i := range n {
		name := fmt.Sprintf("w%d@test", i)
		testserver.NewCelery(t, url, testserver.CeleryArgs("--hostname", name, "--pool", "threads", "--concurrency", "1"))
	}
}

// pingOnce sends a ping, even if none is due. It returns when want workers have answered. It sends another
// ping if they have not answered in time, because a busy machine may delay them.
func pingOnce(t testing.TB, p *Probe, want int) *answers {
	t.Helper()
	for start := time.Now(); ; {
		a := newAnswers(want, nil, nil)
		require.NoError(t, p.broker.call(context.Background(), methodPing, a))
		if a.count() >= want {
			return a
		}
		require.Less(t, time.Since(start), 20*time.Second, "%d of %d workers answer", a.count(), want)
	}
}

func pinging(t testing.TB, url string) *Probe {
	t.Helper()
	p := New(url, PingWorkers(1))
	require.NoError(t, p.Validate())
	t.Cleanup(func() { assert.NoError(t, p.Close()) })
	return p
}

// Other clients leave unread answers behind, see https://github.com/celery/celery/issues/6089. The probe must
// not.
func TestManyPingsLeaveNothingOnRedis(t *testing.T) {
	server := testserver.NewRedis(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer client.Close()
	startWorkers(t, server.URL(), 3)
	before := client.Keys(t.Context(), "*").Val()
	bindings := client.SUnion(t.Context(), "_kombu.binding.celery.pidbox", "_kombu.binding.reply.celery.pidbox").Val()
	p := pinging(t, server.URL())
	for range 300 {
		pingOnce(t, p, 1)
	}
	assert.Equal(t, 3, pingOnce(t, p, 3).count(), "all have answered, and no worker has failed")
	var after []string
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		after = slices.DeleteFunc(client.Keys(t.Context(), "*").Val(), func(key string) bool { return slices.Contains(before, key) })
		assert.Len(c, after, 1)
	}, 20*time.Second, 20*time.Millisecond)
	assert.Greater(t, client.TTL(t.Context(), after[0]).Val(), 23*time.Hour)
	assert.ElementsMatch(t, bindings, client.SUnion(t.Context(), "_kombu.binding.celery.pidbox", "_kombu.binding.reply.celery.pidbox").Val())
}

func TestManyPingsLeaveNothingOnRabbitMQ(t *testing.T) {
	rabbit := testserver.NewRabbitMQ(t)
	startWorkers(t, rabbit.URL(), 3)
	queues := func() []string { return strings.Fields(rabbit.Ctl(t, "list_queues", "name")) }
	before := queues()
	p := pinging(t, rabbit.URL())
	for range 300 {
		pingOnce(t, p, 1)
	}
	assert.Len(t, queues(), len(before)+1)
	assert.Equal(t, 3, pingOnce(t, p, 3).count(), "and no worker has failed")
	require.NoError(t, p.Close())
	assert.EventuallyWithT(t, func(c *assert.CollectT) { assert.ElementsMatch(c, before, queues()) }, 2*time.Minute, 100*time.Millisecond)
}

func BenchmarkPing(b *testing.B) {
	for _, broker := range []struct {
		name string
		url  func(testing.TB) string
	}{
		{"RabbitMQ", func(t testing.TB) string { return testserver.NewRabbitMQ(t).URL() }},
		{"Redis", func(t testing.TB) string { return testserver.NewRedis(t).URL() }},
	} {
		for _, workers := range []int{1, 3} {
			b.Run(fmt.Sprintf("%s/workers=%d", broker.name, workers), func(b *testing.B) {
				url := broker.url(b)
				startWorkers(b, url, workers)
				p := pinging(b, url)
				var took []time.Duration
				for b.Loop() {
					start := time.Now()
					pingOnce(b, p, workers)
					took = append(took, time.Since(start))
				}
				slices.Sort(took)
				b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
				b.ReportMetric(float64(took[len(took)*95/100].Microseconds())/1000, "p95-ms")
			})
		}
	}
}
