package pgxprobe

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/echo-probes/echohealth/internal/basecontext"
	"github.com/echo-probes/echohealth/internal/newconn"
	"github.com/echo-probes/echohealth/internal/reason"
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
	base     context.Context // its values are visible to the hooks of new connections
	every    time.Duration   // interval between new connections
	runLimit time.Duration   // how long a run may last; a longer check timeout extends it
	now      func() time.Time
	runner   *sharedrun.Runner
	newConns *newconn.Tester

	// Only observe uses the fields below. It runs at most once at a time, so they need no mutex.
	own          *ownConn
	stuck        stuckDetector // watches a pool whose connections are all in use
	dialing      stuckDetector // watches a pool whose connections are all being dialed
	avoidPool    bool          // the pool did not answer in time, and the database has not answered since
	acquiring    bool          // during Acquire; stays true after a panic, which costs the pool a connection
	closedTested bool          // poolClosed has called Acquire since the pool last had a connection
	closed       bool          // the application has closed the pool
}

// New returns a probe of the database that pool connects to. The probe connects only during checks, and
// never closes the pool. A nil pool is an error at construction of the health checks.
func New(pool *pgxpool.Pool, opts ...Option) *Probe {
	// A run may last as long as dialPause, so that the next dial begins immediately after a dial without an
	// answer.
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
		"4 connections and 6 calls that timed out: the first call succeeded 111 s after the database was back, " +
		"and with connect_timeout=2 0.03 s after it. " +
		"Add connect_timeout=2 to the connection string, or set ConnConfig.ConnectTimeout"}
}

// Check sends a query to the database. If the query of an earlier check is still unanswered, Check waits for
// its answer. If that answer is an error, it is also the result of this Check; otherwise Check sends a new
// query. If ctx ends first, the result is Error with ctx's error, and the next check waits for the same
// query. An OK becomes a Warning as long as no new connection can be made.
func (p *Probe) Check(ctx context.Context) probes.Result {
	return p.newConns.Apply(ctx, p.runner.Check(ctx, sharedrun.Question{
		Observe:    p.observe,
		MinTime:    p.runLimit,
		Unanswered: func(err error) probes.Result { return p.failed(p.pool.Stat(), err) },
	}))
}

// connectAnew makes a connection as the pool does, and closes it. It tests whether the application could
// connect.
func (p *Probe) connectAnew(ctx context.Context) error {
	conn, err := connect(basecontext.With(ctx, p.base), p.config)
	if err == nil {
		discard(p.config, conn)
	}
	return err
}

// Close cancels the check in progress and closes the probe's own connections, within a second. It does not
// close the pool. It always returns nil. A later check is Error with ReasonClientClosed.
func (p *Probe) Close() error {
	var closing sync.WaitGroup
	closing.Go(func() { p.newConns.Close(time.Second) })
	p.runner.Close(time.Second)
	closing.Wait()
	return nil
}

// observe sends one query and returns the result. It uses the pool if that is safe, else the probe's own
// connection.
func (p *Probe) observe(ctx context.Context) probes.Result {
	ctx = basecontext.With(ctx, p.base)
	p.watchDials(p.pool.Stat())
	if p.closed {
		return p.judge(p.pool.Stat(), false, errPoolClosed)
	}
	if !p.avoidPool && !p.mustConnectFirst() {
		if result, ok := p.observePool(ctx); ok {
			return result
		}
	}
	poolWasSkipped := p.avoidPool || p.mustConnectFirst()
	readOnly, err := p.own.ask(ctx)
	if serverAnswered(err) {
		p.avoidPool = false
	}
	if err != nil && poolWasSkipped && !p.avoidPool && ctx.Err() == nil && reason.Of(err) != probes.ReasonPanic {
		// The server or a hook refuses the probe's own connection, but the pool's connections may work.
		if result, ok := p.observePool(ctx); ok {
			return result
		}
	}
	if err == nil && p.poolClosed(ctx) {
		p.own.close()
		err = errPoolClosed
	}
	return p.judge(p.pool.Stat(), readOnly, err)
}

// observePool queries the database on an idle connection of the pool. It returns false if the check may not
// use the pool, or if the pool has no idle connection that works.
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
			p.avoidPool = true        // the pool may still be pinging the connection that the probe wanted
			p.stuck = stuckDetector{} // otherwise it would count the probe's call as a failed one of the application
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
