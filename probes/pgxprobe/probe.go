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

// Probe checks the database behind a pool. Make it with New. Its methods may be called from any goroutine; checks
// that overlap ask one question at a time.
type Probe struct {
	pool     *pgxpool.Pool
	config   *pgxpool.Config
	writable bool
	base     context.Context // its values are the hooks'
	every    time.Duration   // between new connections
	patience time.Duration   // how long a run may take, unless its check's timeout is longer
	now      func() time.Time
	runner   *sharedrun.Runner
	newConns *newconn.Tester

	// What follows belongs to the run in flight.

	own       *ownConn
	stuck     stuckWatch
	distrust  bool // the pool kept the probe waiting, and the database has given no answer since
	acquiring bool // stays so after a panic in the pool, which has lost a connection by it
	asked     bool // whether the pool is closed, since it was last seen with a connection
	closed    bool // it is
}

// New returns a probe of the database that pool connects to. It connects only when it is checked, and never closes
// the pool. A nil pool is an error at construction of the health checks.
func New(pool *pgxpool.Pool, opts ...Option) *Probe {
	// A run takes as long as dials are kept apart, so that a hanging one is followed by the next without a gap.
	p := &Probe{
		pool: pool, base: context.Background(), every: newconn.Default, patience: dialPause, now: time.Now,
	}
	if pool != nil {
		p.config = pool.Config()
	}
	for _, opt := range opts {
		opt(p)
	}
	p.own = &ownConn{config: p.config, hooks: hooksOf(p.config), now: func() time.Time { return p.now() }}
	p.runner = sharedrun.New(p.own.close)
	p.newConns = newconn.New(p.every, p.connectAnew)
	return p
}

// Advise warns of a pool whose dials have no limit of their own.
func (p *Probe) Advise() []string {
	if p.config == nil || p.config.ConnConfig.ConnectTimeout > 0 {
		return nil
	}
	return []string{"pgxpool: the pool has no connect_timeout, so a dial that gets no answer holds one of its " +
		"connections for 2 minutes, whatever the caller's context says. Measured with 4 connections and 6 calls that " +
		"timed out: the first success came 111 s after the database was back, with connect_timeout=2 after 0.03 s. " +
		"Add connect_timeout=2 to the connection string, or set ConnConfig.ConnectTimeout"}
}

// Check asks the database for an answer. Where an earlier check's question is still open, it waits for that answer, and
// asks again once it has come and is a good one. When ctx ends first the result is Error with ctx's error, and the
// question stays open for the next check. An answer is a Warning while no new connection can be made.
func (p *Probe) Check(ctx context.Context) probes.Result {
	return p.newConns.Apply(p.answer(ctx))
}

func (p *Probe) answer(ctx context.Context) probes.Result {
	for asked := time.Now(); ; {
		r := p.runner.Join(ctx, p.patience, p.observe)
		if r == nil {
			return probes.Result{Status: probes.Error, Reason: probes.ReasonClientClosed, Err: errors.New("the probe is closed")}
		}
		select {
		case <-r.Done:
			if r.Answers(asked) {
				return r.Result
			}
		case <-ctx.Done():
			return p.failed(p.pool.Stat(), ctx.Err())
		}
	}
}

// connectAnew makes a connection as the pool does, and closes it.
func (p *Probe) connectAnew(ctx context.Context) error {
	conn, err := connect(basecontext.With(ctx, p.base), p.config)
	if err == nil {
		discard(p.config, conn)
	}
	return err
}

// Close ends the run in flight and closes the probe's own connections, in 1 s at most; the pool stays as it
// is. It always returns nil. A check after it is Error with ReasonClientClosed.
func (p *Probe) Close() error {
	var closing sync.WaitGroup
	closing.Go(func() { p.newConns.Close(time.Second) })
	p.runner.Close(time.Second)
	closing.Wait()
	return nil
}

// observe is one run: it asks the pool where that is harmless, else the probe's own connection.
func (p *Probe) observe(ctx context.Context) probes.Result {
	ctx = basecontext.With(ctx, p.base)
	if p.closed {
		return p.judge(p.pool.Stat(), false, errPoolClosed)
	}
	if !p.distrust {
		if result, ok := p.observePool(ctx); ok {
			return result
		}
	}
	readOnly, err := p.own.ask(ctx)
	if p.distrust && serverAnswered(err) {
		p.distrust = false
		if err != nil { // it has no connection for the probe, but is alive: the pool can be asked again
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

// observePool gives a result if the pool has an idle connection that isn't stale, and no hook that may cost
// it one.
func (p *Probe) observePool(ctx context.Context) (probes.Result, bool) {
	const tries = 2 // after as many stale connections the rest of the pool is taken to be stale too
	if p.acquiring || !p.own.hooks.none() {
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
			p.asked = false
			return p.judge(stat, readOnly, nil), true
		case errors.Is(err, errNoneIdle):
			p.distrust = true      // the pool may be pinging a connection for the probe still
			p.stuck = stuckWatch{} // it would take that call for the application's
			return probes.Result{}, false
		case ctx.Err() != nil:
			p.distrust = true
			return p.judge(stat, false, err), true
		case !lost(err):
			return p.judge(stat, false, err), true
		}
	}
	return probes.Result{}, false
}
