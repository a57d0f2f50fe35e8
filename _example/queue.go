package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/redis/go-redis/v9"
)

// celeryQueue is the default queue of Celery's workers.
const celeryQueue = "celery"

// queue sends tasks to Celery's workers.
type queue interface {
	push(ctx context.Context, t task) error
}

// task is a message in version 2 of Celery's message protocol.
type task struct {
	id, name string
	args     []any
}

func newTask(name string, args ...any) task {
	return task{id: rand.Text(), name: name, args: args}
}

func (t task) headers() map[string]any {
	return map[string]any{
		"lang": "go", "task": t.name, "id": t.id, "root_id": t.id, "parent_id": nil, "group": nil,
	}
}

// body returns a JSON array of the positional arguments, the keyword arguments, and the callbacks for the
// result.
func (t task) body() ([]byte, error) {
	return json.Marshal([]any{t.args, struct{}{}, struct{}{}})
}

// redisQueue is a queue in Redis, which is a list.
type redisQueue struct {
	client *redis.Client
}

func (q redisQueue) push(ctx context.Context, t task) error {
	body, err := t.body()
	if err != nil {
		return err
	}
	message, err := json.Marshal(map[string]any{
		"body":             body, // json.Marshal encodes a []byte in base64, so body_encoding is base64
		"content-type":     "application/json",
		"content-encoding": "utf-8",
		"headers":          t.headers(),
		"properties": map[string]any{
			"correlation_id": t.id,
			"delivery_tag":   t.id,
			"delivery_mode":  2,
			"delivery_info":  map[string]any{"exchange": "", "routing_key": celeryQueue},
			"priority":       0,
			"body_encoding":  "base64",
		},
	})
	if err != nil {
		return err
	}
	return q.client.LPush(ctx, celeryQueue, message).Err()
}

// amqpQueue is a queue in RabbitMQ. It opens a connection for each task, so it needs no code to reconnect
// after an outage. This takes a few milliseconds per task. A busy service would keep a connection open
// instead.
type amqpQueue struct {
	url string
}

func (q amqpQueue) push(ctx context.Context, t task) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conn, err := amqp.DialConfig(q.url, amqp.Config{Dial: dialUntilDone(ctx)})
	if err != nil {
		return errors.Join(err, ctx.Err())
	}
	if err := publish(ctx, conn, t); err != nil {
		return errors.Join(err, ctx.Err())
	}
	return conn.Close()
}

// dialUntilDone returns a dial function whose connections are closed when ctx ends. This is necessary because
// a call of the AMQP library that waits for an answer ignores its context.
func dialUntilDone(ctx context.Context) func(network, addr string) (net.Conn, error) {
	return func(network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		context.AfterFunc(ctx, func() { conn.Close() })
		return conn, nil
	}
}

// publish sends a task and returns when the broker has confirmed it.
func publish(ctx context.Context, conn *amqp.Connection, t task) error {
	body, err := t.body()
	if err != nil {
		return err
	}
	channel, err := conn.Channel()
	if err != nil {
		return err
	}
	// Like every client of Celery, publish declares the queue, because perhaps no worker has declared it yet.
	if _, err := channel.QueueDeclare(celeryQueue, true, false, false, false, nil); err != nil {
		return err
	}
	if err := channel.Confirm(false); err != nil {
		return err
	}
	message := amqp.Publishing{
		Headers:         t.headers(),
		ContentType:     "application/json",
		ContentEncoding: "utf-8",
		CorrelationId:   t.id,
		DeliveryMode:    amqp.Persistent,
		Body:            body,
	}
	confirmation, err := channel.PublishWithDeferredConfirmWithContext(ctx, "", celeryQueue, true, false,
		message)
	if err != nil {
		return err
	}
	confirmed, err := confirmation.WaitContext(ctx)
	if err == nil && !confirmed {
		err = errors.New("the broker did not accept the task")
	}
	return err
}
