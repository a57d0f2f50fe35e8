package redisprobe

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// own is a client for the checks alone. It is given up at its first failure, so that no check suffers from what an
// earlier one left behind.
type own struct {
	client redis.UniversalClient
	end    context.CancelFunc // ends what it dials: go-redis lets a dial run on in the background
}

func (o *own) close() {
	o.end()
	o.client.Close() // the only error is that it is closed already
}

// opener returns what makes a client with the settings of the application's, or nil where that can't be done. The new
// client connects to nothing before it is used.
func opener(client redis.UniversalClient) func() *own {
	switch client := client.(type) {
	case *redis.Client:
		return func() *own {
			life, end := context.WithCancel(context.Background())
			return &own{newClient(life, client.Options()), end}
		}
	case *redis.ClusterClient:
		return func() *own {
			life, end := context.WithCancel(context.Background())
			return &own{newClusterClient(life, client.Options()), end}
		}
	}
	return nil
}

func newClient(life context.Context, app *redis.Options) *redis.Client {
	client := redis.NewClient(ownOptions(life, app))
	client.AddHook(handshake{})
	return client
}

func newClusterClient(life context.Context, app *redis.ClusterOptions) *redis.ClusterClient {
	opt := *app
	opt.NewClient = func(node *redis.Options) *redis.Client {
		made := app.NewClient(node) // for what the application's function does to the options
		defer made.Close()
		return newClient(life, made.Options())
	}
	opt.MinIdleConns, opt.MaintNotificationsConfig = 0, noNotifications()     // so that made starts nothing
	opt.ReadOnly, opt.RouteByLatency, opt.RouteRandomly = false, false, false // the masters are asked
	opt.MaxRedirects = 1                                                      // enough for a slot that moves
	return redis.NewClusterClient(&opt)
}

// ownOptions returns a copy of the application's options for a client that keeps one connection, tries once, and heeds
// a deadline. What says "off" by -1 must be set in a copy, even if the application did so: in a client's options
// it has become 0, which stands for the default when a client is made of them.
func ownOptions(life context.Context, app *redis.Options) *redis.Options {
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
	opt.MaintNotificationsConfig = noNotifications()
	opt.DisableIdentity = true // saves a round trip, and an entry in the ACL log where the user may not CLIENT SETINFO
	return &opt
}

func noNotifications() *maintnotifications.Config {
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
		return conn, nil
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
