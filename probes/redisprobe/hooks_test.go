package redisprobe_test

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/echo-probes/echohealth/internal/leaktest"
	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/redisprobe"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// tenants is a hook that refuses commands without a tenant in their context.
type tenants struct {
	calls atomic.Int32
	last  atomic.Value
}

type tenantKey struct{}

var errNoTenant = errors.New("no tenant in the context")

func (h *tenants) allow(ctx context.Context) error {
	h.calls.Add(1)
	tenant, ok := ctx.Value(tenantKey{}).(string)
	if !ok {
		return errNoTenant
	}
	h.last.Store(tenant)
	return nil
}

func (h *tenants) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		h.calls.Add(1)
		return next(ctx, network, addr)
	}
}

func (h *tenants) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if err := h.allow(ctx); err != nil {
			return err
		}
		return next(ctx, cmd)
	}
}

func (h *tenants) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if err := h.allow(ctx); err != nil {
			return err
		}
		return next(ctx, cmds)
	}
}

// open is the Limiter of an open circuit breaker. It refuses every command.
type open struct{ calls atomic.Int32 }

func (l *open) Allow() error       { l.calls.Add(1); return errors.New("the breaker is open") }
func (l *open) ReportResult(error) { l.calls.Add(1) }

// The client's hooks and its Limiter are not called, even to find out whether a client with an empty pool is
// closed.
func TestHooksAndLimiterAreNotUsed(t *testing.T) {
	hook, limiter := &tenants{}, &open{}
	server := testserver.SharedRedis(t)
	single := newClient(t, &redis.Options{Addr: server.Addr(), Limiter: limiter})
	node := oneNode(t)
	cluster := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: []string{node.Addr()},
		NewClient: func(opt *redis.Options) *redis.Client {
			opt.Limiter = limiter
			return redis.NewClient(opt)
		},
	})
	defer cluster.Close()
	cluster.OnNewNode(func(node *redis.Client) { node.AddHook(hook) })
	for _, client := range []redis.UniversalClient{single, cluster} {
		client.AddHook(hook)
		before := goleak.IgnoreCurrent()
		probe := newProbe(t, client, redisprobe.NewConnectionEvery(often))
		requireOK(t, probe)
		for range 20 {
			requireOK(t, probe)
			time.Sleep(time.Millisecond)
		}
		require.NoError(t, client.Close())
		requireError(t, probe, probes.ReasonClientClosed)
		requireError(t, newProbe(t, client), probes.ReasonClientClosed)
		require.NoError(t, probe.Close())
		leaktest.Verify(t, before)
	}
	assert.Zero(t, hook.calls.Load())
	assert.Zero(t, limiter.calls.Load())
	assert.Zero(t, single.PoolStats().Misses)
}

// To find out whether a client is closed, the probe calls a method that can create an AutoPipeline. It must
// create none, and must not change the application's.
func TestAutoPipelineIsNotChanged(t *testing.T) {
	client := newClient(t, &redis.Options{Addr: testserver.SharedRedis(t).Addr()})
	probe := newProbe(t, client)
	requireOK(t, probe)
	pipeline, err := client.AsyncAutoPipeline()
	require.NoError(t, err)
	before := goleak.IgnoreCurrent()
	requireOK(t, probe)
	require.NoError(t, pipeline.Ping(t.Context()).Err())
	leaktest.Verify(t, before)
	require.NoError(t, client.Close())
	requireError(t, probe, probes.ReasonClientClosed)
}

func TestClosedByAClone(t *testing.T) {
	client := newClient(t, &redis.Options{Addr: testserver.SharedRedis(t).Addr()})
	probe := newProbe(t, client)
	requireOK(t, probe)
	require.NoError(t, client.WithTimeout(time.Second).Close(), "which closes the pool that both share")
	requireError(t, probe, probes.ReasonClientClosed)
}

// If the probe uses the client itself, the client calls its hooks.
func TestBaseContext(t *testing.T) {
	type wrapper struct{ redis.UniversalClient }
	server := testserver.SharedRedis(t)
	hook := &tenants{}
	ring := redis.NewRing(&redis.RingOptions{
		Addrs:              map[string]string{"a": server.Addr()},
		HeartbeatFrequency: time.Hour, // the heartbeat's context has no tenant
		NewClient: func(opt *redis.Options) *redis.Client {
			shard := redis.NewClient(opt)
			shard.AddHook(hook)
			return shard
		},
	})
	defer ring.Close()
	single := newClient(t, &redis.Options{Addr: server.Addr()})
	single.AddHook(hook)

	base, cancel := context.WithTimeout(context.WithValue(t.Context(), tenantKey{}, "health"), -time.Second)
	cancel()
	for _, client := range []redis.UniversalClient{ring, wrapper{single}} {
		for _, opts := range [][]redisprobe.Option{nil, {redisprobe.PingOnly()}} {
			assert.ErrorIs(t, runSoon(t, newProbe(t, client, opts...)).Err, errNoTenant, "%T", client)
			opts = append(opts, redisprobe.BaseContext(context.Background()), redisprobe.BaseContext(base))
			probe := newProbe(t, client, opts...)
			requireOK(t, probe)
			assert.Equal(t, "health", hook.last.Load())
			own, before := context.WithValue(t.Context(), tenantKey{}, "check"), hook.calls.Load()
			assert.NoError(t, probe.Check(own).Err)
			assert.Equal(t, before+1, hook.calls.Load(), "one round trip")
			assert.Equal(t, "check", hook.last.Load(), "the check's own value comes first")
		}
	}
}

// The values are also visible when the probe makes a new connection.
func TestBaseContextOfOwnConnections(t *testing.T) {
	var connects atomic.Int32
	client := newClient(t, &redis.Options{
		Addr: testserver.SharedRedis(t).Addr(),
		OnConnect: func(ctx context.Context, _ *redis.Conn) error {
			connects.Add(1)
			if ctx.Value(tenantKey{}) == nil {
				return errNoTenant
			}
			return nil
		},
	})
	assert.ErrorIs(t, runSoon(t, newProbe(t, client)).Err, errNoTenant)
	base := context.WithValue(t.Context(), tenantKey{}, "health")
	probe := newProbe(t, client, redisprobe.BaseContext(base), redisprobe.NewConnectionEvery(often))
	for before := connects.Load(); connects.Load() < before+3; {
		requireOK(t, probe)
	}
}
