package newconn

import (
	"context"
	"errors"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/echo-probes/echohealth/internal/duration"
	"github.com/echo-probes/echohealth/probes"
	"github.com/stretchr/testify/assert"
)

var ok = probes.Result{Status: probes.OK}

// server is the server in these tests, with a connect function for Testers.
type server struct {
	attempts, open atomic.Int32
	err            error
	takes          time.Duration
}

func (s *server) connect(ctx context.Context) error {
	s.attempts.Add(1)
	s.open.Add(1)
	defer s.open.Add(-1)
	select {
	case <-time.After(s.takes):
		return s.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// look calls Apply each second for the duration d, and returns the last result.
func look(t *Tester, d time.Duration) (result probes.Result) {
	for range d / time.Second {
		result = t.Apply(context.Background(), ok)
		time.Sleep(time.Second)
		synctest.Wait()
	}
	return result
}

func TestOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(server)
		tester := New(Default, s.connect)
		look(tester, 53*time.Second)
		assert.Zero(t, s.attempts.Load(), "the first connection has just been made")
		assert.Equal(t, ok, look(tester, 15*time.Second))
		assert.EqualValues(t, 1, s.attempts.Load())
		look(tester, time.Hour)
		assert.InDelta(t, 61, s.attempts.Load(), 7)
		tester.Close(time.Second)
	})
}

func TestAFailureIsAWarningUntilAnAttemptSucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{err: syscall.ECONNREFUSED}
		tester := New(Default, s.connect)
		result := look(tester, 70*time.Second)
		assert.Equal(t, probes.Warning, result.Status)
		assert.ErrorIs(t, result.Err, syscall.ECONNREFUSED)
		assert.EqualError(t, result.Err, "the kept connection works, but a new one can't be made: connection refused")
		warning := probes.Result{Status: probes.Warning, Reason: probes.ReasonPoolSaturated}
		assert.Equal(t, warning, tester.Apply(context.Background(), warning), "the check's own reason has priority")
		s.err = probes.Fail(probes.ReasonTooManyConnections, errors.New("full"))
		assert.Equal(t, probes.ReasonTooManyConnections, look(tester, 70*time.Second).Reason)
		s.err = nil
		assert.Equal(t, ok, look(tester, 70*time.Second))
	})
}

func TestNotWhileTheCheckFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{err: syscall.ECONNREFUSED}
		tester := New(Default, s.connect)
		defer tester.Close(time.Second)
		look(tester, 70*time.Second)
		failed := probes.Result{Status: probes.Error, Reason: probes.ReasonTimeout}
		for range 300 {
			assert.Equal(t, failed, tester.Apply(context.Background(), failed))
			time.Sleep(time.Second)
		}
		assert.EqualValues(t, 1, s.attempts.Load())
		s.err = nil
		assert.Equal(t, ok, tester.Apply(context.Background(), ok), "a failure from before the outage must not count after it")
		look(tester, 10*time.Second)
		assert.EqualValues(t, 2, s.attempts.Load(), "and the next attempt is due")

		s.takes, s.err = 5*time.Second, syscall.ECONNREFUSED
		look(tester, 68*time.Second)
		for s.open.Load() == 0 {
			look(tester, time.Second)
		}
		tester.Apply(context.Background(), failed)
		synctest.Wait()
		assert.Zero(t, s.open.Load(), "an attempt in flight ends")
		assert.Equal(t, ok, tester.Apply(context.Background(), ok), "and it must not count")
	})
}

func TestOneAtATimeAndBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{takes: time.Hour}
		tester := New(time.Second, s.connect)
		for range 200 {
			tester.Apply(context.Background(), ok)
			assert.LessOrEqual(t, s.open.Load(), int32(1))
			time.Sleep(100 * time.Millisecond)
		}
		result := tester.Apply(context.Background(), ok)
		assert.ErrorIs(t, result.Err, context.DeadlineExceeded)
		for s.open.Load() == 0 {
			look(tester, time.Second)
		}
		began := time.Now()
		tester.Close(time.Second)
		assert.Zero(t, s.open.Load(), "Close ends the attempt in progress")
		assert.Equal(t, began, time.Now())
		attempts := s.attempts.Load()
		look(tester, time.Minute)
		assert.Equal(t, attempts, s.attempts.Load(), "no attempt may begin after Close")
	})
}

// If a driver ignores its context, no second attempt begins meanwhile, and the result is a Warning.
func TestAConnectThatIgnoresItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, hang := new(server), make(chan error)
		tester := New(time.Second, func(context.Context) error { s.attempts.Add(1); return <-hang })
		assert.Equal(t, ok, look(tester, 10*time.Second))
		result := look(tester, 10*time.Second)
		assert.Equal(t, probes.Warning, result.Status)
		assert.ErrorIs(t, result.Err, context.DeadlineExceeded)
		look(tester, time.Hour)
		assert.EqualValues(t, 1, s.attempts.Load(), "no second attempt may begin")
		hang <- nil
		synctest.Wait()
		assert.Equal(t, ok, tester.Apply(context.Background(), ok))
		synctest.Wait()
		assert.EqualValues(t, 2, s.attempts.Load())
		hang <- nil
	})
}

func TestMaximumDurationOfAnAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var limits []time.Duration
		var attempt context.Context
		tester := New(Default, func(ctx context.Context) error {
			attempt = ctx
			deadline, _ := ctx.Deadline()
			limits = append(limits, time.Until(deadline))
			return nil
		})
		look(tester, 68*time.Second)
		assert.Equal(t, []time.Duration{10 * time.Second}, limits)
		assert.ErrorIs(t, attempt.Err(), context.Canceled, "the context ends with the attempt")
	})
}

func TestCloseDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		tester := New(time.Second, func(context.Context) error { <-hang; return nil })
		look(tester, 3*time.Second)
		began := time.Now()
		tester.Close(time.Second)
		assert.Equal(t, time.Second, time.Since(began))
		close(hang)
	})
}

func TestAPanicIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tester := New(time.Second, func(context.Context) error { panic("hook") })
		result := look(tester, 5*time.Second)
		assert.Equal(t, probes.Warning, result.Status)
		assert.Equal(t, probes.ReasonPanic, result.Reason)
		assert.ErrorContains(t, result.Err, "panic: hook")
		tester.Close(time.Second)
	})
}

func TestZeroIsNever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(server)
		assert.Equal(t, ok, look(New(0, s.connect), time.Hour))
		assert.Equal(t, ok, look(New(-time.Hour, s.connect), time.Hour)) // Validate refuses this value
		assert.Zero(t, s.attempts.Load())
	})
}

func TestValidate(t *testing.T) {
	for _, d := range []time.Duration{0, time.Millisecond, time.Minute, duration.Longest} {
		assert.NoError(t, Validate("Every", d))
	}
	for _, d := range []time.Duration{-1, 1, time.Millisecond - 1, duration.Longest + 1} {
		assert.Error(t, Validate("Every", d))
	}
	assert.EqualError(t, Validate("NewConnectionEvery", 60),
		"NewConnectionEvery(60ns): the duration must be 0, for never, or at least 1ms and at most 8760h0m0s (a year)")
}

// A connect that ignores its context is reported, even if a failed check has canceled the attempt.
func TestAnAttemptThatIsCancelledAndHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		defer close(hang)
		tester := New(time.Second, func(context.Context) error { <-hang; return nil })
		look(tester, 3*time.Second)
		tester.Apply(context.Background(), probes.Result{Status: probes.Error, Reason: probes.ReasonTimeout})
		result := look(tester, 15*time.Second)
		assert.Equal(t, probes.Warning, result.Status)
		assert.ErrorIs(t, result.Err, context.DeadlineExceeded)
	})
}

// After a failed check the next attempt begins soon, if the last one had failed.
func TestAnAttemptSoonAfterAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{err: syscall.ECONNREFUSED}
		tester := New(time.Hour, s.connect)
		look(tester, 70*time.Minute)
		tester.Apply(context.Background(), probes.Result{Status: probes.Error, Reason: probes.ReasonTimeout})
		assert.Equal(t, probes.Warning, look(tester, 2*time.Second).Status)
	})
}
