package celeryprobe

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// redisBroker is Redis as a broker of Celery. Celery keeps each queue as one list for each priority.
type redisBroker struct {
	servers   []redisServer
	answering atomic.Int32 // index of the server that answered last

	names    redisNames
	queue    string   // one of the checked queues
	exchange string   // Celery's control_exchange
	advice   []string // lines of Advise
	id       string   // beginning of the name of the list of answers; unique
	seen     int      // how many elements of the list of answers were read; guarded by the probe's turn
	denied   [3]bool  // which queries of prepare the user may not send; guarded by the probe's turn
}

// redisCall is a function that uses a client.
type redisCall = func(context.Context, redis.UniversalClient) error

func newRedisBroker(s *settings, servers []redisServer, advice []string) *redisBroker {
	return &redisBroker{
		servers:  servers,
		names:    s.redis,
		queue:    s.queues[0],
		exchange: s.ping.exchange,
		advice:   advice,
		id:       newID(),
	}
}

// depths adds up the lengths of the lists of each queue. Redis has no empty lists, so an unused queue, a
// missing queue and an empty queue look the same. Redis does not know the consumers.
func (b *redisBroker) depths(ctx context.Context, names []string) ([]depth, error) {
	depths := make([]depth, len(names))
	err := b.do(ctx, func(ctx context.Context, client redis.UniversalClient) error {
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

// connect makes a new connection, logs in and closes it. It sends a command that checks send too, so it needs
// no further permission.
func (b *redisBroker) connect(ctx context.Context) error {
	return b.current().conn.Fresh(ctx, func(ctx context.Context, client redis.UniversalClient) error {
		return client.LLen(ctx, b.names.lists(b.queue)[0]).Err()
	})
}

// lists returns the keys of a queue's lists. The list of priority 0 has the plain name of the queue.
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

func (b *redisBroker) advise() []string { return b.advice }

// clientAdvice warns of settings of the application's client that affect its own calls. The checks do not
// depend on them. The times were measured with go-redis 9.23.
func clientAdvice(opt *redis.Options) []string {
	var advice []string
	if !opt.ContextTimeoutEnabled {
		advice = append(advice, "the Redis client of Celery's broker ignores its callers' deadlines "+
			"once it waits for an answer (measured: 5s instead of 500ms on a server that hangs): "+
			"set ContextTimeoutEnabled: true")
	}
	if dials := opt.DialerRetries; dials > 1 {
		advice = append(advice, fmt.Sprintf("the Redis client of Celery's broker dials %d times before it says "+
			"why it can't connect (measured: context deadline exceeded after 500ms instead of connection refused "+
			"after 0.2ms): set DialerRetries: 1", dials))
	}
	return advice
}

func (b *redisBroker) Close() error {
	for _, server := range b.servers {
		server.close()
	}
	return nil
}
