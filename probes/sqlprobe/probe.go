package sqlprobe

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/echo-probes/echohealth/internal/newconn"
	"github.com/echo-probes/echohealth/internal/sharedrun"
	"github.com/echo-probes/echohealth/probes"
)

const (
	// patience is how long a run may take, unless its check's timeout is longer.
	patience = 10 * time.Second

	// queueLimit is how long a check waits while every connection is in use: less than any sensible timeout, so that
	// it is the probe that says why there is no answer.
	queueLimit = 250 * time.Millisecond

	// trustFor is how long the last answer vouches for a database whose pool has no connection to spare, from the first check
	// on that finds it so. How long nobody had asked before says nothing.
	trustFor = 10 * time.Second
)

var _ probes.Probe = (*Probe)(nil)

// Probe checks the database behind a *sql.DB. Make it with New. Its methods may be called from any goroutine; checks
// that overlap share one answer.
type Probe struct {
	db        *sql.DB
	statement string
	base      context.Context // its values are the driver's
	connector driver.Connector
	connects  bool // Connector was used
	every     time.Duration
	everySet  bool // NewConnectionEvery was used
	runner    *sharedrun.Runner
	newConns  *newconn.Tester
	run       run

	// What follows belongs to the run in flight.

	own   ownConn
	hooks hooks
}

// New returns a probe of the database behind db. It connects only when it is checked, and never closes db. A nil db is
// an error at construction of the health checks.
func New(db *sql.DB, opts ...Option) *Probe {
	p := &Probe{db: db, statement: "SELECT 1", base: context.Background(), every: newconn.Default}
	for _, opt := range opts {
		opt(p)
	}
	p.own.connector = p.connector
	p.runner = sharedrun.New(p.own.close)
	every := p.every
	if p.connector == nil {
		every = 0
	}
	p.newConns = newconn.New(every, p.connectAnew)
	return p
}

// Check asks the database for an answer. Where an earlier check's question is still open, it waits for that
// answer, and asks again once it has come and is a good one. When ctx ends first the result is Error with
// ctx's error, and the question stays open for the next check; so it does when the pool is saturated. An
// answer is a Warning while no new connection can be made.
func (p *Probe) Check(ctx context.Context) probes.Result {
	return p.newConns.Apply(p.answer(ctx))
}

func (p *Probe) answer(ctx context.Context) probes.Result {
	look := time.NewTimer(queueLimit)
	defer look.Stop()
	for asked := time.Now(); ; {
		r := p.runner.Join(ctx, patience, p.observe)
		if r == nil {
			return probes.Result{Status: probes.Error, Reason: probes.ReasonClientClosed, Err: errors.New("the probe is closed")}
		}
		select {
		case <-r.Done:
			if r.Answers(asked) {
				return r.Result
			}
			look.Reset(queueLimit) // the next one has to queue anew
		case <-ctx.Done():
			result, _ := p.unanswered(ctx.Err())
			return result
		case <-look.C:
			if result, ok := p.saturated(); ok {
				return result
			}
		}
	}
}

// Close ends the run in flight and closes the probe's own connections, in 1 s at most; db stays as it is. It
// always returns nil. A check after it is Error with ReasonClientClosed.
func (p *Probe) Close() error {
	var closing sync.WaitGroup
	closing.Go(func() { p.newConns.Close(time.Second) })
	p.runner.Close(time.Second)
	closing.Wait()
	return nil
}

// unanswered is the result of a failure, and whether it is the pool's, which could not spare a connection to ask with.
func (p *Probe) unanswered(err error) (result probes.Result, saturated bool) {
	if errors.Is(err, context.DeadlineExceeded) {
		if result, ok := p.saturated(); ok {
			return result, true
		}
	}
	return probes.Result{Status: probes.Error, Details: details(p.db.Stats()), Err: err}, false
}

// saturated is the result where every connection is in use. They say nothing about the database; its last answer does,
// for a while.
func (p *Probe) saturated() (probes.Result, bool) {
	stats, wait := p.run.look(p.db)
	if wait == notWaiting {
		return probes.Result{}, false
	}
	err := fmt.Errorf("all %d connections of the pool are in use", stats.MaxOpenConnections)
	result := probes.Result{Status: probes.Warning, Reason: probes.ReasonPoolSaturated, Details: details(stats), Err: err}
	switch wait {
	case blind:
		result.Status, result.Reason = probes.Error, probes.ReasonTimeout
		result.Err = fmt.Errorf("%w, and the database has not answered since the last failure, or since the start", err)
	case tooLong:
		result.Status, result.Reason = probes.Error, probes.ReasonTimeout
		result.Err = fmt.Errorf("%w, and for %s no check could ask the database", err, trustFor)
	}
	return result, true
}

func details(stats sql.DBStats) []slog.Attr {
	attrs := make([]slog.Attr, 0, 3)
	attrs = append(attrs, slog.Int("pool_in_use", stats.InUse), slog.Int("pool_idle", stats.Idle))
	if stats.MaxOpenConnections > 0 {
		attrs = append(attrs, slog.Int("pool_max", stats.MaxOpenConnections))
	}
	return attrs
}
