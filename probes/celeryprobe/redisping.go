package celeryprobe

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// replyExpiry is how long the list of answers outlives the last ping. A worker that is busy with one task in a solo pool
	// answers when that has ended, and if the list were gone by then would make one that nothing removes.
	replyExpiry = 24 * time.Hour

	// headroom is how much memory Redis has to have left for the answers of the workers. One that can't write its answer
	// because Redis is full ends with an unrecoverable error.
	headroom = 64 << 10
)

func (b *redisBroker) call(ctx context.Context, method string, a *answers) error {
	return b.conn.Once(ctx, func(ctx context.Context, client redis.UniversalClient) error {
		// Without an exchange the answers go straight to the list of this name.
		reached, err := b.publish(ctx, client.(*redis.Client), newCommand(method, replyTo{RoutingKey: b.replyQueue()}))
		if err != nil {
			return err
		}
		b.seen = 0
		a.sent, a.reached = true, reached
		err = b.collect(ctx, client, a)
		a.whole = err == nil
		return err
	})
}

// publish starts a new list of answers and sends the command, in a transaction: where Redis has no headroom, takes no writes,
// or does not permit all of it, it does nothing of it. Celery's own bindings are not touched. It returns how many workers
// got the command.
func (b *redisBroker) publish(ctx context.Context, client *redis.Client, c command) (int, error) {
	conn := client.Conn()
	defer conn.Close()
	// By itself: if it were refused, Redis would carry out one by one what came with it.
	if err := conn.Do(ctx, "multi").Err(); err != nil {
		return 0, err
	}
	commands, err := conn.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Do(ctx, "del", b.replyKey())
		pipe.Do(ctx, "rpush", b.replyKey(), bottom)
		pipe.Do(ctx, "setnx", b.replyKey(), ballast) // which changes nothing, as there is a list
		pipe.Do(ctx, "pexpire", b.replyKey(), replyExpiry.Milliseconds())
		pipe.Do(ctx, "publish", b.names.channel(b.exchange, client.Options().DB), seal(c, b.exchange+".pidbox"))
		pipe.Do(ctx, "exec")
		return nil
	})
	if err != nil {
		return 0, err // the first refusal, which is the reason for the others
	}
	results, err := commands[len(commands)-1].(*redis.Cmd).Int64Slice()
	if err != nil || len(results) == 0 {
		return 0, fmt.Errorf("the transaction's results are not to be read: %w", err)
	}
	return max(0, int(results[len(results)-1])), nil
}

// bottom is the list's last element, without which Redis would remove the list, and its expiry, with the last answer.
const bottom = ""

var ballast = strings.Repeat(" ", headroom)

// collect looks for answers, soon and then ever more rarely, until there are enough or the time is over.
func (b *redisBroker) collect(ctx context.Context, client redis.Cmdable, a *answers) error {
	const longest = 32 * time.Millisecond
	over := time.Now().Add(answerTime)
	for pause := 2 * time.Millisecond; !a.enough() && time.Now().Before(over); pause = min(2*pause, longest) {
		if err := sleep(ctx, pause); err != nil {
			return err
		}
		if err := b.read(ctx, client, a.add); err != nil {
			return err
		}
	}
	return nil
}

func (b *redisBroker) late(ctx context.Context, take func(reply)) error {
	return b.conn.Do(ctx, func(ctx context.Context, client redis.UniversalClient) error {
		return b.read(ctx, client, take)
	})
}

// read takes the answers that it has not taken yet. New ones are put before the old.
func (b *redisBroker) read(ctx context.Context, client redis.Cmdable, take func(reply)) error {
	list, err := client.LRange(ctx, b.replyKey(), 0, maxWorkers).Result()
	if err != nil {
		return err
	}
	for _, sealed := range list[:max(0, len(list)-b.seen)] {
		if r, ok := unseal(sealed); ok {
			take(r)
		}
	}
	b.seen = max(b.seen, len(list))
	return nil
}

func (b *redisBroker) replyQueue() string { return b.id + ".reply." + b.exchange + ".pidbox" }

func (b *redisBroker) replyKey() string { return b.names.prefix + b.replyQueue() }

// channel is where the workers of a database listen: channels belong to no database, so that the number is in the name.
func (n *redisNames) channel(exchange string, db int) string {
	return n.prefix + strings.ReplaceAll(n.fanout, "{db}", strconv.Itoa(db)) + exchange + ".pidbox"
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
