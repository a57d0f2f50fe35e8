package celeryprobe

import (
	"context"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/echo-probes/echohealth/internal/redisconn"
)

// redisBroker is Redis, as Celery's transport uses it: each queue is one list for each priority.
type redisBroker struct {
	names       redisNames
	queue       string // one of the checked queues
	exchange    string // Celery's control_exchange
	conn        *redisconn.Conn
	application *redis.Client // nil if New made the client
	id          string        // of the list of answers; each probe has one
	seen        int           // how many elements of the list were read; guarded by the probe's sem
	denied      [3]bool       // which questions of prepare the user may not ask; guarded by the probe's sem
}

func newRedisBroker(s *settings, options *redis.Options, application *redis.Client) *redisBroker {
	return &redisBroker{
		names:       s.redis,
		queue:       s.queues[0],
		exchange:    s.ping.exchange,
		conn:        redisconn.New(options),
		application: application,
		id:          newID(),
	}
}

// depths adds up the lists of each queue. Redis has no empty lists, so an unused queue, a missing queue and
// an empty queue look the same. Redis knows no consumers.
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

// connect makes a new connection, logs in and closes it. It sends a command of the check, so it needs no
// other permission.
func (b *redisBroker) connect(ctx context.Context) error {
	return b.conn.Fresh(ctx, func(ctx context.Context, client redis.UniversalClient) error {
		return client.LLen(ctx, b.names.lists(b.queue)[0]).Err()
	})
}

// lists returns the keys of a queue. Priority 0 has the plain name.
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

// advise warns of settings of the application's client that affect its own calls. The checks do not depend
// on them. The times were measured with go-redis 9.23.
func (b *redisBroker) advise() []string {
	if b.application == nil {
		return nil
	}
	var advice []string
	if opt := b.application.Options(); !opt.ContextTimeoutEnabled {
		advice = append(advice, "the Redis client of Celery's broker ignores its callers' deadlines "+
			"once it waits for an answer (measured: 5s instead of 500ms on a server that hangs): "+
			"set ContextTimeoutEnabled: true")
	}
	if dials := b.application.Options().DialerRetries; dials > 1 {
		advice = append(advice, fmt.Sprintf("the Redis client of Celery's broker dials %d times before it says "+
			"why it can't connect (measured: context deadline exceeded after 500ms instead of connection refused "+
			"after 0.2ms): set DialerRetries: 1", dials))
	}
	return advice
}

func (b *redisBroker) Close() error {
	b.conn.Close()
	return nil
}
