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
	// replyExpiry is the lifetime of the list of answers after the last ping. A worker in a solo pool answers
	// only after its task. If the list were gone by then, the worker would create one that nothing removes.
	replyExpiry = 24 * time.Hour

	// headroom is how much memory Redis must have left for the answers. A worker that cannot write its answer
	// because Redis is full ends with an unrecoverable error.
	headroom = 64 << 10
)

func (b *redisBroker) call(ctx context.Context, method string, a *answers) error {
	return b.conn.Once(ctx, func(ctx context.Context, client redis.UniversalClient) error {
		// Without an exchange the answers go directly to the list of this name.
		command := newCommand(method, replyTo{RoutingKey: b.replyQueue()})
		reached, err := b.publish(ctx, client.(*redis.Client), command)
		if err != nil {
			return err
		}
		b.seen = 0
		a.sent, a.reached = true, reached
		err = b.collect(ctx, client, a)
		a.complete = err == nil
		return err
	})
}

// publish starts a new list of answers and sends the command, in a transaction. The transaction does nothing
// if Redis has no headroom, takes no writes, or refuses one of the commands. It does not touch Celery's own
// bindings. publish returns how many workers received the command.
func (b *redisBroker) publish(ctx context.Context, client *redis.Client, c command) (int, error) {
	conn := client.Conn()
	defer conn.Close()
	// Sent alone: if it were refused in a pipeline, Redis would execute the other commands one by one.
	if err := conn.Do(ctx, "multi").Err(); err != nil {
		return 0, err
	}
	commands, err := conn.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Do(ctx, "del", b.replyKey())
		pipe.Do(ctx, "rpush", b.replyKey(), placeholder)
		pipe.Do(ctx, "setnx", b.replyKey(), headroomValue) // changes nothing, because the list exists
		pipe.Do(ctx, "pexpire", b.replyKey(), replyExpiry.Milliseconds())
		pipe.Do(ctx, "publish", b.names.channel(b.exchange, client.Options().DB), encode(c, b.exchange+".pidbox"))
		pipe.Do(ctx, "exec")
		return nil
	})
	if err != nil {
		return 0, err // the first refusal causes the others
	}
	results, err := commands[len(commands)-1].(*redis.Cmd).Int64Slice()
	if err != nil || len(results) == 0 {
		return 0, fmt.Errorf("the transaction's results can't be read: %w", err)
	}
	return max(0, int(results[len(results)-1])), nil
}

// placeholder is the list's last element. Without it Redis would remove the list and its expiry with the
// last answer.
const placeholder = ""

var headroomValue = strings.Repeat(" ", headroom)

// collect reads answers until there are enough or answerTime is over. The pauses between the reads grow.
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

func (b *redisBroker) lateAnswers(ctx context.Context, add func(reply)) error {
	return b.conn.Do(ctx, func(ctx context.Context, client redis.UniversalClient) error {
		return b.read(ctx, client, add)
	})
}

// read adds the answers that it has not read yet. Redis has the newest ones first.
func (b *redisBroker) read(ctx context.Context, client redis.Cmdable, add func(reply)) error {
	list, err := client.LRange(ctx, b.replyKey(), 0, maxWorkers).Result()
	if err != nil {
		return err
	}
	for _, encoded := range list[:max(0, len(list)-b.seen)] {
		if r, ok := decode(encoded); ok {
			add(r)
		}
	}
	b.seen = max(b.seen, len(list))
	return nil
}

func (b *redisBroker) replyQueue() string { return b.id + ".reply." + b.exchange + ".pidbox" }

func (b *redisBroker) replyKey() string { return b.names.prefix + b.replyQueue() }

// channel returns the channel of a database's workers. Channels belong to no database, so the name contains
// its number.
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
