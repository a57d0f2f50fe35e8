package probes

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
)

// Switch is a Probe that the application turns off and on: for maintenance, during a warm-up, or while the
// process is not the leader. Make it with NewSwitch. Its methods may be called from any goroutine.
//
// Off and On take effect immediately. The check runs even if its last result is fresh, and the next answer
// and the log have the change. So its check must have no FailureThreshold or SuccessThreshold above 1, which
// is an error at construction of the health checks.
type Switch struct {
	off atomic.Pointer[Reason] // nil: it is on

	mu       sync.Mutex // guards watchers
	watchers []*func()
}

// NewSwitch returns a Switch that is on.
func NewSwitch() *Switch { return &Switch{} }

// Off makes the check an Error with this reason, until On is called. The reason must match
// [a-z][a-z0-9_]{0,31}. Any other reason is shown as "failed", and the violation is logged. An empty reason
// is ReasonSwitchedOff. A later call replaces the reason.
func (s *Switch) Off(reason Reason) {
	if reason == "" {
		reason = ReasonSwitchedOff
	}
	s.off.Store(&reason)
	s.notify()
}

// On makes the check OK. It has no effect on a Switch that is on.
func (s *Switch) On() {
	if s.off.Swap(nil) != nil {
		s.notify()
	}
}

// Check returns OK while the Switch is on. While it is off, Check returns an Error with the reason of the
// last Off.
func (s *Switch) Check(context.Context) Result {
	reason := s.off.Load()
	if reason == nil {
		return Result{Status: OK}
	}
	return Result{Status: Error, Reason: *reason, Err: errSwitchedOff}
}

var errSwitchedOff = errors.New("the application has switched it off")

// Watch calls f after each Off and each On that changes something, until stop is called. The health checks
// use it to run the check immediately. f must return soon, and must not call the Switch.
func (s *Switch) Watch(f func()) (stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchers = append(slices.Clip(s.watchers), &f)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.watchers = slices.DeleteFunc(slices.Clone(s.watchers), func(w *func()) bool { return w == &f })
	}
}

func (s *Switch) notify() {
	s.mu.Lock()
	watchers := s.watchers
	s.mu.Unlock()
	for _, f := range watchers {
		(*f)()
	}
}
