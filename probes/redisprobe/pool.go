package redisprobe

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/echo-probes/echohealth/probes"
	"github.com/redis/go-redis/v9"
)

// pool is what the application's pool of connections holds. The zero value stands for a client that doesn't say.
type pool struct {
	inUse, idle, max int
}

// pool reads the application's pool, of a *redis.Client alone: the others add up the pools of several servers, and a
// cluster's client may go to the network for it.
func (p *Probe) pool() pool {
	client, ok := p.client.(*redis.Client)
	if !ok {
		return pool{}
	}
	stats, opt := client.PoolStats(), client.Options()
	now := pool{idle: int(stats.IdleConns), max: opt.PoolSize}
	now.inUse = max(0, int(stats.TotalConns)-now.idle) // the two are not read at the same time
	if opt.MaxActiveConns > 0 {
		now.max = min(now.max, opt.MaxActiveConns)
	}
	return now
}

func (p pool) details() []slog.Attr {
	if p.max == 0 {
		return nil
	}
	return []slog.Attr{slog.Int("pool_in_use", p.inUse), slog.Int("pool_idle", p.idle), slog.Int("pool_max", p.max)}
}

func (p pool) full() bool { return p.max > 0 && p.inUse >= p.max }

// saturated returns a warning when the application's pool was full before the check and after it. To be full at one
// moment is what any busy pool is.
func saturated(before, after pool) error {
	if !before.full() || !after.full() {
		return nil
	}
	return probes.Warn(probes.ReasonPoolSaturated, fmt.Errorf("all %d connections of the application's pool are in use", after.max))
}

// usable returns an error when the application's client, over which nothing was asked so far, can't be used while Redis
// answers. Nothing but its use tells that it is closed; but then it holds no connection, and where it holds none,
// nobody waits for one.
func (p *Probe) usable(ctx context.Context) error {
	if p.client.PoolStats().TotalConns > 0 {
		return nil
	}
	return p.client.Ping(ctx).Err()
}
