package pgxprobe_test

import (
	"context"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/pgxprobe"
)

// nameTracer counts the calls of the tracer by the names of the checks in their contexts.
type nameTracer struct {
	mu    sync.Mutex
	calls map[string]int
}

func (n *nameTracer) note(ctx context.Context) context.Context {
	name, _ := probes.CheckName(ctx)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.calls[name]++
	return ctx
}

func (n *nameTracer) take() map[string]int {
	n.mu.Lock()
	defer n.mu.Unlock()
	calls := n.calls
	n.calls = map[string]int{}
	return calls
}

func (n *nameTracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return n.note(ctx)
}
func (n *nameTracer) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (n *nameTracer) TraceConnectStart(ctx context.Context, _ pgx.TraceConnectStartData) context.Context {
	return n.note(ctx)
}
func (n *nameTracer) TraceConnectEnd(context.Context, pgx.TraceConnectEndData) {}

func (n *nameTracer) TraceAcquireStart(ctx context.Context, _ *pgxpool.Pool, _ pgxpool.TraceAcquireStartData) context.Context {
	return n.note(ctx)
}
func (n *nameTracer) TraceAcquireEnd(context.Context, *pgxpool.Pool, pgxpool.TraceAcquireEndData) {}

// A tracer of pgx sees the check's name in every call: on the pool's connection, on the probe's own, on a new
// one, and when the probe tests whether the pool is closed.
func TestTracersSeeTheCheckName(t *testing.T) {
	server := testserver.NewPostgres(t)
	tracer := &nameTracer{calls: map[string]int{}}
	traced := func(c *pgxpool.Config) { c.ConnConfig.Tracer = tracer }
	ctx := probes.WithCheckName(t.Context(), "database")
	for name, use := range map[string]func(pool *pgxpool.Pool){
		"idle connection": func(pool *pgxpool.Pool) { require.NoError(t, pool.Ping(t.Context())) },
		"empty pool":      func(*pgxpool.Pool) {},
		"emptied pool":    func(pool *pgxpool.Pool) { require.NoError(t, pool.Ping(t.Context())); pool.Reset() },
	} {
		t.Run(name, func(t *testing.T) {
			pool := newPool(t, server.DSN(), traced)
			use(pool)
			probe := newProbe(t, pool, pgxprobe.BaseContext(t.Context()))
			tracer.take()
			for range 3 {
				assertResult(t, probe.Check(ctx), probes.OK, "")
			}
			require.NoError(t, probe.ConnectAnew(ctx))
			calls := tracer.take()
			assert.Positive(t, calls["database"])
			assert.Zero(t, calls[""], "%v", calls)
		})
	}
}
