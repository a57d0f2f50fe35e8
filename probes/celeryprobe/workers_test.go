package celeryprobe_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/internal/reason"
	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/celeryprobe"
)

// worker starts a worker with its own name, in a pool that starts fast.
func worker(t testing.TB, url, name string, opts ...testserver.CeleryOption) *testserver.Celery {
	t.Helper()
	args := testserver.CeleryArgs("--hostname", name+"@test", "--pool", "threads", "--concurrency", "1")
	return testserver.NewCelery(t, url, append([]testserver.CeleryOption{args}, opts...)...)
}

var spaces atomic.Int32

// onBoth runs a test with its own vhost on RabbitMQ and its own database on Redis. consumers returns the
// expected detail consumers, which is n on RabbitMQ and absent on Redis. Both run in parallel, so only the
// calling test can count goroutines.
func onBoth(t *testing.T, test func(t *testing.T, url string, consumers func(n int) []slog.Attr)) {
	t.Run("RabbitMQ", func(t *testing.T) {
		url := vhost(t, testserver.SharedRabbitMQ(t)) // before Parallel, because a server's methods must be called one at a time
		t.Parallel()
		test(t, url, func(n int) []slog.Attr { return []slog.Attr{slog.Int("consumers", n)} })
	})
	t.Run("Redis", func(t *testing.T) {
		url := database(t)
		t.Parallel()
		test(t, url, func(int) []slog.Attr { return nil })
	})
}

func vhost(t testing.TB, rabbit *testserver.RabbitMQ) string {
	t.Helper()
	name := fmt.Sprintf("space%d", spaces.Add(1))
	rabbit.Ctl(t, "add_vhost", name)
	rabbit.Ctl(t, "set_permissions", "--vhost", name, "app", ".*", ".*", ".*")
	return rabbit.URL() + name
}

func database(t testing.TB) string {
	t.Helper()
	_, url := application(t, 4+int(spaces.Add(1))%12)
	return url
}

// found returns the details of a check of one queue without tasks.
func found(consumers []slog.Attr, workers ...slog.Attr) []slog.Attr {
	return append(append([]slog.Attr{slog.Int("pending_tasks", 0)}, consumers...), workers...)
}

func workers(n int) slog.Attr { return slog.Int("workers", n) }

func missing(n int) slog.Attr { return slog.Int("missing_workers", n) }

// eventually checks until the result is the expected one. A broker takes a moment to notice that a worker is
// gone, and the next ping is due after a second.
func eventually(t *testing.T, probe probes.Probe, status probes.Status, reason probes.Reason, details ...slog.Attr) probes.Result {
	t.Helper()
	var result probes.Result
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		result = probe.Check(t.Context())
		assert.Equal(c, status, result.Status, "%v", result.Err)
		assert.Equal(c, reason, result.Reason, "%v", result.Err)
		assert.Equal(c, details, result.Details, "%v", result.Err)
	}, 30*time.Second, 20*time.Millisecond)
	return result
}

func TestWorkersComeAndGo(t *testing.T) {
	noLeaks(t)
	onBoth(t, func(t *testing.T, url string, consumers func(int) []slog.Attr) {
		probe := newProbe(t, url, celeryprobe.PingWorkers(2), celeryprobe.ExpectWorkers("one@test", "two@test"), celeryprobe.PingEvery(time.Second))
		fastest := time.Hour
		for range 10 { // several attempts, because a slow machine delays some of them
			start := time.Now()
			requireWarning(t, probes.ReasonNoWorkers, check(t, probe), found(consumers(0), workers(0), missing(2))...)
			fastest = min(fastest, time.Since(start))
		}
		assert.Less(t, fastest, 500*time.Millisecond, "immediately, not at the end of the time for answers")

		one, two := worker(t, url, "one"), worker(t, url, "two")
		eventually(t, probe, probes.OK, "", found(consumers(2), workers(2), missing(0))...) // a worker may subscribe only after it is ready

		two.Kill(t)
		result := eventually(t, probe, probes.Warning, probes.ReasonMissingWorkers, found(consumers(1), workers(1), missing(1))...)
		assert.ErrorContains(t, result.Err, "two@test")

		two.Start(t)
		eventually(t, probe, probes.OK, "", found(consumers(2), workers(2), missing(0))...)

		two.Stop(t)
		eventually(t, probe, probes.Warning, probes.ReasonMissingWorkers, found(consumers(1), workers(1), missing(1))...)

		one.Freeze(t)
		result = eventually(t, probe, probes.Warning, probes.ReasonMissingWorkers, found(consumers(1), workers(0), missing(2))...)
		assert.ErrorContains(t, result.Err, "some are connected")
		one.Thaw(t)
		eventually(t, probe, probes.Warning, probes.ReasonMissingWorkers, found(consumers(1), workers(1), missing(1))...)

		one.Kill(t)
		eventually(t, probe, probes.Warning, probes.ReasonNoWorkers, found(consumers(0), workers(0), missing(2))...)

		one.Start(t)
		eventually(t, probe, probes.Warning, probes.ReasonMissingWorkers, found(consumers(1), workers(1), missing(1))...)
	})
}

// A worker in a solo pool does not answer while it works, and answers all pings after its task.
func TestBusySoloWorkerIsAWarning(t *testing.T) {
	onBoth(t, func(t *testing.T, url string, consumers func(int) []slog.Attr) {
		solo := testserver.NewCelery(t, url, testserver.CeleryArgs("--hostname", "solo@test", "--pool", "solo"))
		release := solo.Occupy(t)
		probe := newProbe(t, url, celeryprobe.PingWorkers(1), celeryprobe.PingEvery(time.Hour))
		requireWarning(t, probes.ReasonMissingWorkers, check(t, probe), found(consumers(1), workers(0))...)
		requireWarning(t, probes.ReasonMissingWorkers, check(t, probe), found(consumers(1), workers(0))...)
		release()
		eventually(t, probe, probes.OK, "", found(consumers(1), workers(1))...) // because of the late answer, as no other ping is due
	})
}

// No worker answers, but the reason is missing_workers if the broker knows a consumer.
func TestRemoteControlOff(t *testing.T) {
	url := vhost(t, testserver.SharedRabbitMQ(t))
	worker(t, url, "deaf", testserver.CelerySettings("worker_enable_remote_control = False"))
	probe := newProbe(t, url, celeryprobe.PingWorkers(1))
	result := eventually(t, probe, probes.Warning, probes.ReasonMissingWorkers, found([]slog.Attr{slog.Int("consumers", 1)}, workers(0))...)
	assert.ErrorContains(t, result.Err, "remote control may be off")
}

func TestPickle(t *testing.T) {
	onBoth(t, func(t *testing.T, url string, consumers func(int) []slog.Attr) {
		worker(t, url, "pickles", testserver.CelerySettings(`task_serializer = "pickle"`, `result_serializer = "pickle"`, `accept_content = ["json", "pickle"]`))
		eventually(t, newProbe(t, url, celeryprobe.PingWorkers(1)), probes.OK, "", found(consumers(1), workers(1))...)
	})
	onBoth(t, func(t *testing.T, url string, consumers func(int) []slog.Attr) {
		worker(t, url, "picky", testserver.CelerySettings(`task_serializer = "pickle"`, `accept_content = ["pickle"]`))
		eventually(t, newProbe(t, url, celeryprobe.PingWorkers(1)), probes.Warning, probes.ReasonMissingWorkers, found(consumers(1), workers(0))...)
	})
}

func TestRequireConsumers(t *testing.T) {
	onBoth(t, func(t *testing.T, url string, consumers func(int) []slog.Attr) {
		worker(t, url, "mailer", testserver.CeleryArgs("--queues", "mail"))
		probe := newProbe(t, url, celeryprobe.Queues("mail"), celeryprobe.RequireConsumers())
		eventually(t, probe, probes.OK, "", found(consumers(1), workers(1))...)
		want := probes.ReasonNoConsumers
		if consumers(1) != nil {
			want = probes.ReasonNotFound // RabbitMQ knows that there is no such queue
		}
		probe = newProbe(t, url, celeryprobe.Queues("mail", "reports"), celeryprobe.RequireConsumers())
		result := eventually(t, probe, probes.Warning, want, found(consumers(1), workers(1))...)
		assert.ErrorContains(t, result.Err, `"reports"`)
		assert.NotContains(t, result.Err.Error(), `"mail"`)
	})
}

// The workers have their own control_exchange, and no setting of the transport has its default.
func TestSettings(t *testing.T) {
	onBoth(t, func(t *testing.T, url string, consumers func(int) []slog.Attr) {
		worker(t, url, "mine", testserver.CelerySettings(`control_exchange = "mine"`))
		probe := newProbe(t, url, celeryprobe.PingWorkers(1), celeryprobe.ControlExchange("mine"))
		eventually(t, probe, probes.OK, "", found(consumers(1), workers(1))...)
		other := check(t, newProbe(t, url, celeryprobe.PingWorkers(1)))
		require.Equal(t, probes.Warning, other.Status)
		requireDetails(t, other, found(consumers(1), workers(0)))
	})
	t.Run("Redis transport", func(t *testing.T) {
		for name, fanout := range map[string]struct {
			python string
			option celeryprobe.Option
		}{
			"without prefix": {"False", celeryprobe.FanoutPrefix("")},
			"with another":   {`"/fan-{db}."`, celeryprobe.FanoutPrefix("/fan-{db}.")},
		} {
			t.Run(name, func(t *testing.T) {
				url := database(t)
				mine := worker(t, url, "mine", testserver.CelerySettings(fmt.Sprintf(`broker_transport_options = {
					"global_keyprefix": "app:", "sep": ":", "priority_steps": [0, 1, 2, 5], "fanout_prefix": %s}`, fanout.python)))
				probe := newProbe(t, url, celeryprobe.PingWorkers(1), celeryprobe.RequireConsumers(), celeryprobe.GlobalKeyPrefix("app:"),
					celeryprobe.Separator(":"), celeryprobe.PrioritySteps(0, 1, 2, 5), fanout.option)
				eventually(t, probe, probes.OK, "", found(nil, workers(1))...)
				mine.Stop(t)
				mine.Send(t, "celery", "tasks.add", 1, 2)
				result := check(t, newProbe(t, url, celeryprobe.GlobalKeyPrefix("app:"), celeryprobe.Separator(":"), celeryprobe.PrioritySteps(0, 1, 2, 5)))
				requireOK(t, result, slog.Int("pending_tasks", 1))
			})
		}
	})
}

func TestFrozenBrokerWithPings(t *testing.T) {
	noLeaks(t)
	rabbit, server := testserver.NewRabbitMQ(t), testserver.NewRedis(t)
	for name, broker := range map[string]struct {
		url          string
		freeze, thaw func(testing.TB)
		consumers    []slog.Attr
	}{
		"RabbitMQ": {rabbit.URL(), rabbit.Freeze, rabbit.Thaw, []slog.Attr{slog.Int("consumers", 1)}},
		"Redis":    {server.URL(), server.Freeze, server.Thaw, nil},
	} {
		t.Run(name, func(t *testing.T) {
			worker(t, broker.url, "one")
			probe := newProbe(t, broker.url, celeryprobe.PingWorkers(1), celeryprobe.PingEvery(time.Second))
			eventually(t, probe, probes.OK, "", found(broker.consumers, workers(1))...)
			broker.freeze(t)
			time.Sleep(time.Second) // wait until a ping is due
			for range 3 {
				requireError(t, probes.ReasonTimeout, within(t, probe, 200*time.Millisecond))
			}
			broker.thaw(t)
			eventually(t, probe, probes.OK, "", found(broker.consumers, workers(1))...)
		})
	}
}

// After a restart the broker does not have the exchanges of remote control until the workers connect again.
func TestRestartedBrokerWithPings(t *testing.T) {
	rabbit, server := testserver.NewRabbitMQ(t), testserver.NewRedis(t)
	for name, broker := range map[string]struct {
		url         string
		kill, start func(testing.TB)
		consumers   []slog.Attr
	}{
		"RabbitMQ": {rabbit.URL(), rabbit.Kill, rabbit.Start, []slog.Attr{slog.Int("consumers", 1)}},
		"Redis":    {server.URL(), server.Kill, server.Start, nil},
	} {
		t.Run(name, func(t *testing.T) {
			worker(t, broker.url, "one")
			probe := newProbe(t, broker.url, celeryprobe.PingWorkers(1), celeryprobe.PingEvery(time.Second))
			eventually(t, probe, probes.OK, "", found(broker.consumers, workers(1))...)
			broker.kill(t)
			requireError(t, probes.ReasonConnectionRefused, check(t, probe))
			broker.start(t)
			eventually(t, probe, probes.OK, "", found(broker.consumers, workers(1))...)
		})
	}
}

// A ping during a memory alarm must neither harm the workers nor make the check or Close hang.
func TestMemoryAlarm(t *testing.T) {
	noLeaks(t)
	rabbit := testserver.NewRabbitMQ(t)
	worker(t, rabbit.URL(), "one")
	options := []celeryprobe.Option{celeryprobe.PingWorkers(1), celeryprobe.PingEvery(time.Second)}
	probe, closing := newProbe(t, rabbit.URL(), options...), newProbe(t, rabbit.URL(), options...)
	one := found([]slog.Attr{slog.Int("consumers", 1)}, workers(1))
	eventually(t, probe, probes.OK, "", one...)
	rabbit.Ctl(t, "set_vm_memory_high_watermark", "absolute", "1")
	// The connection may learn of the alarm only after the first ping.
	eventually(t, closing, probes.Error, probes.ReasonBrokerBlocked, nil...)
	start := time.Now()
	require.NoError(t, closing.Close())
	assert.Less(t, time.Since(start), time.Minute, "amqp091-go's own Close waits for the end of the alarm")

	eventually(t, probe, probes.Error, probes.ReasonBrokerBlocked, nil...)
	for range 20 {
		requireError(t, probes.ReasonBrokerBlocked, check(t, probe))
	}
	rabbit.Ctl(t, "set_vm_memory_high_watermark", "absolute", "1GB")
	eventually(t, probe, probes.OK, "", one...)
}

// A worker that can't write its answer ends, so the probe must send no ping. During the test Redis frees up
// to 128 KB of its clients' buffers, so the test exceeds the limit by more than that.
func TestRedisOutOfMemory(t *testing.T) {
	server := testserver.NewRedis(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer client.Close()
	names := []string{"one", "two", "three"}
	for _, name := range names {
		worker(t, server.URL(), name)
	}
	require.NoError(t, client.Do(t.Context(), "ACL", "SETUSER", "blind", "on", ">a-secret", "~*", "&*", "+@all", "-info").Err())
	for _, test := range []struct {
		user, policy string
		left         int // free memory; negative: above the limit; 4 KB: too little only for an answer
		want         probes.Status
	}{
		{"", "noeviction", -512 << 10, probes.Error},
		{"", "noeviction", 4 << 10, probes.Error},
		{"", "volatile-lru", -512 << 10, probes.Error}, // Redis has nothing to evict
		{"", "volatile-lru", 32 << 10, probes.Warning},
		{"blind", "volatile-lru", -512 << 10, probes.Error},
		{"blind", "volatile-lru", 32 << 10, probes.Error},
	} {
		t.Run(fmt.Sprintf("%s with %d bytes left, user %q", test.policy, test.left, test.user), func(t *testing.T) {
			url := server.URL()
			if test.user != "" {
				url = as(t, test.user, url)
			}
			probe := newProbe(t, url, celeryprobe.PingWorkers(3), celeryprobe.PingEvery(time.Second))
			eventually(t, probe, probes.OK, "", found(nil, workers(3))...)
			time.Sleep(time.Second) // wait until a ping is due
			require.NoError(t, client.ConfigSet(t.Context(), "maxmemory-policy", test.policy).Err())
			fill(t, client, test.left)
			t.Cleanup(func() { client.ConfigSet(context.Background(), "maxmemory", "0") })
			for range 20 {
				result := check(t, probe)
				require.Equal(t, test.want, result.Status, "%v", result.Err)
				require.Equal(t, probes.ReasonOutOfResources, reason.Of(result.Err), "%v", result.Err)
			}
			require.NoError(t, client.ConfigSet(t.Context(), "maxmemory", "0").Err())
			eventually(t, probe, probes.OK, "", found(nil, workers(3))...)
		})
	}
}

func TestRedisReadOnly(t *testing.T) {
	master, replica := testserver.NewRedis(t), testserver.NewRedis(t)
	client := redis.NewClient(&redis.Options{Addr: replica.Addr()})
	defer client.Close()
	require.NoError(t, client.ReplicaOf(t.Context(), "127.0.0.1", fmt.Sprint(master.Port())).Err())
	probe := newProbe(t, replica.URL(), celeryprobe.PingWorkers(1))
	requireError(t, probes.ReasonReadOnly, check(t, probe))
}

// If a worker answers after the probe was closed, it must not create a list that is never removed.
func TestAnswerAfterClose(t *testing.T) {
	client, url := application(t, 4+int(spaces.Add(1))%12)
	solo := testserver.NewCelery(t, url, testserver.CeleryArgs("--hostname", "solo@test", "--pool", "solo"))
	release := solo.Occupy(t)
	probe := celeryprobe.New(url, celeryprobe.PingWorkers(1))
	requireWarning(t, probes.ReasonMissingWorkers, check(t, probe))
	require.NoError(t, probe.Close())
	key := client.Keys(t.Context(), "*.reply.celery.pidbox").Val()
	require.Len(t, key, 1)
	release()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.Equal(c, int64(2), client.LLen(t.Context(), key[0]).Val(), "the answer, and the element that keeps the list")
	}, 20*time.Second, 50*time.Millisecond)
	assert.Greater(t, client.TTL(t.Context(), key[0]).Val(), time.Hour)
}

// An open probe has one queue on RabbitMQ, and a closed probe leaves nothing there.
func TestNothingIsLeftOnRabbitMQ(t *testing.T) {
	rabbit := testserver.SharedRabbitMQ(t)
	url := vhost(t, rabbit)
	name := url[len(rabbit.URL()):]
	one := worker(t, url, "one")
	probe := celeryprobe.New(url, celeryprobe.PingWorkers(1), celeryprobe.PingEvery(time.Second))
	eventually(t, probe, probes.OK, "", found([]slog.Attr{slog.Int("consumers", 1)}, workers(1))...)
	list := func() string { return rabbit.Ctl(t, "list_queues", "--vhost", name, "name") }
	assert.Contains(t, list(), "reply.celery.pidbox")
	require.NoError(t, probe.Close())
	assert.EventuallyWithT(t, func(c *assert.CollectT) { assert.NotContains(c, list(), "reply.celery.pidbox") }, time.Minute, 100*time.Millisecond)
	one.Stop(t)
}

// fill sets Redis's memory limit so that left bytes are free, or to below the used memory if left is
// negative.
func fill(t *testing.T, client *redis.Client, left int) {
	t.Helper()
	var used int
	_, info, found := strings.Cut(client.Info(t.Context(), "memory").Val(), "\nused_memory:")
	require.True(t, found)
	_, err := fmt.Sscan(info, &used)
	require.NoError(t, err)
	require.NoError(t, client.ConfigSet(t.Context(), "maxmemory", fmt.Sprint(used+left)).Err())
}
