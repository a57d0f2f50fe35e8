package probetest

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/echo-probes/echohealth/probes"
)

// rules are the subtests of Run, in order. checkLeaks does not apply to the first one, because a driver may
// open things once for the process.
var rules = []struct {
	name string
	run  func(kit, *testing.T)
}{
	{"check", kit.check},
	{"concurrent", kit.concurrent},
	{"ended", kit.ended},
	{"cancelled", kit.cancelled},
	{"hung-new", func(k kit, t *testing.T) { k.hung(t, false) }},
	{"hung-kept", func(k kit, t *testing.T) { k.hung(t, true) }},
	{"close", kit.closing},
}

func (k kit) check(t *testing.T) {
	s := k.start(t)
	s.requireQuiet()
	for range 3 {
		s.requireWanted()
	}
	if err := s.wanted(context.Background()); err != nil {
		t.Errorf("with a context that never ends: %v", err)
	}
}

// callers is the number of concurrent callers. Each of them makes as many checks.
const callers = 8

func (k kit) concurrent(t *testing.T) {
	s := k.start(t)
	if err := s.atOnce(s.wantedInTime); err != nil {
		t.Errorf("%d checks at once: %v", callers, err)
	}
}

// atOnce calls f in many goroutines at the same time and returns the first error.
func (s *subject) atOnce(f func() error) error {
	var (
		wg    sync.WaitGroup
		begin = make(chan struct{})
		errs  = make(chan error, callers)
	)
	for range callers {
		wg.Go(func() {
			<-begin
			for range callers {
				if err := f(); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	close(begin)
	wg.Wait()
	close(errs)
	return <-errs
}

func (k kit) ended(t *testing.T) {
	s := k.start(t)
	cancelled, cancel := context.WithCancelCause(context.Background())
	cancel(errors.New("the caller has gone"))
	past, cancelPast := context.WithDeadline(context.Background(), time.Now().Add(-time.Second))
	defer cancelPast()
	for _, ctx := range []context.Context{cancelled, past} {
		if _, err := s.attempt(ctx); err != nil {
			t.Fatalf("a context that had ended before (%v): %v", ctx.Err(), err)
		}
		s.requireRecovered()
	}
}

func (k kit) cancelled(t *testing.T) {
	s := k.start(t)
	for _, after := range []time.Duration{0, 100 * time.Microsecond, time.Millisecond, 10 * time.Millisecond} {
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(after, cancel)
		_, err := s.attempt(ctx)
		cancel()
		if err != nil {
			t.Fatalf("a context that is cancelled after %s: %v", after, err)
		}
		s.requireRecovered()
	}
}

const (
	hungTimeout = 100 * time.Millisecond // timeout of a check of a hanging dependency
	hungChecks  = 20                     // number of checks; a driver has fewer goroutines per connection
)

func (k kit) hung(t *testing.T, kept bool) {
	if k.Hang == nil {
		t.Skip("Options.Hang is nil")
	}
	before := k.goroutines()
	s := k.start(t)
	if kept {
		s.requireWanted()
	}
	k.Hang(t)
	s.requireQuiet()

	timeout, cancel := context.WithTimeout(context.Background(), hungTimeout)
	defer cancel()
	s.requireNotOK(timeout, "times out")
	cancelled, cancel := context.WithCancel(context.Background())
	defer cancel()
	time.AfterFunc(hungTimeout, cancel)
	s.requireNotOK(cancelled, "is cancelled")

	for range hungChecks {
		ctx, cancel := context.WithTimeout(context.Background(), hungTimeout/10)
		s.requireNotOK(ctx, "times out")
		cancel()
	}
	s.requireNoGoroutinePerCheck(before)
	s.close()
}

// requireNotOK makes a check of a hanging dependency, and fails the test if the check is ok or breaks a rule.
func (s *subject) requireNotOK(ctx context.Context, end string) {
	s.t.Helper()
	result, err := s.attempt(ctx)
	switch {
	case err != nil:
		s.t.Fatalf("the dependency hangs and the context %s: %v", end, err)
	case result.Status == probes.OK:
		s.t.Fatal("the dependency hangs, and the check is ok: it must not report another thing or an earlier state")
	}
}

// requireNoGoroutinePerCheck fails the test if each check has left a goroutine behind. A few goroutines may
// be left that wait for the dependency on behalf of all checks.
func (s *subject) requireNoGoroutinePerCheck(before map[string]string) {
	s.t.Helper()
	var more []string
	if !s.eventually(func() bool {
		more = added(s.goroutines(), before)
		return len(more) < hungChecks
	}) {
		s.t.Errorf("the dependency hangs, and after %d checks there are %d more goroutines than before: "+
			"a check must not leave one behind each time. One of them:\n%s", hungChecks, len(more), more[len(more)-1])
	}
}

func (k kit) closing(t *testing.T) {
	s := k.start(t)
	if _, ok := s.probe.(io.Closer); !ok {
		t.Skip("the probe has no Close")
	}
	s.close() // before the first check

	s = k.start(t)
	s.requireWanted()
	s.close()
	s.closeAgain()
	s.requireClosed()

	s = k.start(t)
	s.requireWanted()
	s.closeInMidRun()
	s.requireClosed()
}

// closeInMidRun closes the probe during checks. It accepts any status of these checks, because they may end
// before or after Close.
func (s *subject) closeInMidRun() {
	s.t.Helper()
	var once sync.Once
	first, all := make(chan struct{}), make(chan error, 1)
	go func() {
		all <- s.atOnce(func() error {
			_, err := s.attempt(context.Background())
			once.Do(func() { close(first) })
			return err
		})
	}()
	<-first
	s.close()
	if err := <-all; err != nil {
		s.t.Errorf("closed during checks: %v", err)
	}
}

// requireClosed makes a check with a closed probe, and fails the test unless the check is an error.
func (s *subject) requireClosed() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), runLimit)
	defer cancel()
	result, err := s.attempt(ctx)
	switch {
	case err != nil:
		s.t.Errorf("after Close: %v", err)
	case result.Status != probes.Error:
		s.t.Errorf("after Close a check is %s: it must be error, with probes.ReasonClientClosed, "+
			"and must not open anything, because nothing will close it", result.Status)
	}
}
