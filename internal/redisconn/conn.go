package redisconn

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/echo-probes/echohealth/probes"
	"github.com/redis/go-redis/v9"
)

// Conn keeps a client for the checks of one probe. The client is given up at its first failure, so that no
// check suffers from what an earlier one left behind. Every call on it ends with the call's context, and with
// Close.
type Conn struct {
	make func(life context.Context) redis.UniversalClient
	life context.Context
	end  context.CancelFunc // of life
	node atomic.Bool

	mu   sync.Mutex // guards kept
	kept *own
}

// call is what is done with a client.
type call = func(ctx context.Context, client redis.UniversalClient) error

// own is a client that only the checks use.
type own struct {
	redis.UniversalClient
	end context.CancelFunc // ends its dials: go-redis lets them run on in the background
}

func (o *own) close() {
	o.end()
	_ = o.Close() // the only error is that it is closed already
}

func newConn() *Conn {
	life, end := context.WithCancel(context.Background())
	return &Conn{life: life, end: end}
}

// Do calls f with the kept client, and keeps it. What goes wrong on a client from an earlier call is tried
// once more on a new one before it counts: an old connection may have ended with a restart, or lead to a
// master that Sentinel has replaced.
func (c *Conn) Do(ctx context.Context, f call) error {
	if kept := c.take(); kept != nil {
		if err := c.run(ctx, kept, f, c.keep); err == nil || ctx.Err() != nil {
			return err
		}
	}
	return c.run(ctx, c.open(), f, c.keep)
}

// Once is Do for what must not be done twice.
func (c *Conn) Once(ctx context.Context, f call) error {
	o := c.take()
	if o == nil {
		o = c.open()
	}
	return c.run(ctx, o, f, c.keep)
}

// Fresh calls f with a new client, and closes it.
func (c *Conn) Fresh(ctx context.Context, f call) error {
	return c.run(ctx, c.open(), f, (*own).close)
}

// run calls f, and then done if all went well. It closes the client when ctx or the Conn's life ends, which
// ends whatever f waits for: go-redis itself heeds a deadline at best, and never a cancel.
func (c *Conn) run(ctx context.Context, o *own, f call, done func(*own)) error {
	bound, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)()
	unbind := context.AfterFunc(bound, o.close)
	err := c.life.Err()
	if err == nil {
		err = f(bound, o.UniversalClient)
	}
	if unbind() && err == nil {
		done(o)
		return nil
	}
	o.close()
	switch {
	case err == nil:
		return nil
	case c.life.Err() != nil:
		return ErrClosed
	case ctx.Err() != nil:
		return ctx.Err() // err may only say that the client was closed
	}
	return err
}

// ErrClosed is what calls return after Close.
var ErrClosed = probes.Fail(probes.ReasonClientClosed, errors.New("the probe is closed"))

// ClusterNode reports whether the server said, when a connection to it was made, that it is a node of a
// cluster.
func (c *Conn) ClusterNode() bool { return c.node.Load() }

func (c *Conn) open() *own {
	life, end := context.WithCancel(c.life)
	return &own{c.make(life), end}
}

// take returns the kept client, or nil when there is none, or another call has it.
func (c *Conn) take() *own {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept := c.kept
	c.kept = nil
	return kept
}

func (c *Conn) keep(o *own) {
	c.mu.Lock()
	wanted := c.life.Err() == nil && c.kept == nil
	if wanted {
		c.kept = o
	}
	c.mu.Unlock()
	if !wanted {
		o.close()
	}
}

// Close ends the calls in flight and closes the kept client.
func (c *Conn) Close() {
	c.end()
	if kept := c.take(); kept != nil {
		kept.close()
	}
}
