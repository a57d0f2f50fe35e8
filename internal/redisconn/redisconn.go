// Package redisconn makes the Redis clients that redisprobe and celeryprobe ask over: with the settings of the application's
// client, but with a connection of their own, and telling the truth at once. A client with go-redis's defaults ignores its
// callers' deadlines, and tries again until only "context deadline exceeded" is left of a connection that was refused.
package redisconn

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// New returns a client with the settings of the application's. It connects to nothing before it is used, and what it dials ends
// with life: go-redis lets a dial run on in the background.
func New(life context.Context, app *redis.Options) *redis.Client {
	client := redis.NewClient(options(life, app))
	client.AddHook(handshake{})
	return client
}

// options returns a copy of the application's options for a client that keeps one connection, tries once, and heeds
// a deadline. What says "off" by -1 must be set in a copy, even if the application did so: in a client's options
// it has become 0, which stands for the default when a client is made of them.
func options(life context.Context, app *redis.Options) *redis.Options {
	opt := *app
	opt.Dialer = dialer(life, app)
	opt.ContextTimeoutEnabled = true
	opt.MaxRetries = -1
	opt.DialerRetries = 1
	if opt.ReadTimeout <= 0 {
		opt.ReadTimeout = 5 * time.Second
	}
	if opt.WriteTimeout <= 0 {
		opt.WriteTimeout = 5 * time.Second
	}
	opt.PoolSize = 2          // one to spare: a cluster's client looks up its nodes in the background
	opt.PipelinePoolSize = -1 // else pipelines would have a pool of their own
	opt.MinIdleConns, opt.MaxIdleConns, opt.MaxActiveConns = 0, 0, 0
	opt.ReadBufferSize, opt.WriteBufferSize = 4<<10, 4<<10
	// What follows is about the application's traffic, which the checks must neither count as nor depend on.
	opt.Limiter = nil
	opt.ClientSideCache, opt.ClientSideCacheConfig = nil, nil
	opt.PushNotificationProcessor = nil
	opt.MaintNotificationsConfig = NoNotifications()
	opt.DisableIdentity = true // saves a round trip, and an entry in the ACL log where the user may not CLIENT SETINFO
	return &opt
}

// NoNotifications is what turns off go-redis's maintenance notifications, which would have it dial in the background.
func NoNotifications() *maintnotifications.Config {
	return &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

// dialer returns the application's dialer, made to end with life (but go-redis's own with TLS ends with DialTimeout),
// and never to fail: what can't be connected becomes a connection that fails at its first use. go-redis would log each
// failed dial, and after as many as the pool may have connections answer by the last one's error, even if the server is back.
func dialer(life context.Context, app *redis.Options) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(life, cancel)()
		conn, err := app.Dialer(ctx, network, addr)
		if err != nil {
			return notConnected(err), nil
		}
		return limit(conn), nil
	}
}

// failedConn is a connection that could not be made. Reading and writing say why.
type failedConn struct {
	net.Conn // for all other methods
	err      error
}

func notConnected(err error) net.Conn {
	end, _ := net.Pipe()
	return &failedConn{end, fmt.Errorf("connect: %w", err)}
}

func (f *failedConn) Read([]byte) (int, error)  { return 0, f.err }
func (f *failedConn) Write([]byte) (int, error) { return 0, f.err }
