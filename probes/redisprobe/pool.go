package redisprobe

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/echo-probes/echohealth/probes"
	"github.com/redis/go-redis/v9"
)

// pool is what the application's pool of connections holds. The zero value stands for a client that doesn't
// say.
type pool struct {
	inUse, idle, max int
}

// pool reads the application's pool, of a *redis.Client alone: the others add up the pools of several
// servers, and a cluster's client may go to the network for it.
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

// saturated returns a warning when the application's pool was full before the check and after it. To be full
// at one moment is what any busy pool is.
func saturated(before, after pool) error {
	if !before.full() || !after.full() {
		return nil
	}
	return probes.Warn(probes.ReasonPoolSaturated, fmt.Errorf("all %d connections of the application's pool are in use", after.max))
}

// checkOpen returns an error when the application has closed its client. Redis may answer all the same, as
// the check has connections of its own. No method of go-redis says so alone. This one does without a command,
// a connection, a hook or the Limiter: options that are not valid keep it from making anything for a client
// that is open.
func checkOpen(client redis.UniversalClient) error {
	_, err := client.AsyncAutoPipelineWithOptions(&redis.AutoPipelineOptions{MaxBatchSize: -1})
	if errors.Is(err, redis.ErrClosed) {
		return err
	}
	return nil
}
