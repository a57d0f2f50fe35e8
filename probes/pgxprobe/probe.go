package pgxprobe

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/echo-probes/echohealth/internal/basecontext"
	"github.com/echo-probes/echohealth/internal/newconn"
	"github.com/echo-probes/echohealth/internal/sharedrun"
	"github.com/echo-probes/echohealth/probes"
	"github.com/jackc/pgx/v5/pgxpool"
)

var _ probes.Probe = (*Probe)(nil)

// Probe checks the database behind a pool. Make it with New. Its methods may be called from any goroutine.
// Overlapping checks share one query.
type Probe struct {
	pool     *pgxpool.Pool
	config   *pgxpool.Config
	writable bool
	query    query
	base     context.Context // source of values for the hooks of new connections
	every    time.Duration   // between new connections
	runLimit time.Duration   // minimum limit of a run; a longer check timeout extends it
	now      func() time.Time
	runner   *sharedrun.Runner
	newConns *newconn.Tester

	// Only the run in flight uses the fields below.
	own          *ownConn
	stuck        stuckDetector // of a pool whose connections are all in use
	dialing      stuckDetector // of a pool that has nothing but dials
	avoidPool    bool          // the pool made the probe wait, and the database has not answered since
	acquiring    bool          // stays true after a panic in the pool, which has then lost a connection
	closedTested bool          // since the pool was last seen with a connection
	closed       bool          // the pool is closed
}

// New returns a probe of the database that pool connects to. The probe connects only during checks, and
// never closes the pool. A nil pool is an error at construction of the health checks.
func New(pool *pgxpool.Pool, opts ...Option) *Probe {
	// A run may last as long as the pause between dials, so that the next dial follows a hanging one at once.
	p := &Probe{
		pool: pool, base: context.Background(), every: newconn.Default, runLimit: dialPause, now: time.Now,
	}
	if pool != nil {
		p.config = pool.Config()
	}
	for _, opt := range opts {
		opt(p)
	}
	p.query = queryFor(p.writable)
	p.own = &ownConn{config: p.config, query: p.query, now: func() time.Time { return p.now() }}
	p.runner = sharedrun.New(p.own.close)
	p.newConns = newconn.New(p.every, p.connectAnew)
	return p
}

// Advise warns of a pool without a connect timeout.
func (p *Probe) Advise() []string {
	if p.config == nil || p.config.ConnConfig.ConnectTimeout > 0 {
		return nil
	}
	return []string{"pgxpool: the pool has no connect_timeout. A connection attempt that gets no answer " +
		"occupies a place in the pool for 2 minutes, even after the caller's context has ended. Measured with " +
		"4 connections and 6 calls that timed out: after the database was back, the first call succeeded " +
		"after 111 s, and with connect_timeout=2 after 0.03 s. " +
		"Add connect_timeout=2 to the connection string, or set ConnConfig.ConnectTimeout"}
}

// Check sends a query to the database. If the query of an earlier check is still open, Check waits for that
// answer, and sends a query of its own if the answer is not an error. If ctx ends first, the result is Error
// with ctx's error, and the query stays open for the next check. An OK becomes a Warning while no new
// connection can be made.
func (p *Probe) Check(ctx context.Context) probes.Result {
	return p.newConns.Apply(ctx, p.runner.Check(ctx, sharedrun.Question{
		Observe:    p.observe,
		MinTime:    p.runLimit,
		Unanswered: func(err error) probes.Result { return p.failed(p.pool.Stat(), err) },
	}))
}

// connectAnew makes a connection as the pool does, and closes it.
func (p *Probe) connectAnew(ctx context.Context) error {
	conn, err := connect(basecontext.With(ctx, p.base), p.config)
	if err == nil {
		discard(p.config, conn)
	}
	return err
}

// Close ends the run in flight and closes the probe's own connections, within a second. It does not close
// the pool. It always returns nil. A later check is Error with ReasonClientClosed.
func (p *Probe) Close() error {
	var closing sync.WaitGroup
	closing.Go(func() { p.newConns.Close(time.Second) })
	p.runner.Close(time.Second)
	closing.Wait()
	return nil
}

// observe is one run. It uses the pool if that is safe, else the probe's own connection.
func (p *Probe) observe(ctx context.Context) probes.Result {
	ctx = basecontext.With(ctx, p.base)
	p.watchDials(p.pool.Stat())
	if p.closed {
		return p.judge(p.pool.Stat(), false, errPoolClosed)
	}
	if !p.avoidPool {
		if result, ok := p.observePool(ctx); ok {
			return result
		}
	}
	readOnly, err := p.own.ask(ctx)
	if p.avoidPool && serverAnswered(err) {
		p.avoidPool = false
		if err != nil { // the server refuses the probe but is alive: the pool can be used again
			if result, ok := p.observePool(ctx); ok {
				return result
			}
		}
	}
	if err == nil && p.poolClosed(ctx) {
		p.own.close()
		err = errPoolClosed
	}
	return p.judge(p.pool.Stat(), readOnly, err)
}

// observePool returns a result if the pool has an idle connection that works.
func (p *Probe) observePool(ctx context.Context) (probes.Result, bool) {
	const tries = 2 // after two stale connections the others are probably stale too
	if p.acquiring || hasHook(p.config) {
		return probes.Result{}, false
	}
	for range tries {
		stat := p.pool.Stat()
		if stat.IdleConns() == 0 {
			break
		}
		readOnly, err := p.askPool(ctx)
		switch {
		case err == nil:
			p.own.close()
			p.closedTested = false
			return p.judge(stat, readOnly, nil), true
		case errors.Is(err, errNoneIdle):
			p.avoidPool = true        // the pool may still be pinging a connection for the probe
			p.stuck = stuckDetector{} // it would count that call as one of the application
			return probes.Result{}, false
		case ctx.Err() != nil:
			p.avoidPool = true
			return p.judge(stat, false, err), true
		case !connectionLost(err):
			return p.judge(stat, false, err), true
		}
	}
	return probes.Result{}, false
}
