package celeryprobe

import (
	"context"
	"errors"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/echo-probes/echohealth/internal/redisconn"
	"github.com/echo-probes/echohealth/probes"
)

// redisConn keeps a client with one connection for the checks. It is given up when a check on it fails, so that no check suffers
// from what an earlier one left behind, and every call on it ends with its context.
type redisConn struct {
	options redis.Options
	life    context.Context
	end     context.CancelFunc // of life

	mu   sync.Mutex // guards kept
	kept *ownClient
}

// ownClient is a client of the probe's own.
type ownClient struct {
	*redis.Client
	end context.CancelFunc // ends its dials: go-redis lets them run on in the background
}

func (c *ownClient) close() {
	c.end()
	_ = c.Close() // the only error is that it is closed already
}

var errClosed = errors.New("the probe is closed")

// newRedisConn takes the options of the application's client, or those of a URL, and connects to nothing yet.
func newRedisConn(options *redis.Options) *redisConn {
	life, end := context.WithCancel(context.Background())
	return &redisConn{options: *options, life: life, end: end}
}

// do calls f with the kept client, and once more with a new one if the kept one turns out to have lost its connection.
func (c *redisConn) do(ctx context.Context, f func(*redis.Client) error) error {
	kept := c.take()
	if kept == nil {
		return c.attempt(ctx, c.open(), f)
	}
	err := c.attempt(ctx, kept, f)
	if err == nil || isReply(err) || ctx.Err() != nil {
		return err
	}
	return c.attempt(ctx, c.open(), f)
}

// once calls f once, for what must not be done twice.
func (c *redisConn) once(ctx context.Context, f func(*redis.Client) error) error {
	client := c.take()
	if client == nil {
		client = c.open()
	}
	return c.attempt(ctx, client, f)
}

// attempt calls f, and closes the client when ctx or the probe's life ends, which ends whatever f waits for: go-redis itself
// heeds a deadline at best, and never a cancel.
func (c *redisConn) attempt(ctx context.Context, client *ownClient, f func(*redis.Client) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)()
	if c.life.Err() != nil {
		client.close()
		return closed()
	}
	unbind := context.AfterFunc(ctx, client.close)
	err := f(client.Client)
	if unbind() && err == nil {
		c.keep(client)
		return nil
	}
	client.close()
	switch {
	case err == nil || ctx.Err() == nil:
		return err
	case c.life.Err() != nil:
		return closed()
	}
	return ctx.Err() // err may only say that the client was closed
}

func closed() error { return probes.Fail(probes.ReasonClientClosed, errClosed) }

// isReply reports whether err is what the server answered, so that another connection would make no difference.
func isReply(err error) bool {
	_, ok := errors.AsType[redis.Error](err)
	return ok
}

func (c *redisConn) take() *ownClient {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept := c.kept
	c.kept = nil
	return kept
}

func (c *redisConn) keep(client *ownClient) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.life.Err() != nil {
		client.close()
		return
	}
	c.kept = client
}

// close ends a call in flight too.
func (c *redisConn) close() {
	c.end()
	if kept := c.take(); kept != nil {
		kept.close()
	}
}

// open returns a client with a life of its own.
func (c *redisConn) open() *ownClient {
	life, end := context.WithCancel(c.life)
	return &ownClient{redisconn.New(life, &c.options), end}
}
