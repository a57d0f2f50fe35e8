package redisprobe

import (
	"context"

	"github.com/echo-probes/echohealth/internal/redisconn"
	"github.com/redis/go-redis/v9"
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
			return &own{redisconn.New(life, client.Options()), end}
		}
	case *redis.ClusterClient:
		return func() *own {
			life, end := context.WithCancel(context.Background())
			return &own{newClusterClient(life, client.Options()), end}
		}
	}
	return nil
}

func newClusterClient(life context.Context, app *redis.ClusterOptions) *redis.ClusterClient {
	opt := *app
	opt.NewClient = func(node *redis.Options) *redis.Client {
		made := app.NewClient(node) // for what the application's function does to the options
		defer made.Close()
		return redisconn.New(life, made.Options())
	}
	opt.MinIdleConns, opt.MaintNotificationsConfig = 0, redisconn.NoNotifications() // so that made starts nothing
	opt.ReadOnly, opt.RouteByLatency, opt.RouteRandomly = false, false, false       // the masters are asked
	opt.MaxRedirects = 1                                                            // enough for a slot that moves
	return redis.NewClusterClient(&opt)
}
