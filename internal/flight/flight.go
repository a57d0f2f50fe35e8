// Package flight keeps the questions to a database apart from the checks that ask them: a question has a
// goroutine and a context of its own, since drivers close a connection whose query is given up, and checks
// that come while one is open wait for the same answer.
package flight

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/echo-probes/echohealth/internal/basecontext"
	"github.com/echo-probes/echohealth/probes"
)

// A Run is one observation of a database.
type Run struct {
	Began  time.Time
	Done   chan struct{} // closed at the end
	Result probes.Result // valid after Done
}

// Answers reports whether the run, which is over, answers a question that was asked then. A failure always
// does. A success of a run that had begun before may have taken any time: a database that takes 6 s for an
// answer would seem to be well to whoever asks after 5 s.
func (r *Run) Answers(asked time.Time) bool {
	return r.Result.Status == probes.Error || !r.Began.Before(asked)
}

// Flight holds the run in flight. There is at most one, however many checks wait for it.
type Flight struct {
	ctx     context.Context // the runs' parent; ends with Close
	cancel  context.CancelFunc
	cleanup func() // to be called after the last run, perhaps more than once

	mu     sync.Mutex // guards run and closed
	run    *Run       // nil when none is in flight
	closed bool
}

// New returns a Flight without a run. After the last run cleanup is called, perhaps more than once.
func New(cleanup func()) *Flight {
	ctx, cancel := context.WithCancel(context.Background())
	return &Flight{ctx: ctx, cancel: cancel, cleanup: cleanup}
}

// Join returns the run in flight, or else starts one that may take as long as ctx leaves, and as least
// anyway. It returns nil after Close. The run's context has the values of ctx, which began it, and nothing
// else of it.
func (f *Flight) Join(ctx context.Context, least time.Duration, observe func(context.Context) probes.Result) *Run {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.run == nil && !f.closed {
		f.run = &Run{Began: time.Now(), Done: make(chan struct{})}
		deadline, _ := ctx.Deadline() // without one it was long ago
		go f.fly(ctx, f.run, max(least, time.Until(deadline)), observe)
	}
	return f.run
}

func (f *Flight) fly(values context.Context, r *Run, limit time.Duration,
	observe func(context.Context) probes.Result) {
	ctx, cancel := context.WithTimeout(f.ctx, limit)
	defer cancel()
	defer f.land(r)
	r.Result = observe(basecontext.With(ctx, values))
	if f.ctx.Err() != nil {
		f.cleanup() // Close may have given up waiting for this run
	}
}

// land ends a run. A panic, such as in one of the application's hooks, must not take the process down.
func (f *Flight) land(r *Run) {
	if v := recover(); v != nil {
		err := fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		r.Result = probes.Result{Status: probes.Error, Reason: probes.ReasonPanic, Err: err}
	}
	f.mu.Lock()
	f.run = nil
	f.mu.Unlock()
	close(r.Done)
}

// Close ends the run in flight, waits for it as long as limit, and lets no other begin.
func (f *Flight) Close(limit time.Duration) {
	f.mu.Lock()
	r := f.run
	f.closed = true
	f.mu.Unlock()
	f.cancel()
	if r != nil {
		select {
		case <-r.Done:
		case <-time.After(limit):
			return
		}
	}
	f.cleanup()
}
