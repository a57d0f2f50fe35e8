package redisprobe

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/echo-probes/echohealth/probes"
	"github.com/redis/go-redis/v9"
)

// pool is the state of the application's connection pool. The zero value is for a client that does not
// report it.
type pool struct {
	inUse, idle, max int
}

// pool reads the application's pool of a *redis.Client. Other clients add up the pools of several servers,
// and a cluster's client may use the network for that.
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
	return []slog.Attr{
		slog.Int("pool_in_use", p.inUse), slog.Int("pool_idle", p.idle), slog.Int("pool_max", p.max),
	}
}

func (p pool) full() bool { return p.max > 0 && p.inUse >= p.max }

// saturated returns a warning if the application's pool was full both before and after the check. Being full
// at one moment is normal for a busy pool.
func saturated(before, after pool) error {
	if !before.full() || !after.full() {
		return nil
	}
	return probes.Warn(probes.ReasonPoolSaturated,
		fmt.Errorf("all %d connections of the application's pool are in use", after.max))
}

// checkOpen returns an error if the application has closed its client. Redis may still answer, because the
// check has its own connections. No method of go-redis is made for this question. The method used here needs
// no command, no connection, no hook and no Limiter: an open client rejects the invalid options before it
// creates anything.
func checkOpen(client redis.UniversalClient) error {
	_, err := client.AsyncAutoPipelineWithOptions(&redis.AutoPipelineOptions{MaxBatchSize: -1})
	if errors.Is(err, redis.ErrClosed) {
		return err
	}
	return nil
}
