package sqlprobe

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/echo-probes/echohealth/internal/flight"
	"github.com/echo-probes/echohealth/probes"
)

const (
	// patience is how long a run may take, unless its check's timeout is longer.
	patience = 10 * time.Second

	// queueLimit is how long a check waits while every connection is in use: less than any sensible timeout, so that
	// it is the probe that says why there is no answer.
	queueLimit = 250 * time.Millisecond

	// trustFor is how long the last answer vouches for a database whose pool has no connection to spare.
	trustFor = 10 * time.Second
)

var _ probes.Probe = (*Probe)(nil)

// Probe checks the database behind a *sql.DB. Make it with New. Its methods may be called from any goroutine; checks
// that overlap share one answer.
type Probe struct {
	db        *sql.DB
	statement string
	flight    *flight.Flight

	start    time.Time
	answered atomic.Int64 // when the database last answered, in nanoseconds after start; zero for never

	// Of the run in flight, or the last one:
	waits atomic.Int64 // how many calls had ever waited for a connection when it began
	holds atomic.Bool  // it has a connection
}

// An Option changes what a Probe asks for.
type Option func(*Probe)

// Query replaces SELECT 1 by another statement. It is run as it is, its rows are read and ignored, and one that turns
// out to be sent on a closed connection is sent again: it should change nothing and return little. Empty is an error
// at construction of the health checks; of several the last one counts.
func Query(statement string) Option {
	return func(p *Probe) { p.statement = statement }
}

// New returns a probe of the database behind db. It connects only when it is checked, and never closes db. A nil db is
// an error at construction of the health checks.
func New(db *sql.DB, opts ...Option) *Probe {
	p := &Probe{db: db, statement: "SELECT 1", start: time.Now(), flight: flight.New(func() {})}
	for _, opt := range opts {
		opt(p)
	}
	return p
}

// Validate refuses a nil db and an empty statement.
func (p *Probe) Validate() error {
	var errs []error
	if p.db == nil {
		errs = append(errs, errors.New("sqlprobe.New(nil): the database must not be nil"))
	}
	if strings.TrimSpace(p.statement) == "" {
		errs = append(errs, fmt.Errorf("sqlprobe.Query(%q): the statement must not be empty", p.statement))
	}
	return errors.Join(errs...)
}

// Check asks the database for an answer, or waits for the one that an earlier check asked for. When ctx ends first
// the result is Error with ctx's error, and the question stays open for the next check; so it does when the pool is
// saturated.
func (p *Probe) Check(ctx context.Context) probes.Result {
	r := p.flight.Join(max(patience, remaining(ctx)), p.observe)
	if r == nil {
		return probes.Result{Status: probes.Error, Reason: probes.ReasonClientClosed, Err: errors.New("the probe is closed")}
	}
	look := time.NewTimer(queueLimit)
	defer look.Stop()
	for {
		select {
		case <-r.Done:
			return r.Result
		case <-ctx.Done():
			return p.judge(ctx.Err())
		case <-look.C:
			if stats := p.db.Stats(); p.queued(stats) {
				return p.saturated(stats)
			}
		}
	}
}

// Close ends the run in flight and waits for it, for 1 s at most; db stays as it is. It always returns nil. A check
// after it is Error with ReasonClientClosed.
func (p *Probe) Close() error {
	p.flight.Close(time.Second)
	return nil
}

// judge gives the result for an answer or a failure.
func (p *Probe) judge(err error) probes.Result {
	stats := p.db.Stats()
	switch {
	case err == nil:
		return probes.Result{Status: probes.OK, Details: details(stats)}
	case errors.Is(err, context.DeadlineExceeded) && p.queued(stats):
		return p.saturated(stats)
	}
	return probes.Result{Status: probes.Error, Details: details(stats), Err: err}
}

// queued reports whether the run in flight waits for the application to give a connection back. If nobody has begun
// to wait since it began, it is connecting.
func (p *Probe) queued(stats sql.DBStats) bool {
	full := stats.MaxOpenConnections > 0 && stats.InUse >= stats.MaxOpenConnections
	return full && stats.WaitCount > p.waits.Load() && !p.holds.Load()
}

// saturated is the result where every connection is in use. They say nothing about the database; its last answer does,
// for a while.
func (p *Probe) saturated(stats sql.DBStats) probes.Result {
	err := fmt.Errorf("all %d connections of the pool are in use", stats.MaxOpenConnections)
	result := probes.Result{Status: probes.Warning, Reason: probes.ReasonPoolSaturated, Details: details(stats), Err: err}
	answered := time.Duration(p.answered.Load())
	if age := time.Since(p.start) - answered; answered == 0 || age >= trustFor {
		result.Status, result.Reason = probes.Error, probes.ReasonTimeout
		result.Err = fmt.Errorf("%w, and the database has not answered in the last %s", err, trustFor)
	}
	return result
}

func details(stats sql.DBStats) []slog.Attr {
	attrs := make([]slog.Attr, 0, 3)
	attrs = append(attrs, slog.Int("pool_in_use", stats.InUse), slog.Int("pool_idle", stats.Idle))
	if stats.MaxOpenConnections > 0 {
		attrs = append(attrs, slog.Int("pool_max", stats.MaxOpenConnections))
	}
	return attrs
}

// remaining is the time until ctx's deadline, zero without one.
func remaining(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return 0
	}
	return time.Until(deadline)
}
