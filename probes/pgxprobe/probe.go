package pgxprobe

import (
	"context"
	"errors"
	"time"

	"github.com/echo-probes/echohealth/internal/flight"
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
	patience time.Duration // how long a run may take, unless its check's timeout is longer
	now      func() time.Time
	flight   *flight.Flight

	// What follows belongs to the run in flight.

	own      *ownConn
	stuck    stuckWatch
	distrust bool // the pool kept the probe waiting, and the database has given no answer since
	asked    bool // whether the pool is closed, since it was last seen with a connection
	closed   bool // it is
}

// An Option changes what a Probe asks for.
type Option func(*Probe)

// RequireWritable makes a database that takes no writes, a standby for one, Error with ReasonReadOnly. By default it
// is ok with the detail "read_only":true.
//
// It costs nothing: PostgreSQL tells its clients in_hot_standby (since version 14) and default_transaction_read_only
// unasked, and again with the next answer after either has changed.
func RequireWritable() Option {
	return func(p *Probe) { p.writable = true }
}

// New returns a probe of the database that pool connects to. It connects only when it is checked, and never closes
// the pool. A nil pool is an error at construction of the health checks.
func New(pool *pgxpool.Pool, opts ...Option) *Probe {
	// A run takes as long as dials are kept apart, so that a hanging one is followed by the next without a gap.
	p := &Probe{pool: pool, patience: dialPause, now: time.Now}
	if pool != nil {
		p.config = pool.Config()
	}
	for _, opt := range opts {
		opt(p)
	}
	p.own = &ownConn{config: p.config, now: func() time.Time { return p.now() }}
	p.flight = flight.New(p.own.close)
	return p
}

// Validate refuses a nil pool.
func (p *Probe) Validate() error {
	if p.pool == nil {
		return errors.New("pgxprobe.New(nil): the pool must not be nil")
	}
	return nil
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
// question stays open for the next check.
func (p *Probe) Check(ctx context.Context) probes.Result {
	for asked := time.Now(); ; {
		r := p.flight.Join(ctx, p.patience, p.observe)
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

// Close ends the run in flight and closes the probe's own connection, in 1 s at most; the pool stays as it is. It
// always returns nil. A check after it is Error with ReasonClientClosed.
func (p *Probe) Close() error {
	p.flight.Close(time.Second)
	return nil
}

// observe is one run: it asks the pool where that is harmless, else the probe's own connection.
func (p *Probe) observe(ctx context.Context) probes.Result {
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

// observePool gives a result if the pool has an idle connection that isn't stale.
func (p *Probe) observePool(ctx context.Context) (probes.Result, bool) {
	const tries = 2 // after as many stale connections the rest of the pool is taken to be stale too
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
