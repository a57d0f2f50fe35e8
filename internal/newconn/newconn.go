// Package newconn finds out whether a new connection can still be made. A kept connection does not show this:
// it continues to work after a password was changed, a certificate has expired or the server has reached its
// limit of connections. The application fails as soon as it needs a new connection.
package newconn

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/echo-probes/echohealth/internal/basecontext"
	"github.com/echo-probes/echohealth/internal/duration"
	"github.com/echo-probes/echohealth/probes"
)

const (
	// Default is the time between two attempts if the option of the probe is not used.
	Default = time.Minute

	// attemptLimit limits one attempt. It must be longer than 3 s, because RabbitMQ reports a wrong password
	// only then.
	attemptLimit = 10 * time.Second
)

// Tester makes a new connection at intervals, one at a time. It does so in its own goroutine, so that no
// check waits for it.
type Tester struct {
	every   time.Duration // 0 or less: no attempts
	connect func(context.Context) error
	ctx     context.Context // the parent of the attempts' contexts; Close cancels it
	cancel  context.CancelFunc

	mu      sync.Mutex // guards the fields below
	due     time.Time  // when the next attempt is due; zero before the first check
	attempt *attempt   // nil if none is in progress
	err     error      // the error of the last attempt
}

// attempt is an attempt in progress.
type attempt struct {
	ctx      context.Context
	cancel   context.CancelFunc
	deadline time.Time
	done     chan struct{} // closed when connect has returned
}

// overdue reports whether connect has not returned by the deadline, because a driver ignores its context.
func (a *attempt) overdue() bool {
	return a != nil && !time.Now().Before(a.deadline)
}

// New returns a Tester that calls connect at intervals of every, plus or minus 10 %. The first call is one
// interval after the first check. If every is 0, the Tester never calls connect. connect must make a new
// connection, log in, and close the connection. It must return when its context ends.
func New(every time.Duration, connect func(context.Context) error) *Tester {
	ctx, cancel := context.WithCancel(context.Background())
	return &Tester{every: every, connect: connect, ctx: ctx, cancel: cancel}
}

// Validate returns an error unless d is 0, or at least 1 ms and at most a year. call is the name of the
// option, for the error.
func Validate(call string, d time.Duration) error {
	if d == 0 || d >= time.Millisecond && d <= duration.Longest {
		return nil
	}
	return fmt.Errorf("%s(%s): the duration must be 0, for never, or at least 1ms and at most %s (a year)",
		call, d, duration.Longest)
}

// Apply returns the result to report for the result of a check on the kept connection. If the last attempt
// failed or is overdue, an OK becomes a Warning with the attempt's error. Apply also starts an attempt if one
// is due. The attempt has the values of ctx, but not its cancellation. If result is an Error, Apply cancels
// an attempt in progress and forgets the error of the last attempt.
func (t *Tester) Apply(ctx context.Context, result probes.Result) probes.Result {
	if t.every <= 0 {
		return result
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if result.Status == probes.Error {
		if t.err != nil {
			t.err, t.due = nil, time.Now() // the next attempt is due immediately, because its error was forgotten
		}
		if t.attempt != nil {
			t.attempt.cancel()
		}
		return result
	}
	t.startIfDue(ctx, time.Now())
	err := t.err
	if t.attempt.overdue() {
		err = context.DeadlineExceeded
	}
	if err == nil || result.Status != probes.OK {
		return result
	}
	result.Status = probes.Warning
	result.Reason = probes.FromError(err).Reason
	result.Err = fmt.Errorf("the kept connection works, but a new one can't be made: %w", err)
	return result
}

// startIfDue starts an attempt if one is due. t.mu is held.
func (t *Tester) startIfDue(values context.Context, now time.Time) {
	switch {
	case t.due.IsZero():
		t.due = now.Add(duration.Jittered(t.every))
	case now.Before(t.due) || t.attempt != nil || t.ctx.Err() != nil:
	default:
		t.due = now.Add(duration.Jittered(t.every))
		ctx, cancel := context.WithTimeout(basecontext.With(t.ctx, values), attemptLimit)
		t.attempt = &attempt{ctx: ctx, cancel: cancel, deadline: now.Add(attemptLimit), done: make(chan struct{})}
		go t.run(t.attempt)
	}
}

func (t *Tester) run(a *attempt) {
	defer close(a.done)
	defer a.cancel()
	err := t.call(a.ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.attempt = nil
	if !errors.Is(a.ctx.Err(), context.Canceled) {
		t.err = err
	}
}

// call calls connect. It recovers from a panic, for example of an application's hook, which would otherwise
// end the process.
func (t *Tester) call(ctx context.Context) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = probes.Fail(probes.ReasonPanic, fmt.Errorf("panic: %v\n%s", v, debug.Stack()))
		}
	}()
	return t.connect(ctx)
}

// Close cancels the attempt in progress and waits for its end, but not longer than limit. No attempt begins
// after Close.
func (t *Tester) Close(limit time.Duration) {
	t.cancel()
	t.mu.Lock()
	a := t.attempt
	t.mu.Unlock()
	if a == nil {
		return
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-a.done:
	case <-timer.C:
	}
}
