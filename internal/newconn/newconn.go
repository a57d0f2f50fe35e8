// Package newconn finds out whether new connections can still be made while a kept one works. After a
// password was rotated, a certificate has expired or the server has no room left, a kept connection answers
// as before, and the application fails as soon as it needs another one.
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
	// Default is how often a Tester connects where the probe's option does not say otherwise.
	Default = time.Minute

	// attemptLimit bounds one attempt. RabbitMQ names a wrong password only after 3 s.
	attemptLimit = 10 * time.Second
)

// Tester makes a new connection now and then, at most one at a time, in a goroutine of its own: no check
// waits for it.
type Tester struct {
	every   time.Duration // 0 or less: never
	connect func(context.Context) error
	ctx     context.Context // parent of the attempts' contexts; ends with Close
	cancel  context.CancelFunc

	mu      sync.Mutex // guards the rest
	due     time.Time  // of the next attempt; zero before the first check
	attempt *attempt   // nil while none is in flight
	err     error      // of the last attempt
}

// attempt is one attempt in flight.
type attempt struct {
	ctx      context.Context
	cancel   context.CancelFunc
	deadline time.Time
	done     chan struct{} // closed at its end
}

// overdue reports whether connect has not returned although its time is over: there are drivers that do not
// heed a context.
func (a *attempt) overdue() bool {
	return a != nil && !time.Now().Before(a.deadline)
}

// New returns a Tester that calls connect once per every, 10 % more or less, beginning that long after the
// first check. Zero turns it off. Connect must make a new connection, log in, close the connection, and
// return when its context ends.
func New(every time.Duration, connect func(context.Context) error) *Tester {
	ctx, cancel := context.WithCancel(context.Background())
	return &Tester{every: every, connect: connect, ctx: ctx, cancel: cancel}
}

// Validate returns an error unless d is 0, or at least 1 ms and at most a year. Call names the option.
func Validate(call string, d time.Duration) error {
	if d == 0 || d >= time.Millisecond && d <= duration.Longest {
		return nil
	}
	return fmt.Errorf("%s(%s): the duration must be 0, for never, or at least 1ms and at most %s (a year)",
		call, d, duration.Longest)
}

// Apply takes the result of a check on the kept connection, starts an attempt if one is due, and returns the
// result to report. The attempt has the values of ctx, but not its cancellation. An OK becomes a Warning if
// the last attempt failed, with its error. While the check itself fails, Apply starts no attempt and forgets
// the last one.
func (t *Tester) Apply(ctx context.Context, result probes.Result) probes.Result {
	if t.every <= 0 {
		return result
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if result.Status == probes.Error {
		if t.err != nil {
			t.err, t.due = nil, time.Now() // whether it still fails is to be known soon
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

// startIfDue is called with t.mu held.
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

// call contains a panic, of one of the application's hooks for one: it would end the process.
func (t *Tester) call(ctx context.Context) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = probes.Fail(probes.ReasonPanic, fmt.Errorf("panic: %v\n%s", v, debug.Stack()))
		}
	}()
	return t.connect(ctx)
}

// Close ends the attempt in flight, waits for it up to limit, and lets no other begin.
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
