package celeryprobe

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/probes"
)

// fakeBroker has workers that give the test's answers at the test's times.
type fakeBroker struct {
	queues  []depth
	err     error         // error of the next call
	reached int           // how many workers get a ping
	replies []reply       // the answers of the workers
	after   time.Duration // time until the workers answer
	belated []reply       // late answers for lateAnswers
	calls   int
	method  string
	refused error // error of a new connection
	made    int   // number of new connections
}

func (b *fakeBroker) depths(context.Context, []string) ([]depth, error) { return b.queues, nil }

func (b *fakeBroker) call(ctx context.Context, method string, a *answers) error {
	b.calls++
	b.method = method
	a.sent, a.reached = true, b.reached
	if b.err != nil {
		return b.err
	}
	if err := sleep(ctx, min(b.after, answerTime)); err != nil {
		return err
	}
	for _, r := range b.replies {
		if a.enough() || b.after > answerTime {
			break
		}
		a.add(r)
	}
	a.complete = true
	return nil
}

func (b *fakeBroker) lateAnswers(_ context.Context, add func(reply)) error {
	for _, r := range b.belated {
		add(r)
	}
	b.belated = nil
	return nil
}

func (b *fakeBroker) connect(context.Context) error {
	b.made++
	return b.refused
}

func (b *fakeBroker) advise() []string { return nil }
func (b *fakeBroker) Close() error     { return nil }

func from(names ...string) []reply {
	var replies []reply
	for _, name := range names {
		replies = append(replies, reply{"ticket", worker{name: name}})
	}
	return replies
}

func consuming(name string, queues ...string) reply {
	return reply{"ticket", worker{name, queues}}
}

// rabbit returns the depth from a broker that reports consumers. redis is a broker that does not.
func rabbit(consumers int) []depth { return []depth{{queue: "celery", consumers: consumers}} }

func redisLike() []depth { return []depth{{queue: "celery", consumers: unknown}} }

func probing(t *testing.T, b *fakeBroker, opts ...Option) func() probes.Result {
	p := New("redis://", opts...)
	require.NoError(t, p.Validate())
	p.use(b)
	return func() probes.Result { return p.Check(t.Context()) }
}

func TestResults(t *testing.T) {
	tests := map[string]struct {
		broker  fakeBroker
		opts    []Option
		status  probes.Status
		reason  probes.Reason
		details []slog.Attr
	}{
		"all there": {
			broker: fakeBroker{queues: rabbit(2), reached: unknown, replies: from("a", "b")}, opts: []Option{PingWorkers(2)},
			status: probes.OK, details: []slog.Attr{slog.Int("consumers", 2), slog.Int("workers", 2)},
		},
		"no worker": {
			broker: fakeBroker{queues: rabbit(0), reached: 0}, opts: []Option{PingWorkers(1)},
			status: probes.Warning, reason: probes.ReasonNoWorkers, details: []slog.Attr{slog.Int("consumers", 0), slog.Int("workers", 0)},
		},
		"no worker on Redis": {
			broker: fakeBroker{queues: redisLike(), reached: 0}, opts: []Option{PingWorkers(1)},
			status: probes.Warning, reason: probes.ReasonNoWorkers, details: []slog.Attr{slog.Int("workers", 0)},
		},
		"no worker, with Strict": {
			broker: fakeBroker{queues: rabbit(0), reached: 0}, opts: []Option{PingWorkers(1), Strict()},
			status: probes.Error, reason: probes.ReasonNoWorkers, details: []slog.Attr{slog.Int("consumers", 0), slog.Int("workers", 0)},
		},
		"remote control off": {
			broker: fakeBroker{queues: rabbit(1), reached: 0}, opts: []Option{PingWorkers(1)},
			status: probes.Warning, reason: probes.ReasonMissingWorkers, details: []slog.Attr{slog.Int("consumers", 1), slog.Int("workers", 0)},
		},
		"busy or frozen": {
			broker: fakeBroker{queues: rabbit(1), reached: unknown}, opts: []Option{PingWorkers(1)},
			status: probes.Warning, reason: probes.ReasonMissingWorkers, details: []slog.Attr{slog.Int("consumers", 1), slog.Int("workers", 0)},
		},
		"busy or frozen on Redis": {
			broker: fakeBroker{queues: redisLike(), reached: 1}, opts: []Option{PingWorkers(1)},
			status: probes.Warning, reason: probes.ReasonMissingWorkers, details: []slog.Attr{slog.Int("workers", 0)},
		},
		"too few": {
			broker: fakeBroker{queues: rabbit(1), reached: unknown, replies: from("a")}, opts: []Option{PingWorkers(2)},
			status: probes.Warning, reason: probes.ReasonMissingWorkers, details: []slog.Attr{slog.Int("consumers", 1), slog.Int("workers", 1)},
		},
		"one expected is missing": {
			broker: fakeBroker{queues: rabbit(2), reached: unknown, replies: from("a", "x")}, opts: []Option{ExpectWorkers("a", "b")},
			status: probes.Warning, reason: probes.ReasonMissingWorkers,
			details: []slog.Attr{slog.Int("consumers", 2), slog.Int("workers", 2), slog.Int("missing_workers", 1)},
		},
		"all expected are there": {
			broker: fakeBroker{queues: rabbit(2), reached: unknown, replies: from("x", "b", "a")}, opts: []Option{ExpectWorkers("a", "b")},
			status:  probes.OK,
			details: []slog.Attr{slog.Int("consumers", 2), slog.Int("workers", 3), slog.Int("missing_workers", 0)},
		},
		"all expected are missing": {
			broker: fakeBroker{queues: rabbit(0), reached: 0}, opts: []Option{ExpectWorkers("a", "b")},
			status: probes.Warning, reason: probes.ReasonNoWorkers,
			details: []slog.Attr{slog.Int("consumers", 0), slog.Int("workers", 0), slog.Int("missing_workers", 2)},
		},
		"an expected one may have answered": {
			broker: fakeBroker{queues: rabbit(2), reached: unknown, replies: []reply{consuming("a"), {ticket: "x"}}}, opts: []Option{ExpectWorkers("a", "b")},
			status:  probes.OK,
			details: []slog.Attr{slog.Int("consumers", 2), slog.Int("workers", 2), slog.Int("missing_workers", 0)},
		},
		"two of one name": {
			broker: fakeBroker{queues: redisLike(), reached: 2, replies: from("a", "a")}, opts: []Option{PingWorkers(2)},
			status: probes.OK, details: []slog.Attr{slog.Int("workers", 2)},
		},
		"none is needed": {
			broker: fakeBroker{queues: rabbit(0), reached: 0}, opts: []Option{PingWorkers(1), AllowZeroWorkers()},
			status: probes.OK, details: []slog.Attr{slog.Int("consumers", 0), slog.Int("workers", 0)},
		},
		"none is needed on Redis": {
			broker: fakeBroker{queues: redisLike(), reached: 0}, opts: []Option{RequireConsumers(), AllowZeroWorkers()},
			status: probes.OK, details: []slog.Attr{slog.Int("workers", 0)},
		},
		"none is needed for this queue": {
			broker: fakeBroker{queues: redisLike(), reached: 1, replies: []reply{consuming("a", "x")}},
			opts:   []Option{RequireConsumers(), AllowZeroWorkers()},
			status: probes.OK, details: []slog.Attr{slog.Int("workers", 1)},
		},
		"a silent one is not none": {
			broker: fakeBroker{queues: redisLike(), reached: 1}, opts: []Option{PingWorkers(1), AllowZeroWorkers()},
			status: probes.Warning, reason: probes.ReasonMissingWorkers, details: []slog.Attr{slog.Int("workers", 0)},
		},
		"too few are not none": {
			broker: fakeBroker{queues: rabbit(1), reached: unknown, replies: from("a")}, opts: []Option{PingWorkers(2), AllowZeroWorkers()},
			status: probes.Warning, reason: probes.ReasonMissingWorkers, details: []slog.Attr{slog.Int("consumers", 1), slog.Int("workers", 1)},
		},
		"consumed": {
			broker: fakeBroker{queues: redisLike(), reached: 2, replies: []reply{consuming("a", "x"), consuming("b", "celery")}}, opts: []Option{RequireConsumers()},
			status: probes.OK, details: []slog.Attr{slog.Int("workers", 2)},
		},
		"alive, but consuming nothing": {
			broker: fakeBroker{queues: redisLike(), reached: 2, replies: []reply{consuming("a", "x"), consuming("b")}}, opts: []Option{RequireConsumers()},
			status: probes.Warning, reason: probes.ReasonNoConsumers, details: []slog.Attr{slog.Int("workers", 2)},
		},
		"a silent worker may consume it": {
			broker: fakeBroker{queues: redisLike(), reached: 2, replies: []reply{consuming("a", "x")}}, opts: []Option{RequireConsumers()},
			status: probes.Warning, reason: probes.ReasonMissingWorkers, details: []slog.Attr{slog.Int("workers", 1)},
		},
		"the broker knows of a consumer": {
			broker: fakeBroker{queues: rabbit(1), reached: unknown, replies: []reply{consuming("a", "x")}}, opts: []Option{RequireConsumers()},
			status: probes.Warning, reason: probes.ReasonMissingWorkers, details: []slog.Attr{slog.Int("consumers", 1), slog.Int("workers", 1)},
		},
		"the broker knows of none": {
			broker: fakeBroker{queues: rabbit(0), reached: unknown, replies: []reply{consuming("a", "x")}}, opts: []Option{RequireConsumers()},
			status: probes.Warning, reason: probes.ReasonNoConsumers, details: []slog.Attr{slog.Int("consumers", 0), slog.Int("workers", 1)},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				result := probing(t, &test.broker, test.opts...)()
				assert.Equal(t, test.status, result.Status, "%v", result.Err)
				assert.Equal(t, test.reason, result.Reason, "%v", result.Err)
				assert.Equal(t, append([]slog.Attr{slog.Int("pending_tasks", 0)}, test.details...), result.Details)
			})
		})
	}
}

func TestPendingThreshold(t *testing.T) {
	tests := []struct {
		warning, critical, pending int
		status                     probes.Status
	}{
		{5, 10, 5, probes.OK}, {5, 10, 6, probes.Warning}, {5, 10, 10, probes.Warning}, {5, 10, 11, probes.Error}, {5, 5, 6, probes.Error},
		{5, never, math.MaxInt, probes.Warning}, {never, 5, 5, probes.OK}, {never, 5, 6, probes.Error}, {never, never, math.MaxInt, probes.OK},
	}
	for _, test := range tests {
		b := &fakeBroker{queues: []depth{{queue: "celery", pending: test.pending, consumers: 1}}}
		result := probing(t, b, PendingThreshold(test.warning, test.critical))()
		assert.Equal(t, test.status, result.Status, "%+v", test)
		if test.status != probes.OK {
			assert.Equal(t, probes.ReasonBacklog, result.Reason)
		}
	}
}

func TestTasksNeedWorkers(t *testing.T) {
	for reason, queue := range map[probes.Reason]depth{
		probes.ReasonNoConsumers: {queue: "celery", pending: 1},
		probes.ReasonNotFound:    {queue: "celery", missing: true},
	} {
		result := probing(t, &fakeBroker{queues: []depth{queue}}, AllowZeroWorkers())()
		assert.Equal(t, reason, result.Reason)
	}
	for _, queue := range []depth{{queue: "celery", pending: 1, consumers: unknown}, {queue: "celery", pending: 1}} {
		result := probing(t, &fakeBroker{queues: []depth{queue}}, PingWorkers(1), AllowZeroWorkers())()
		assert.Equal(t, probes.ReasonNoWorkers, result.Reason)
	}
}

func TestNamesAreOnlyInTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		result := probing(t, &fakeBroker{queues: rabbit(1), reached: unknown, replies: from("a@host")}, ExpectWorkers("a@host", "b@host"))()
		assert.ErrorContains(t, result.Err, `"b@host"`)
		assert.NotContains(t, result.Err.Error(), "a@host")
		for _, d := range result.Details {
			assert.Equal(t, slog.KindInt64, d.Value.Kind())
		}
	})
}

func TestPingEvery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{queues: redisLike(), reached: 1, replies: from("a")}
		check := probing(t, b, PingWorkers(1))
		for range 60 { // for a minute
			assert.Equal(t, probes.OK, check().Status)
			time.Sleep(time.Second)
		}
		assert.Equal(t, 4, b.calls)
		assert.Equal(t, methodPing, b.method)
	})
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{queues: redisLike(), reached: 1, replies: []reply{consuming("a", "celery")}}
		check := probing(t, b, RequireConsumers(), PingEvery(30*time.Second))
		for range 60 {
			assert.Equal(t, probes.OK, check().Status)
			time.Sleep(time.Second)
		}
		assert.Equal(t, 2, b.calls)
		assert.Equal(t, methodActiveQueues, b.method)
	})
}

// The next check repeats a ping that reached no worker, so that it immediately notices a new worker.
func TestPingAgainWithoutWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{queues: rabbit(0), reached: 0}
		check := probing(t, b, PingWorkers(1))
		for range 5 {
			assert.Equal(t, probes.ReasonNoWorkers, check().Reason)
			time.Sleep(time.Second)
		}
		b.queues, b.reached, b.replies = rabbit(1), unknown, from("a")
		assert.Equal(t, probes.OK, check().Status)
		assert.Equal(t, 6, b.calls)
	})
}

func TestLateAnswersCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{queues: redisLike(), reached: 1, replies: from("busy"), after: time.Minute}
		check := probing(t, b, PingWorkers(1))
		start := time.Now()
		assert.Equal(t, probes.ReasonMissingWorkers, check().Reason)
		assert.Equal(t, answerTime, time.Since(start))
		time.Sleep(time.Second)
		assert.Equal(t, probes.ReasonMissingWorkers, check().Reason)
		b.belated = []reply{{"earlier", worker{name: "busy"}}, {"ticket", worker{name: "busy"}}}
		result := check()
		assert.Equal(t, probes.OK, result.Status)
		assert.Equal(t, slog.Int("workers", 1), result.Details[1])
		assert.Equal(t, 1, b.calls)
	})
}

// The first ping waits for as many answers as there are consumers, or workers that got it. The next ping
// waits for as many answers as the ping before.
func TestPingWaitsForExpectedAnswers(t *testing.T) {
	for name, queues := range map[string][]depth{"RabbitMQ": rabbit(3), "Redis": redisLike()} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &fakeBroker{queues: queues, reached: 3, replies: from("a", "b", "c")}
				check := probing(t, b, PingWorkers(1))
				for _, step := range []struct {
					replies []reply
					workers int
				}{{from("a", "b", "c"), 3}, {from("a", "b"), 2}, {from("a", "b", "c"), 2}} {
					b.replies = step.replies
					result := check()
					assert.Equal(t, slog.Int("workers", step.workers), result.Details[len(result.Details)-1])
					time.Sleep(15 * time.Second)
				}
			})
		})
	}
}

func TestLastAnswersServeUntilStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{queues: redisLike(), reached: 1, replies: from("a")}
		check := probing(t, b, PingWorkers(1))
		assert.Equal(t, probes.OK, check().Status)
		b.err = errors.New("the connection is lost")
		for range 2 {
			time.Sleep(15 * time.Second)
			assert.Equal(t, probes.Error, check().Status, "the broker's failure")
			assert.Equal(t, probes.OK, check().Status, "no new ping, so the last answers count")
		}
		time.Sleep(15 * time.Second)
		assert.Equal(t, probes.Error, check().Status)
		time.Sleep(time.Second)
		result := check()
		assert.Equal(t, probes.Warning, result.Status)
		assert.Equal(t, probes.ReasonStale, result.Reason)
		b.err = nil
		time.Sleep(15 * time.Second)
		assert.Equal(t, probes.OK, check().Status)
	})
}

func TestAnswersAreBounded(t *testing.T) {
	a := newAnswers(1, nil, []string{"celery"})
	for range 2 * maxWorkers {
		a.add(reply{newID(), worker{newID(), []string{newID(), "celery", newID()}}})
		a.add(reply{ticket: newID()})
	}
	stored := 0
	for _, tickets := range a.tickets {
		stored += len(tickets)
	}
	assert.LessOrEqual(t, stored, maxWorkers)
	for _, queues := range a.consumed {
		assert.Equal(t, a.queues, queues, "the others are forgotten")
	}
}

// If two checks have the same probe, one waits for the other, but not longer than its context.
func TestOneCheckAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New("redis://", PingWorkers(1))
		p.use(&fakeBroker{queues: redisLike(), reached: 1, after: time.Minute})
		go p.Check(t.Context())
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		result := p.Check(ctx)
		assert.Equal(t, probes.Error, result.Status)
		assert.ErrorIs(t, result.Err, context.DeadlineExceeded)
	})
}
