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

// queue accepts tasks for Celery's workers.
type queue interface {
	push(ctx context.Context, t task) error
}

// task is a message of Celery's protocol 2.
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

// body contains the positional arguments, the keyword arguments, and what to do with the result.
func (t task) body() ([]byte, error) {
	return json.Marshal([]any{t.args, struct{}{}, struct{}{}})
}

// redisQueue is a list in Redis.
type redisQueue struct {
	client *redis.Client
}

func (q redisQueue) push(ctx context.Context, t task) error {
	body, err := t.body()
	if err != nil {
		return err
	}
	message, err := json.Marshal(map[string]any{
		"body":             body, // encoded as base64, see body_encoding
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

// amqpQueue is a queue in RabbitMQ. It makes a connection for each task. That costs a few milliseconds,
// which a busy service would save with a kept connection, but it needs no reconnect after an outage.
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

// dialUntilDone makes connections that end with ctx, because a call of the AMQP library ignores its context
// once it waits for an answer.
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

// publish returns when the broker has confirmed the task.
func publish(ctx context.Context, conn *amqp.Connection, t task) error {
	body, err := t.body()
	if err != nil {
		return err
	}
	channel, err := conn.Channel()
	if err != nil {
		return err
	}
	// Like every client of Celery this declares the queue, in case no worker has done so yet.
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
