// Package sharedrun shares one run of a database's observation among all checks that wait for it. A run has
// its own goroutine and its own context, because drivers close a connection when the context of its query
// ends: a check that times out must not end the run.
package sharedrun

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/echo-probes/echohealth/internal/basecontext"
	"github.com/echo-probes/echohealth/probes"
)

// Run is one observation of a database.
type Run struct {
	Began  time.Time
	Done   chan struct{} // closed at the end
	Result probes.Result // valid after Done
}

// Answers reports whether the finished run answers a check that began at asked. A failure always does. A
// success of a run that began before the check does not: the run may have taken any time, and a database that
// answers after 6 s would seem fast to a check that began after 5 s.
func (r *Run) Answers(asked time.Time) bool {
	return r.Result.Status == probes.Error || !r.Began.Before(asked)
}

// Runner executes at most one run at a time.
type Runner struct {
	ctx     context.Context // parent of the runs' contexts; ends with Close
	cancel  context.CancelFunc
	cleanup func() // called after the last run, perhaps more than once

	mu     sync.Mutex // guards run and closed
	run    *Run       // nil when none is in flight
	closed bool
}

// New returns a Runner without a run. It calls cleanup after the last run, perhaps more than once.
func New(cleanup func()) *Runner {
	ctx, cancel := context.WithCancel(context.Background())
	return &Runner{ctx: ctx, cancel: cancel, cleanup: cleanup}
}

// Join returns the run in flight. If there is none, Join starts one. The run may take until the deadline of
// ctx, but at least minTime. Its context has the values of ctx, but not its cancellation. Join returns nil
// after Close.
func (r *Runner) Join(ctx context.Context, minTime time.Duration,
	observe func(context.Context) probes.Result) *Run {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.run == nil && !r.closed {
		r.run = &Run{Began: time.Now(), Done: make(chan struct{})}
		deadline, _ := ctx.Deadline() // the zero time without one: then minTime holds
		go r.execute(ctx, r.run, max(minTime, time.Until(deadline)), observe)
	}
	return r.run
}

func (r *Runner) execute(values context.Context, run *Run, limit time.Duration,
	observe func(context.Context) probes.Result) {
	ctx, cancel := context.WithTimeout(r.ctx, limit)
	defer cancel()
	defer r.finish(run)
	run.Result = observe(basecontext.With(ctx, values))
	if r.ctx.Err() != nil {
		r.cleanup() // Close may have returned before the end of this run
	}
}

// finish ends a run. It contains a panic, for example of an application's hook, which would end the process.
func (r *Runner) finish(run *Run) {
	if v := recover(); v != nil {
		err := fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		run.Result = probes.Result{Status: probes.Error, Reason: probes.ReasonPanic, Err: err}
	}
	r.mu.Lock()
	r.run = nil
	r.mu.Unlock()
	close(run.Done)
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
		case <-run.Done:
		case <-time.After(limit):
			return
		}
	}
	r.cleanup()
}
