// Package sharedrun shares one run of a database's observation among all checks that wait for it. A run has
// its own goroutine and its own context, because drivers close a connection when the context of its query
// ends: a check that times out must not end the run.
package sharedrun

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/echo-probes/echohealth/internal/basecontext"
	"github.com/echo-probes/echohealth/probes"
)

// Question describes the run that a check asks a Runner for.
type Question struct {
	// Observe makes the run. Its context has the values of the check's context.
	Observe func(context.Context) probes.Result

	// MinTime is how long a run may take at least. A check whose context ends later extends it.
	MinTime time.Duration

	// Unanswered returns the result of a check whose context has ended with this error.
	Unanswered func(error) probes.Result

	// Early is asked once in each run that has lasted for EarlyAfter, whether there is a result already. It
	// may be nil.
	Early      func() (probes.Result, bool)
	EarlyAfter time.Duration
}

// early returns a channel that has a value when Early is due.
func (q Question) early() <-chan time.Time {
	if q.Early == nil {
		return nil
	}
	return time.After(q.EarlyAfter)
}

// run is one observation of a database.
type run struct {
	began  time.Time
	done   chan struct{} // closed at the end
	result probes.Result // valid after done
}

// answers reports whether the finished run answers a check that began at asked. A failure always does. A
// success of a run that began before the check does not: the run may have taken any time, and a database that
// answers after 6 s would seem fast to a check that began after 5 s.
func (r *run) answers(asked time.Time) bool {
	return r.result.Status == probes.Error || !r.began.Before(asked)
}

// Runner executes at most one run at a time.
type Runner struct {
	ctx     context.Context // parent of the runs' contexts; ends with Close
	cancel  context.CancelFunc
	cleanup func() // called after the last run, perhaps more than once

	mu     sync.Mutex // guards run and closed
	run    *run       // nil when none is in flight
	closed bool
}

// New returns a Runner without a run. It calls cleanup after the last run, perhaps more than once.
func New(cleanup func()) *Runner {
	ctx, cancel := context.WithCancel(context.Background())
	return &Runner{ctx: ctx, cancel: cancel, cleanup: cleanup}
}

// Check returns the result of the run in flight, or of a new one: if there is no run in flight, or if that
// run began before the check and its result is not an error. If ctx ends first, Check returns q.Unanswered's
// result, and the run stays in flight for the next check. After Close the result is an error with
// ReasonClientClosed.
func (r *Runner) Check(ctx context.Context, q Question) probes.Result {
	early := q.early()
	for asked := time.Now(); ; {
		run := r.join(ctx, q)
		if run == nil {
			return probes.Result{Status: probes.Error, Reason: probes.ReasonClientClosed,
				Err: errors.New("the probe is closed")}
		}
		select {
		case <-run.done:
			if run.answers(asked) {
				return run.result
			}
			early = q.early()
		case <-ctx.Done():
			return q.Unanswered(ctx.Err())
		case <-early:
			if result, ok := q.Early(); ok {
				return result
			}
		}
	}
}

// join returns the run in flight. If there is none, join starts one. The run may take until the deadline of
// ctx, but at least q.MinTime. Its context has the values of ctx, but not its cancellation. Join returns nil
// after Close.
func (r *Runner) join(ctx context.Context, q Question) *run {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.run == nil && !r.closed {
		r.run = &run{began: time.Now(), done: make(chan struct{})}
		deadline, _ := ctx.Deadline() // the zero time without one: then MinTime holds
		go r.execute(ctx, r.run, max(q.MinTime, time.Until(deadline)), q.Observe)
	}
	return r.run
}

func (r *Runner) execute(values context.Context, run *run, limit time.Duration,
	observe func(context.Context) probes.Result) {
	ctx, cancel := context.WithTimeout(r.ctx, limit)
	defer cancel()
	defer r.finish(run)
	run.result = observe(basecontext.With(ctx, values))
	if r.ctx.Err() != nil {
		r.cleanup() // Close may have returned before the end of this run
	}
}

// finish ends a run. It contains a panic, for example of an application's hook, which would end the process.
func (r *Runner) finish(run *run) {
	if v := recover(); v != nil {
		err := fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		run.result = probes.Result{Status: probes.Error, Reason: probes.ReasonPanic, Err: err}
	}
	r.mu.Lock()
	r.run = nil
	r.mu.Unlock()
	close(run.done)
}

// Close cancels the run in flight and waits for its end, but no longer than limit. No run begins after Close.
func (r *Runner) Close(limit time.Duration) {
	r.mu.Lock()
	run := r.run
	r.closed = true
	r.mu.Unlock()
	r.cancel()
	if run != nil {
		select {
		case <-run.done:
		case <-time.After(limit):
			return
		}
	}
	r.cleanup()
}
