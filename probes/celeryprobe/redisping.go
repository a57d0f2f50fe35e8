package celeryprobe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// replyExpiry is the lifetime of the list of answers after the last ping. A worker in a solo pool answers
// only after its current task. If the list had expired before, the worker would create a new list that
// nothing removes.
const replyExpiry = 24 * time.Hour

func (b *redisBroker) call(ctx context.Context, method string, a *answers) error {
	server := b.current()
	err := server.conn.Once(ctx, func(ctx context.Context, client redis.UniversalClient) error {
		// Because replyTo has no exchange, workers write their answers directly to the list of this name.
		command := newCommand(method, replyTo{RoutingKey: b.replyQueue()})
		conn := client.(*redis.Client).Conn()
		defer conn.Close()
		reached, err := b.publish(ctx, conn, server.db, command)
		if err != nil {
			return err
		}
		b.seen = 0
		a.sent, a.reached = true, reached
		err = b.collect(ctx, client, a)
		a.complete = err == nil
		return err
	})
	if redis.IsPermissionError(err) {
		return fmt.Errorf("%w: %w", errPingRefused, err)
	}
	return err
}

// publish sends the command, if Redis has room for the answers. It returns how many workers received it.
func (b *redisBroker) publish(ctx context.Context, conn *redis.Conn, db int, c command) (int, error) {
	memory, others, err := b.prepare(ctx, conn, db)
	if err != nil {
		return 0, err
	}
	testHeadroom, refusal := memory.headroomTest()
	results, err := b.transaction(ctx, conn, func(pipe redis.Pipeliner) {
		if testHeadroom {
			pipe.Do(ctx, "setnx", b.replyKey(), headroomValue) // writes nothing, because the list exists
		}
		if refusal == nil {
			pipe.Do(ctx, "publish", b.names.channel(b.exchange, db), encode(c, b.exchange+".pidbox"))
		}
	})
	if err := cmp.Or(err, refusal); err != nil {
		return 0, err // err has precedence, because Redis then takes no tasks either
	}
	return max(0, int(results[len(results)-1])-others), nil
}

// prepare queries Redis's memory. It also counts the clients that are subscribed to all channels, because
// they receive a command but are no workers. To count them it publishes a message to a channel that no worker
// knows. A figure for which the user has no permission stays unknown. The probe does not query it again,
// because Redis logs each refusal.
func (b *redisBroker) prepare(
	ctx context.Context, conn *redis.Conn, db int,
) (m memory, others int, err error) {
	questions := []redis.Cmder{
		redis.NewStringCmd(ctx, "info", "memory"),
		redis.NewStringCmd(ctx, "info", "keyspace"),
		redis.NewIntCmd(ctx, "publish", b.names.channel(b.exchange+".echohealth", db), ""),
	}
	_, _ = conn.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for i, question := range questions {
			if !b.denied[i] {
				_ = pipe.Process(ctx, question)
			}
		}
		return nil
	})
	for i, question := range questions {
		err := question.Err()
		if reply := redis.Error(nil); err != nil && !errors.As(err, &reply) {
			return memory{}, 0, err
		}
		b.denied[i] = b.denied[i] || redis.IsPermissionError(err)
	}
	m = newMemory(questions[0].(*redis.StringCmd).Val(), questions[1].(*redis.StringCmd).Val())
	return m, int(questions[2].(*redis.IntCmd).Val()), nil
}

// transaction starts a new list of answers and executes the commands of add, in one transaction. It does
// nothing if Redis takes no writes or refuses one of the commands. It does not touch the bindings that Celery
// keeps in Redis.
func (b *redisBroker) transaction(
	ctx context.Context, conn *redis.Conn, add func(redis.Pipeliner),
) (results []int64, err error) {
	// MULTI must not be part of the pipeline. If Redis refused MULTI there, it would execute the other commands
	// one by one.
	if err := conn.Do(ctx, "multi").Err(); err != nil {
		return nil, err
	}
	commands, err := conn.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Do(ctx, "del", b.replyKey())
		pipe.Do(ctx, "rpush", b.replyKey(), placeholder)
		pipe.Do(ctx, "pexpire", b.replyKey(), replyExpiry.Milliseconds())
		add(pipe)
		pipe.Do(ctx, "exec")
		return nil
	})
	if err != nil {
		return nil, err // the error of the first refused command, which is the cause of the others
	}
	results, err = commands[len(commands)-1].(*redis.Cmd).Int64Slice()
	if err != nil || len(results) == 0 {
		return nil, fmt.Errorf("the transaction's results can't be read: %w", err)
	}
	return results, nil
}

// placeholder is the list's last element, which is never removed. An empty list would not exist in Redis, and
// would have no expiry.
const placeholder = ""

// collect reads answers until there are enough or answerTime is over. The pauses between the reads get
// longer.
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
	return b.current().conn.Do(ctx, func(ctx context.Context, client redis.UniversalClient) error {
		return b.read(ctx, client, add)
	})
}

// read adds the answers that it has not read yet. They are at the beginning of the list, because workers add
// their answers there.
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

// channel returns the channel over which the workers of a database get commands. The name contains the number
// of the database, because in Redis channels do not belong to a database.
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
