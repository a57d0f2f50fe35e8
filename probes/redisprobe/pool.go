package redisprobe

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/echo-probes/echohealth/probes"
	"github.com/redis/go-redis/v9"
)

// pool is the state of the application's connection pool. The zero value means that the client does not
// report the state.
type pool struct {
	inUse, idle, max int
}

// pool reads the state of a *redis.Client's pool. It returns the zero value for other clients, because they
// add up the pools of several servers, and a cluster's client may use the network for that.
func (p *Probe) pool() pool {
	client, ok := p.client.(*redis.Client)
	if !ok {
		return pool{}
	}
	stats, opt := client.PoolStats(), client.Options()
	now := pool{idle: int(stats.IdleConns), max: opt.PoolSize}
	now.inUse = max(0, int(stats.TotalConns)-now.idle) // TotalConns may be older than idle, and then less
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

// saturated returns a warning if the application's pool was full both before and after the check. A busy pool
// may be full at one of these times.
func saturated(before, after pool) error {
	if !before.full() || !after.full() {
		return nil
	}
	return probes.Warn(probes.ReasonPoolSaturated,
		fmt.Errorf("all %d connections of the application's pool are in use", after.max))
}

// checkOpen returns an error if the application has closed its client. Redis may still answer then, because
// the check has its own connections. go-redis has no method that reports whether a client is closed. So
// checkOpen calls a method with invalid options: a closed client returns ErrClosed, and an open client
// rejects the options. Neither uses a command, a connection, a hook or a Limiter.
func checkOpen(client redis.UniversalClient) error {
	_, err := client.AsyncAutoPipelineWithOptions(&redis.AutoPipelineOptions{MaxBatchSize: -1})
	if errors.Is(err, redis.ErrClosed) {
		return err
	}
	return nil
}
