package redisprobe

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/echo-probes/echohealth/probes"
	"github.com/redis/go-redis/v9"
)

// ask asks every server that client stands for.
func (p *Probe) ask(ctx context.Context, client redis.UniversalClient) error {
	switch client := client.(type) {
	case *redis.ClusterClient:
		return p.askCluster(ctx, client)
	case *redis.Ring:
		return p.askRing(ctx, client)
	default:
		return p.askServer(ctx, client)
	}
}

func (p *Probe) askServer(ctx context.Context, server redis.Cmdable) error {
	if p.pingOnly {
		return server.Ping(ctx).Err()
	}
	_, err := server.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Ping(ctx)
		pipe.Set(ctx, key, 1, keyExpiry)
		return nil
	})
	return err
}

// askCluster asks every master, since the client would send a PING to any one node, and then writes, since in a cluster
// that is down each node still answers PING.
func (p *Probe) askCluster(ctx context.Context, cluster *redis.ClusterClient) error {
	var asked atomic.Bool
	err := cluster.ForEachMaster(ctx, func(ctx context.Context, master *redis.Client) error {
		asked.Store(true)
		return master.Ping(ctx).Err()
	})
	switch {
	case err != nil:
		return err
	case !asked.Load():
		return probes.Fail(probes.ReasonDependencyStarting, errors.New("the cluster has no master yet"))
	case p.pingOnly:
		return nil
	}
	return cluster.Set(ctx, key, 1, keyExpiry).Err()
}

// askRing asks every shard that the ring uses.
func (p *Probe) askRing(ctx context.Context, ring *redis.Ring) error {
	var asked atomic.Bool
	err := ring.ForEachShard(ctx, func(ctx context.Context, shard *redis.Client) error {
		asked.Store(true)
		return p.askServer(ctx, shard)
	})
	if err != nil || asked.Load() {
		return err
	}
	err = ring.Ping(ctx).Err() // says whether the ring is closed, or no shard is up
	if err == nil || errors.Is(err, redis.ErrClosed) {
		return err
	}
	return probes.Fail(probes.ReasonUnreachable, err)
}
