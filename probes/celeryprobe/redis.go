package celeryprobe

import (
	"context"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/echo-probes/echohealth/internal/redisconn"
)

// redisBroker is Redis, as Celery's transport uses it: each queue is a list, or one for each priority.
type redisBroker struct {
	names       redisNames
	queue       string // one of those that are checked
	exchange    string // Celery's control_exchange
	conn        *redisconn.Conn
	application *redis.Client // nil where New made the client
	id          string        // of the list of answers, of which there is one for each probe
	seen        int           // how many of the list's elements were read; used by one check at a time, as the probe sees to
}

func newRedisBroker(s *settings, options *redis.Options, application *redis.Client) *redisBroker {
	return &redisBroker{
		names:       s.redis,
		queue:       s.queues[0],
		exchange:    s.workers.exchange,
		conn:        redisconn.New(options),
		application: application,
		id:          newID(),
	}
}

// depths adds up the lists of each queue. Redis has no empty lists: a queue that nobody uses, one that does not exist and
// one that is empty look the same. It knows of no consumers either.
func (b *redisBroker) depths(ctx context.Context, names []string) ([]depth, error) {
	depths := make([]depth, len(names))
	err := b.conn.Do(ctx, func(ctx context.Context, client redis.UniversalClient) error {
		lengths, err := client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for _, name := range names {
				for _, key := range b.names.lists(name) {
					pipe.LLen(ctx, key)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		perQueue := len(b.names.steps)
		for i, name := range names {
			depths[i] = depth{queue: name, consumers: unknown}
			for _, length := range lengths[i*perQueue : (i+1)*perQueue] {
				depths[i].pending += int(length.(*redis.IntCmd).Val())
			}
		}
		return nil
	})
	return depths, err
}

// connect makes a new connection, logs in and closes it. It sends what the check sends, and so needs no other permission.
func (b *redisBroker) connect(ctx context.Context) error {
	return b.conn.Fresh(ctx, func(ctx context.Context, client redis.UniversalClient) error {
		return client.LLen(ctx, b.names.lists(b.queue)[0]).Err()
	})
}

// lists returns the keys that make up a queue. Priority 0 is the plain name.
func (n *redisNames) lists(queue string) []string {
	keys := make([]string, len(n.steps))
	for i, step := range n.steps {
		keys[i] = n.prefix + queue
		if step > 0 {
			keys[i] += n.separator + strconv.Itoa(step)
		}
	}
	return keys
}

// advise names the settings of the application's client that the checks don't depend on, but its own calls do. The times
// were measured with go-redis 9.23.
func (b *redisBroker) advise() []string {
	if b.application == nil {
		return nil
	}
	var advice []string
	if opt := b.application.Options(); !opt.ContextTimeoutEnabled {
		advice = append(advice, "the Redis client of Celery's broker ignores its callers' deadlines once it waits for an answer "+
			"(measured: 5s instead of 500ms on a server that hangs): set ContextTimeoutEnabled: true")
	}
	if dials := b.application.Options().DialerRetries; dials > 1 {
		advice = append(advice, fmt.Sprintf("the Redis client of Celery's broker dials %d times before it says why it can't connect "+
			"(measured: context deadline exceeded after 500ms instead of connection refused after 0.2ms): set DialerRetries: 1", dials))
	}
	return advice
}

func (b *redisBroker) Close() error {
	b.conn.Close()
	return nil
}
