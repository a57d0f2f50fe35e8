package redisprobe

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/echo-probes/echohealth/internal/basecontext"
	"github.com/echo-probes/echohealth/probes"
	"github.com/redis/go-redis/v9"
)

// ask checks every server behind client.
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
	// A client of one server does not follow redirections to other nodes of a cluster. So if the server is a
	// cluster node, it must have all slots.
	slots := p.conn == nil || p.conn.ClusterNode()
	_, err := server.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Ping(ctx)
		pipe.Set(ctx, p.prefix+key, 1, keyExpiry)
		if slots {
			return p.askSlots(ctx)(pipe)
		}
		return nil
	})
	if err == nil && !slots && p.conn.ClusterNode() { // a new connection has just reported a cluster node
		_, err = server.Pipelined(ctx, p.askSlots(ctx))
	}
	if _, moved := redis.IsMovedError(err); moved {
		return fmt.Errorf("the client is made for one server, and this is a node of a cluster: %w", err)
	}
	return err
}

// slotKeys are the ends of 16 keys, one in each sixteenth of a cluster's slots. No value is written to these
// keys. With a prefix they are still in 16 different sixteenths, because a prefix changes the CRC-16 of all
// of them by the same XOR.
var slotKeys = [16]string{
	"abo", "cuu", "enb", "gyx", "asm", "cdw", "fiz", "ghz",
	"ass", "cdi", "mvf", "ghd", "abq", "cuk", "mgd", "gyf",
}

// askSlots tests slots in the whole range of a cluster, because the slot of the probe's own key is random. A
// SET with XX of a missing key changes nothing. Redis refuses it in the same cases as a plain SET, and
// requires the same permission.
func (p *Probe) askSlots(ctx context.Context) func(redis.Pipeliner) error {
	return func(pipe redis.Pipeliner) error {
		for _, slot := range slotKeys {
			pipe.SetXX(ctx, p.prefix+"echohealth:slot:"+slot, 1, keyExpiry)
		}
		return nil
	}
}

// askCluster pings every master, because a PING of the client itself would reach only one node. Then it
// writes, because in a cluster that is down each node still answers PING.
func (p *Probe) askCluster(ctx context.Context, cluster *redis.ClusterClient) error {
	if err := pingMasters(ctx, cluster); err != nil || p.pingOnly {
		return err
	}
	_, err := cluster.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Set(ctx, p.prefix+key, 1, keyExpiry)
		return p.askSlots(ctx)(pipe)
	})
	return err
}

func pingMasters(ctx context.Context, cluster *redis.ClusterClient) error {
	var asked atomic.Bool
	err := cluster.ForEachMaster(ctx, func(ctx context.Context, master *redis.Client) error {
		asked.Store(true)
		return master.Ping(ctx).Err()
	})
	if err == nil && !asked.Load() {
		return probes.Fail(probes.ReasonDependencyStarting, errors.New("the cluster has no master yet"))
	}
	return err
}

// connect makes a new connection and closes it. For a cluster it does so with each master.
func (p *Probe) connect(ctx context.Context) error {
	ctx = basecontext.With(ctx, p.base)
	return p.conn.Fresh(ctx, func(ctx context.Context, client redis.UniversalClient) error {
		if cluster, ok := client.(*redis.ClusterClient); ok {
			return pingMasters(ctx, cluster)
		}
		return client.Ping(ctx).Err()
	})
}

// askRing checks every shard that the ring uses.
func (p *Probe) askRing(ctx context.Context, ring *redis.Ring) error {
	var asked atomic.Bool
	err := ring.ForEachShard(ctx, func(ctx context.Context, shard *redis.Client) error {
		asked.Store(true)
		return p.askServer(ctx, shard)
	})
	if err != nil || asked.Load() {
		return err
	}
	err = ring.Ping(ctx).Err() // distinguishes a closed ring from a ring whose shards are all down
	if err == nil || errors.Is(err, redis.ErrClosed) {
		return err
	}
	return probes.Fail(probes.ReasonUnreachable, err)
}
