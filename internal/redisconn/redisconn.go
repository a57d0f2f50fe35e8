// Package redisconn keeps the Redis clients of redisprobe and celeryprobe. They have the settings of the
// application's client, but their own connection, and they report the cause of a failure at once. A client
// with go-redis's defaults ignores the deadlines of its callers. It also retries until a refused connection
// is reported only as "context deadline exceeded".
package redisconn

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// New returns a Conn with the settings of the application's client. It connects at first use.
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

// NewCluster is New for a cluster. Its clients use the masters.
func NewCluster(app *redis.ClusterOptions) *Conn {
	c := newConn()
	c.sentinel = newClusterSentinel(app)
	c.newClient = func(ctx context.Context, _ *ownClient) redis.UniversalClient {
		return c.clusterClient(ctx, app)
	}
	return c
}

// client returns a client whose dials end with ctx, because go-redis leaves a dial running in the
// background.
func (c *Conn) client(ctx context.Context, app *redis.Options) *redis.Client {
	client := redis.NewClient(options(ctx, app))
	client.AddHook(handshake{&c.node})
	return client
}

func (c *Conn) clusterClient(ctx context.Context, app *redis.ClusterOptions) *redis.ClusterClient {
	opt := *app
	opt.NewClient = func(node *redis.Options) *redis.Client {
		made := app.NewClient(node) // applies the changes of the application's function
		defer made.Close()
		return c.client(ctx, made.Options())
	}
	opt.MinIdleConns, opt.MaintNotificationsConfig = 0, noNotifications()     // so that made starts nothing
	opt.ReadOnly, opt.RouteByLatency, opt.RouteRandomly = false, false, false // use the masters
	opt.MaxRedirects = 1                                                      // enough for a slot that moves
	if c.sentinel != nil {
		opt.ClusterSlots = c.sentinel.slots(app)
	}
	return redis.NewClusterClient(&opt)
}

// options returns a copy of the application's options for a client that keeps one connection and tries once.
// For some options -1 means off. The copy must set them to -1 again, even if the application did: its client
// has replaced -1 with 0, and a new client takes 0 as the default.
func options(ctx context.Context, app *redis.Options) *redis.Options {
	opt := *app
	opt.Dialer = dialer(ctx, app)
	// A call ends when its client is closed (Conn.run). A read deadline could come before that of the
	// context, and would count as a failure to retry.
	opt.ContextTimeoutEnabled = false
	opt.MaxRetries = -1
	opt.DialerRetries = 1
	if opt.ReadTimeout <= 0 {
		opt.ReadTimeout = 5 * time.Second
	}
	if opt.WriteTimeout <= 0 {
		opt.WriteTimeout = 5 * time.Second
	}
	opt.PoolSize = 2          // one more, because a cluster's client looks up its nodes in the background
	opt.PipelinePoolSize = -1 // else pipelines would have a pool of their own
	opt.MinIdleConns, opt.MaxIdleConns, opt.MaxActiveConns = 0, 0, 0
	opt.ReadBufferSize, opt.WriteBufferSize = 4<<10, 4<<10
	// The options below are for the application's traffic. The checks must not count as traffic, and must not
	// depend on it.
	opt.Limiter = nil
	opt.ClientSideCache, opt.ClientSideCacheConfig = nil, nil
	opt.PushNotificationProcessor = nil
	opt.MaintNotificationsConfig = noNotifications()
	// This saves a round trip, and an entry in the ACL log if the user has no permission for CLIENT SETINFO.
	opt.DisableIdentity = true
	return &opt
}

// noNotifications turns off go-redis's maintenance notifications, for which it would dial in the background.
func noNotifications() *maintnotifications.Config {
	return &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

// dialer returns the application's dialer with two changes. A dial ends with parent, but with TLS go-redis's
// own dialer ends only with DialTimeout. And a dial never fails: it returns a connection that fails at its
// first use. go-redis would log each failed dial. After as many failures as the pool may have connections,
// it would also return the last error without dialing, even if the server is back.
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

// failedConn is a connection that could not be made. Read and Write return the error.
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
