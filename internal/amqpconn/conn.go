// Package amqpconn keeps the AMQP connection of the probes for RabbitMQ and Celery. A call ends when its
// context does, whatever the broker does. amqp091-go's own calls can hang longer. After a lost connection the
// next call makes a new one. Between calls only amqp091-go's own goroutines run.
//
// The package also maps AMQP's error codes to reasons. It must not know what the probes use the connection
// for.
package amqpconn

import (
	"context"
	"errors"

	"github.com/echo-probes/echohealth/probes"
)

// Conn is a connection to a broker. It connects at the first use and then stays open.
type Conn struct {
	target *Target
	sem    chan struct{} // a semaphore: only one caller at a time uses session
	ctx    context.Context
	cancel context.CancelCauseFunc

	session *Session // nil before the first call, and after a failure; guarded by sem
	broker  int      // the index of the broker to try first; guarded by sem
}

var errClosed = errors.New("the probe is closed")

// New returns a Conn that has not connected yet.
func New(target *Target) *Conn {
	ctx, cancel := context.WithCancelCause(context.Background())
	return &Conn{target: target, sem: make(chan struct{}, 1), ctx: ctx, cancel: cancel}
}

// Do calls f with the connection, for one caller at a time. When ctx ends, Do closes the connection, so that
// f's calls return immediately. If the connection was kept from an earlier call and turns out to be lost, Do
// makes a new one and calls f once more. The error has a reason if this package knows one.
func (c *Conn) Do(ctx context.Context, f func(context.Context, *Session) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(c.ctx, func() { cancel(errClosed) })()

	select {
	case c.sem <- struct{}{}:
		defer func() { <-c.sem }()
	case <-ctx.Done():
		return contextError(ctx, errors.New("another check still waits for the broker"))
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

// call connects if necessary and calls f once. It drops the connection if it is lost.
func (c *Conn) call(ctx context.Context, f func(context.Context, *Session) error) error {
	if c.ctx.Err() != nil {
		return contextError(c.ctx, nil)
	}
	if c.session == nil {
		session, err := c.target.dial(ctx, c.broker)
		if err != nil {
			return err
		}
		c.session, c.broker = session, session.broker
	}
	if err := c.session.readBlocks(); err != nil {
		return err
	}
	aborted, err := c.session.use(ctx, f)
	if aborted || connectionLost(err) || c.session.dead() {
		c.drop()
	}
	if aborted && err != nil {
		c.broker++ // this broker did not answer in time, and the next one may
		return contextError(ctx, err)
	}
	return withReason(err)
}

func (c *Conn) drop() {
	c.session.socket.abort()
	c.session = nil
}

// Close cancels the call in progress and then closes the connection, all within a second. Later calls fail
// with ReasonClientClosed. Close always returns nil.
func (c *Conn) Close() error {
	c.cancel(errClosed)
	c.sem <- struct{}{}
	defer func() { <-c.sem }()
	if c.session != nil {
		c.session.close()
		c.session = nil
	}
	return nil
}

// contextError returns the error of a call whose context ended, joined with the call's own error.
func contextError(ctx context.Context, err error) error {
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
