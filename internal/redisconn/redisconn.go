// Package redisconn keeps the Redis clients of redisprobe and celeryprobe. They have the settings of the
// application's client, but their own connection. They report the cause of a failure without delay. A client
// with go-redis's defaults ignores the deadlines of its callers. It also retries after a refused connection,
// until the error is only "context deadline exceeded".
package redisconn

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// New returns a Conn with the settings of the application's client. It connects at its first use.
func New(app *redis.Options) *Conn {
	c := newConn()
	c.sentinel = newSentinel(app)
	c.newClient = func(ctx context.Context, o *ownClient) redis.UniversalClient {
		if c.sentinel == nil {
			return c.client(ctx, app)
		}
		opt := *app
		opt.Dialer = c.sentinel.dialer(o, app)
		return c.client(ctx, &opt)
	}
	return c
}

// NewCluster is like New, but for a cluster. Its clients use the masters only.
func NewCluster(app *redis.ClusterOptions) *Conn {
	c := newConn()
	c.sentinel = newClusterSentinel(app)
	c.newClient = func(ctx context.Context, _ *ownClient) redis.UniversalClient {
		return c.clusterClient(ctx, app)
	}
	return c
}

// client returns a client. The client's dials end with ctx, because go-redis does not end a dial when the
// client is closed.
func (c *Conn) client(ctx context.Context, app *redis.Options) *redis.Client {
	client := redis.NewClient(options(ctx, app))
	client.AddHook(handshake{&c.node})
	return client
}

func (c *Conn) clusterClient(ctx context.Context, app *redis.ClusterOptions) *redis.ClusterClient {
	opt := *app
	opt.NewClient = func(node *redis.Options) *redis.Client {
		made := app.NewClient(node) // the application's function may change the options of each node
		defer made.Close()
		return c.client(ctx, made.Options())
	}
	opt.MinIdleConns, opt.MaintNotificationsConfig = 0, noNotifications()     // so that made starts no goroutine
	opt.ReadOnly, opt.RouteByLatency, opt.RouteRandomly = false, false, false // use the masters only
	opt.MaxRedirects = 1                                                      // enough for a slot that has moved
	if c.sentinel != nil {
		opt.ClusterSlots = c.sentinel.slots(app)
	}
	return redis.NewClusterClient(&opt)
}

// options returns the application's options, changed for a client that keeps one connection and tries once.
// -1 switches some options off. They must be set to -1 here even if the application has set them to -1: the
// application's client has replaced -1 with 0, and a new client would take 0 as the default.
func options(ctx context.Context, app *redis.Options) *redis.Options {
	opt := *app
	opt.Dialer = dialer(ctx, app)
	// A call ends when Conn.run closes its client. go-redis must not set a read deadline from the context too,
	// because it could expire first and would then count as a failure to retry.
	opt.ContextTimeoutEnabled = false
	opt.MaxRetries = -1
	opt.DialerRetries = 1
	if opt.ReadTimeout <= 0 {
		opt.ReadTimeout = 5 * time.Second
	}
	if opt.WriteTimeout <= 0 {
		opt.WriteTimeout = 5 * time.Second
	}
	opt.PoolSize = 2          // two, because a cluster's client looks up its nodes in the background
	opt.PipelinePoolSize = -1 // otherwise pipelines would have a separate pool
	opt.MinIdleConns, opt.MaxIdleConns, opt.MaxActiveConns = 0, 0, 0
	opt.ReadBufferSize, opt.WriteBufferSize = 4<<10, 4<<10
	// The options below are for the application's traffic. The checks must neither count as such traffic nor
	// depend on these options.
	opt.Limiter = nil
	opt.ClientSideCache, opt.ClientSideCacheConfig = nil, nil
	opt.PushNotificationProcessor = nil
	opt.MaintNotificationsConfig = noNotifications()
	// Without CLIENT SETINFO a login is one round trip shorter. A user without the permission for it causes no
	// entry in the ACL log.
	opt.DisableIdentity = true
	return &opt
}

// noNotifications switches off go-redis's maintenance notifications, because they make it dial in the
// background.
func noNotifications() *maintnotifications.Config {
	return &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

// dialer returns the application's dialer with two changes. First, a dial ends with parent. go-redis's own
// dialer for TLS ends only after DialTimeout. Second, a failed dial returns a connection that fails at its
// first use. If it returned an error, go-redis would log each one. After as many errors as the pool may have
// connections, go-redis would also return the last error without a dial, even if the server is back.
func dialer(parent context.Context,
	app *redis.Options) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(parent, cancel)()
		conn, err := app.Dialer(ctx, network, addr)
		if err != nil {
			return notConnected(err), nil
		}
		return limit(conn), nil
	}
}

// failedConn is a connection that could not be made. Read and Write return the error of the dial.
type failedConn struct {
	net.Conn // has the other methods
	err      error
}

func notConnected(err error) net.Conn {
	end, _ := net.Pipe()
	return &failedConn{end, fmt.Errorf("connect: %w", err)}
}

func (f *failedConn) Read([]byte) (int, error)  { return 0, f.err }
func (f *failedConn) Write([]byte) (int, error) { return 0, f.err }
