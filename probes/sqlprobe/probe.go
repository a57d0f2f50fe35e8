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
	// runLimit is how long a query may take. If a check's timeout is longer, the query may take as long as that
	// timeout.
	runLimit = 10 * time.Second

	// queueLimit is how long a check waits if every connection is in use. It is shorter than any sensible
	// timeout, so that the check ends with the reason pool_saturated before it times out.
	queueLimit = 250 * time.Millisecond

	// answerValidFor is how long the probe relies on the last answer of the database if the pool has no free
	// connection. The time begins with the first check that finds the pool saturated.
	answerValidFor = 10 * time.Second
)

var _ probes.Probe = (*Probe)(nil)

// Probe checks the database behind a *sql.DB. Make it with New. Its methods may be called from any
// goroutine. Overlapping checks share one query.
type Probe struct {
	db        *sql.DB
	statement string
	base      context.Context // its values are visible to the driver
	connector driver.Connector
	connects  bool // Connector was used
	every     time.Duration
	everySet  bool // NewConnectionEvery was used
	runner    *sharedrun.Runner
	newConns  *newconn.Tester
	run       run

	writable    bool   // RequireWritable or ReadOnlyQuery was used
	question    string // statement that asks whether the database is read-only
	questionSet bool   // ReadOnlyQuery was used

	// Only observe uses the fields below. It runs at most once at a time, so they need no mutex.
	own      ownConn
	hooks    hooks
	readOnly bool // the database last answered that it is read-only; always false unless writable
}

// New returns a probe of the database behind db. The probe connects only during checks, and never closes db.
// A nil db is an error at construction of the health checks.
func New(db *sql.DB, opts ...Option) *Probe {
	p := &Probe{db: db, statement: "SELECT 1", base: context.Background(), every: newconn.Default}
	for _, opt := range opts {
		opt(p)
	}
	p.setQuestion()
	p.own.connector = p.connector
	p.runner = sharedrun.New(p.own.close)
	every := p.every
	if p.connector == nil {
		every = 0
	}
	p.newConns = newconn.New(every, p.connectAnew)
	return p
}

// Check sends the statement to the database. If the statement of an earlier check is still unanswered, Check
// waits for its answer. If that answer is an error, it is also the result of this Check; otherwise Check
// sends the statement again. If ctx ends first, the result is Error with ctx's error. If the pool is
// saturated for queueLimit, the result is ReasonPoolSaturated or an Error. In both cases the next check waits
// for the same statement. An OK becomes a Warning as long as no new connection can be made.
func (p *Probe) Check(ctx context.Context) probes.Result {
	return p.newConns.Apply(ctx, p.runner.Check(ctx, sharedrun.Question{
		Observe: p.observe,
		MinTime: runLimit,
		Unanswered: func(err error) probes.Result {
			result, _ := p.unanswered(err)
			return result
		},
		Early:      p.saturated,
		EarlyAfter: queueLimit,
	}))
}

// Close cancels the check in progress and closes the probe's own connections, within a second. It does not
// close db. It always returns nil. A later check is Error with ReasonClientClosed.
func (p *Probe) Close() error {
	var closing sync.WaitGroup
	closing.Go(func() { p.newConns.Close(time.Second) })
	p.runner.Close(time.Second)
	closing.Wait()
	return nil
}

// unanswered returns the result of a check that got err instead of an answer. The second result is true if
// the cause is the pool, which has no free connection.
func (p *Probe) unanswered(err error) (result probes.Result, saturated bool) {
	if errors.Is(err, context.DeadlineExceeded) {
		if result, ok := p.saturated(); ok {
			return result, true
		}
	}
	return probes.Result{Status: probes.Error, Details: details(p.db.Stats()), Err: err}, false
}

// saturated returns the result of a check that waits in the pool's queue because every connection is in use.
// The result depends on the last answer of the database, which is valid for answerValidFor. The second result
// is false if the check does not wait in the queue.
func (p *Probe) saturated() (probes.Result, bool) {
	stats, wait := p.run.waitState(p.db)
	if wait == notWaiting {
		return probes.Result{}, false
	}
	err := fmt.Errorf("all %d connections of the pool are in use", stats.MaxOpenConnections)
	result := probes.Result{Status: probes.Warning, Reason: probes.ReasonPoolSaturated,
		Details: details(stats), Err: err}
	switch wait {
	case noAnswer:
		result.Status, result.Reason = probes.Error, probes.ReasonTimeout
		result.Err = fmt.Errorf(
			"%w, and the database has not answered since the last failure, or since the start", err)
	case oldAnswer:
		result.Status, result.Reason = probes.Error, probes.ReasonTimeout
		result.Err = fmt.Errorf("%w, and for %s no check could ask the database", err, answerValidFor)
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
