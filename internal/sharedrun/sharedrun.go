// Package sharedrun shares one run of a database observation among all checks that wait for it. A run has its
// own goroutine and context, because it must continue if a check times out: drivers close a connection when
// the context of its query ends.
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

// Question describes the run that a check needs.
type Question struct {
	// Observe makes the run. Its context has the values of the check's context.
	Observe func(context.Context) probes.Result

	// MinTime is the shortest timeout of a run. If the context of the check that starts the run ends later, the
	// run may take until then.
	MinTime time.Duration

	// Unanswered returns the result of a check whose context has ended. Its argument is the context's error.
	Unanswered func(error) probes.Result

	// Early is called when a check has waited for a run for EarlyAfter. If it returns true, its result is the
	// check's. It may be nil.
	Early      func() (probes.Result, bool)
	EarlyAfter time.Duration
}

// early returns a channel that receives a value after EarlyAfter. The channel is nil without Early.
func (q Question) early() <-chan time.Time {
	if q.Early == nil {
		return nil
	}
	return time.After(q.EarlyAfter)
}

// run is one observation of a database.
type run struct {
	began  time.Time
	done   chan struct{} // closed at the end of the run
	result probes.Result // set before done is closed
}

// answers reports whether the finished run has a result for a check that began at asked. An error always
// counts. A success counts only if the run began after the check. Otherwise the database could seem faster
// than it is: if it needs 6 s, a check that began 5 s after the run would measure 1 s.
func (r *run) answers(asked time.Time) bool {
	return r.result.Status == probes.Error || !r.began.Before(asked)
}

// Runner executes at most one run at a time.
type Runner struct {
	ctx     context.Context // the parent of the runs' contexts; Close cancels it
	cancel  context.CancelFunc
	cleanup func() // called after the last run, perhaps several times

	mu     sync.Mutex // guards run and closed
	run    *run       // nil if no run is in progress
	closed bool
}

// New returns a Runner. After Close and the last run it calls cleanup, perhaps several times.
func New(cleanup func()) *Runner {
	ctx, cancel := context.WithCancel(context.Background())
	return &Runner{ctx: ctx, cancel: cancel, cleanup: cleanup}
}

// Check returns the result of a run. It waits for the run in progress, if there is one. If this run began
// before the check and succeeds, Check waits for a second run. If ctx ends first, Check returns
// q.Unanswered's result, and the run continues for the next check. After Close the result is an error with
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

// join returns the run in progress. If there is none, join starts one. The new run may take until the
// deadline of ctx, but at least q.MinTime. Its context has the values of ctx, but not its cancellation. After
// Close, join returns nil if no run is in progress.
func (r *Runner) join(ctx context.Context, q Question) *run {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.run == nil && !r.closed {
		r.run = &run{began: time.Now(), done: make(chan struct{})}
		deadline, _ := ctx.Deadline() // without a deadline this is the zero time, and MinTime is used
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
		r.cleanup() // Close may have returned during this run, without the cleanup
	}
}

// finish ends a run. It recovers from a panic of the run, for example of an application's hook, which would
// otherwise end the process.
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

// Close cancels the run in progress and waits for its end, but not longer than limit. No run begins after
// Close.
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
