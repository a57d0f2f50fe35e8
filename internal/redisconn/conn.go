package redisconn

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/echo-probes/echohealth/probes"
	"github.com/redis/go-redis/v9"
)

// Conn keeps a client for the checks of one probe. It closes the client at the first failure, so that a
// failure cannot affect later checks. Every call ends when its context ends, and when Close is called.
type Conn struct {
	newClient func(ctx context.Context, o *ownClient) redis.UniversalClient
	sentinel  *sentinel // nil if the application's client does not use Sentinel
	ctx       context.Context
	cancel    context.CancelFunc
	node      atomic.Bool

	mu   sync.Mutex // guards kept
	kept *ownClient
}

// call is a function that uses a client.
type call = func(ctx context.Context, client redis.UniversalClient) error

// ownClient is a client that only the checks use.
type ownClient struct {
	redis.UniversalClient
	cancel context.CancelFunc     // ends the client's dials, because Close does not
	server atomic.Pointer[string] // the address of the master; nil without Sentinel, or if not connected
}

func (o *ownClient) close() {
	o.cancel()
	_ = o.Close() // it can only fail if the client is closed already
}

func newConn() *Conn {
	ctx, cancel := context.WithCancel(context.Background())
	return &Conn{ctx: ctx, cancel: cancel}
}

// Do calls f with the kept client, or with a new one. It keeps the client if f succeeds. If f fails with the
// kept client, Do calls f again with a new client, because the server may have been restarted since the last
// call.
func (c *Conn) Do(ctx context.Context, f call) error {
	if kept := c.usable(ctx); kept != nil {
		if err := c.run(ctx, kept, f, c.keep); err == nil || ctx.Err() != nil {
			return err
		}
	}
	return c.run(ctx, c.open(), f, c.keep)
}

// Once is like Do, but calls f only once.
func (c *Conn) Once(ctx context.Context, f call) error {
	o := c.usable(ctx)
	if o == nil {
		o = c.open()
	}
	return c.run(ctx, o, f, c.keep)
}

// Fresh calls f with a new client, and then closes the client.
func (c *Conn) Fresh(ctx context.Context, f call) error {
	return c.run(ctx, c.open(), f, (*ownClient).close)
}

// run calls f, and then done if f succeeded. When ctx ends or c is closed, run closes the client, so that f's
// calls return. It must do so because go-redis does not react to a canceled context.
func (c *Conn) run(ctx context.Context, o *ownClient, f call, done func(*ownClient)) error {
	bound, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.ctx, cancel)()
	unbind := context.AfterFunc(bound, o.close)
	err := c.ctx.Err()
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
	case c.ctx.Err() != nil:
		return ErrClosed
	case ctx.Err() != nil:
		return c.sentinel.cause(c.ctx, o, ctx.Err()) // not err, which may only say that the client was closed
	}
	return err
}

// ErrClosed is the error of calls during and after Close.
var ErrClosed = probes.Fail(probes.ReasonClientClosed, errors.New("the probe is closed"))

// ClusterNode reports whether the server may be a node of a cluster. It also returns true if the server did
// not answer HELLO, because only the answer has the server's mode.
func (c *Conn) ClusterNode() bool { return c.node.Load() }

func (c *Conn) open() *ownClient {
	ctx, cancel := context.WithCancel(c.ctx)
	o := &ownClient{cancel: cancel}
	o.UniversalClient = c.newClient(ctx, o)
	return o
}

// usable returns the kept client. It returns nil if there is none, or if Sentinel reports another master.
func (c *Conn) usable(ctx context.Context) *ownClient {
	kept := c.take()
	if kept != nil && c.sentinel.replaced(ctx, c.ctx, kept) {
		kept.close()
		return nil
	}
	return kept
}

// take returns the kept client and removes it from c. It returns nil if there is none, or if another call
// uses it.
func (c *Conn) take() *ownClient {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept := c.kept
	c.kept = nil
	return kept
}

func (c *Conn) keep(o *ownClient) {
	c.mu.Lock()
	keep := c.ctx.Err() == nil && c.kept == nil
	if keep {
		c.kept = o
	}
	c.mu.Unlock()
	if !keep {
		o.close()
	}
}

// Close ends the calls in progress and closes the kept client.
func (c *Conn) Close() {
	c.cancel()
	if kept := c.take(); kept != nil {
		kept.close()
	}
}
