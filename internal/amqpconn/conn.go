// Package amqpconn keeps the AMQP connection that the probes for RabbitMQ and Celery ask. Every call on it is bounded
// by its context, however the broker behaves, which amqp091-go's own are not; a lost connection is made anew at the
// next call; nothing runs in between but what amqp091-go needs for a connection.
//
// It is also the one place that knows what AMQP's error codes mean. It must not know what is asked over the connection.
package amqpconn

import (
	"context"
	"errors"

	"github.com/echo-probes/echohealth/probes"
)

// Conn is a connection to a broker that is made at first use and then kept.
type Conn struct {
	target *Target
	turn   chan struct{} // holds a value while somebody uses session
	life   context.Context
	end    context.CancelCauseFunc // of life

	session *Session // nil before the first call, and after a failure; guarded by turn
}

var errClosed = errors.New("the probe is closed")

// New returns a Conn that has not connected yet.
func New(target *Target) *Conn {
	life, end := context.WithCancelCause(context.Background())
	return &Conn{target: target, turn: make(chan struct{}, 1), life: life, end: end}
}

// Do lends the connection to f, one caller at a time. When ctx ends, it closes the connection, so that f's calls return at
// once. A kept connection that turns out to be lost is made anew and f called again, once. The error has a reason
// wherever this package knows one.
func (c *Conn) Do(ctx context.Context, f func(context.Context, *Session) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(c.life, func() { cancel(errClosed) })()

	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return ended(ctx, errors.New("another check still waits for the broker"))
	}
	if c.session != nil && c.session.dead() {
		c.drop()
	}
	kept := c.session != nil
	err := c.call(ctx, f)
	if err != nil && kept && c.session == nil && ctx.Err() == nil {
		err = c.call(ctx, f)
	}
	return err
}

// call makes one attempt, and drops the connection if it is lost.
func (c *Conn) call(ctx context.Context, f func(context.Context, *Session) error) error {
	if c.life.Err() != nil {
		return ended(c.life, nil)
	}
	if c.session == nil {
		session, err := c.target.dial(ctx)
		if err != nil {
			return err
		}
		c.session = session
	}
	if err := c.session.readBlocks(); err != nil {
		return err
	}
	aborted, err := c.session.use(ctx, f)
	if aborted || lost(err) || c.session.dead() {
		c.drop()
	}
	if aborted && err != nil {
		return ended(ctx, err)
	}
	return named(err)
}

func (c *Conn) drop() {
	c.session.socket.abort()
	c.session = nil
}

// Close ends the call in flight and then the connection, within a second. Every later call fails with
// ReasonClientClosed.
func (c *Conn) Close() error {
	c.end(errClosed)
	c.turn <- struct{}{}
	defer func() { <-c.turn }()
	if c.session != nil {
		c.session.close()
		c.session = nil
	}
	return nil
}

// ended is the error of a call whose context ended, with what the call itself returned.
func ended(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	both := errors.Join(cause, err)
	switch {
	case errors.Is(cause, context.DeadlineExceeded):
		return probes.Fail(probes.ReasonTimeout, both)
	case errors.Is(cause, errClosed):
		return probes.Fail(probes.ReasonClientClosed, both)
	}
	return both
}
