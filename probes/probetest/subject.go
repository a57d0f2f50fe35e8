package probetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/echo-probes/echohealth/internal/redact"
	"github.com/echo-probes/echohealth/probes"
)

// runLimit is how long a check may take if its dependency answers. It is much longer than the default timeout
// of the health checks, so that a slow machine does not fail the test.
const runLimit = 5 * time.Second

// subject is one probe under test.
type subject struct {
	kit
	t      *testing.T
	probe  probes.Probe
	closed bool
}

// start makes a probe. At the end of t the probe is closed before the functions that newProbe gave to
// t.Cleanup.
func (k kit) start(t *testing.T) *subject {
	t.Helper()
	s := &subject{kit: k, t: t, probe: k.newProbe(t)}
	if s.probe == nil {
		t.Fatal("newProbe returned nil")
	}
	t.Cleanup(s.close)
	return s
}

// attempt makes one check, and returns an error if the check breaks a rule. Any status is allowed.
func (s *subject) attempt(ctx context.Context) (probes.Result, error) {
	wait, cancel := context.WithTimeout(ctx, runLimit)
	defer cancel()
	var result probes.Result
	if err := s.call(wait, "Check", func() { result = s.probe.Check(ctx) }); err != nil {
		return probes.Result{}, err
	}
	return result, s.judge(result)
}

// wanted makes one check, and returns an error if the check breaks a rule or does not have the expected
// status.
func (s *subject) wanted(ctx context.Context) error {
	result, err := s.attempt(ctx)
	if err == nil && result.Status != s.Want {
		err = fmt.Errorf("the check is %s, and %s is wanted: reason %q, error: %s",
			result.Status, s.Want, result.Reason, redact.Error(result.Err))
	}
	return err
}

func (s *subject) requireWanted() {
	s.t.Helper()
	if err := s.wantedInTime(); err != nil {
		s.t.Fatal(err)
	}
}

// requireRecovered makes a check after one whose context ended early. It must have the expected status.
func (s *subject) requireRecovered() {
	s.t.Helper()
	if err := s.wantedInTime(); err != nil {
		s.t.Fatalf("the check after one whose context ended early: %v", err)
	}
}

func (s *subject) wantedInTime() error {
	ctx, cancel := context.WithTimeout(context.Background(), runLimit)
	defer cancel()
	return s.wanted(ctx)
}

// requireQuiet calls Validate and Advise, which must return immediately and reveal no secret.
func (s *subject) requireQuiet() {
	s.t.Helper()
	if err := errors.Join(s.validated(), s.advised()); err != nil {
		s.t.Error(err)
	}
}

func (s *subject) validated() error {
	validator, ok := s.probe.(interface{ Validate() error })
	if !ok {
		return nil
	}
	var invalid error
	err := s.call(now(), "Validate", func() { invalid = validator.Validate() })
	if err != nil || invalid == nil {
		return err
	}
	text := redact.Error(invalid)
	return errors.Join(fmt.Errorf("the probe's Validate refuses it: %s", text), s.logged("Validate", text))
}

func (s *subject) advised() error {
	adviser, ok := s.probe.(interface{ Advise() []string })
	if !ok {
		return nil
	}
	var lines []string
	if err := s.call(now(), "Advise", func() { lines = adviser.Advise() }); err != nil {
		return err
	}
	return s.logged("Advise", redact.Text(strings.Join(lines, "\n")))
}

// close closes the probe, unless it is closed already. It ignores the error of Close, which is only for the
// log.
func (s *subject) close() {
	s.t.Helper()
	if !s.closed {
		s.closed = true
		s.closeAgain()
	}
}

func (s *subject) closeAgain() {
	s.t.Helper()
	closer, ok := s.probe.(io.Closer)
	if !ok {
		return
	}
	if err := s.call(now(), "Close", func() { _ = closer.Close() }); err != nil {
		s.t.Error(err)
	}
}

// now returns a context that has ended, for a call that must return immediately.
func now() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// call calls f in its own goroutine, as the health checks do. It returns an error if f panics, or if f does
// not return soon after the end of ctx.
func (k kit) call(ctx context.Context, what string, f func()) error {
	done := make(chan error, 1)
	go func() {
		err := fmt.Errorf("%s ended its goroutine", what)
		defer func() { done <- err }()
		err = contain(what, f)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done:
		return err
	case <-time.After(k.Patience):
		return fmt.Errorf("%s hangs: it has not returned %s after it should have:\n%s", what, k.Patience, stuck())
	}
}

// contain calls f and returns a panic as an error. Every call of the probe has contain in its stack, so that
// Run can distinguish the goroutines of these calls from those of the probe.
func contain(what string, f func()) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%s panicked: %v\n%s", what, v, debug.Stack())
		}
	}()
	f()
	return nil
}
