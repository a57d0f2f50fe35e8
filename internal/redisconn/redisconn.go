// Package redisconn keeps the Redis clients that redisprobe and celeryprobe ask over: with the settings of
// the application's client, but with a connection of their own, and naming the cause of a failure at once. A
// client with go-redis's defaults ignores its callers' deadlines, and tries again until only "context
// deadline exceeded" is left of a connection that was refused.
package redisconn

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// New returns a Conn with the settings of the application's client. It connects to nothing before it is used.
func New(app *redis.Options) *Conn {
	c := newConn()
	c.make = func(life context.Context) redis.UniversalClient { return c.client(life, app) }
	return c
}

// NewCluster is New for a cluster. Its clients ask the masters.
func NewCluster(app *redis.ClusterOptions) *Conn {
	c := newConn()
	c.make = func(life context.Context) redis.UniversalClient { return c.clusterClient(life, app) }
	return c
}

// client returns a client whose dials end with life: go-redis lets a dial run on in the background.
func (c *Conn) client(life context.Context, app *redis.Options) *redis.Client {
	client := redis.NewClient(options(life, app))
	client.AddHook(handshake{&c.node})
	return client
}

func (c *Conn) clusterClient(life context.Context, app *redis.ClusterOptions) *redis.ClusterClient {
	opt := *app
	opt.NewClient = func(node *redis.Options) *redis.Client {
		made := app.NewClient(node) // for what the application's function does to the options
		defer made.Close()
		return c.client(life, made.Options())
	}
	opt.MinIdleConns, opt.MaintNotificationsConfig = 0, noNotifications()     // so that made starts nothing
	opt.ReadOnly, opt.RouteByLatency, opt.RouteRandomly = false, false, false // the masters are asked
	opt.MaxRedirects = 1                                                      // enough for a slot that moves
	return redis.NewClusterClient(&opt)
}

// options returns a copy of the application's options for a client that keeps one connection and tries once.
// What says "off" by -1 must be set in a copy, even if the application did so: in a client's options it has
// become 0, which stands for the default when a client is made of them.
func options(life context.Context, app *redis.Options) *redis.Options {
	opt := *app
	opt.Dialer = dialer(life, app)
	// A call ends by the closing of its client (Conn.run). A read's own deadline may come before that of the
	// context, and would pass for a failure to try once more.
	opt.ContextTimeoutEnabled = false
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
	opt.MaintNotificationsConfig = noNotifications()
	opt.DisableIdentity = true // saves a round trip, and an entry in the ACL log where the user may not CLIENT SETINFO
	return &opt
}

// noNotifications is what turns off go-redis's maintenance notifications, which would have it dial in the
// background.
func noNotifications() *maintnotifications.Config {
	return &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

// dialer returns the application's dialer, made to end with life (but go-redis's own with TLS ends with
// DialTimeout), and never to fail: what can't be connected becomes a connection that fails at its first use.
// go-redis would log each failed dial, and after as many as the pool may have connections answer by the last
// one's error, even if the server is back.
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
