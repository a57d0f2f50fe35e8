package sharedrun_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/echo-probes/echohealth/internal/sharedrun"
	"github.com/echo-probes/echohealth/probes"
	"github.com/stretchr/testify/assert"
)

func TestChecksShareOneRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs, cleanups atomic.Int64
		runner := sharedrun.New(func() { cleanups.Add(1) })
		observe := func(ctx context.Context) probes.Result {
			runs.Add(1)
			<-ctx.Done() // until the run's timeout
			return probes.Result{Status: probes.OK}
		}
		began := time.Now()
		first := runner.Join(t.Context(), time.Second, observe)
		assert.Equal(t, began, first.Began())
		assert.Same(t, first, runner.Join(t.Context(), time.Hour, observe))
		<-first.Done()
		assert.Equal(t, time.Second, time.Since(began))
		assert.Equal(t, probes.OK, first.Result().Status)
		assert.NotSame(t, first, runner.Join(t.Context(), time.Hour, observe))
		synctest.Wait()
		assert.EqualValues(t, 2, runs.Load())

		runner.Close(time.Second)
		assert.Nil(t, runner.Join(t.Context(), time.Second, observe))
		assert.Positive(t, cleanups.Load())
	})
}

// A run may take until the deadline of the check that started it, if that is later than MinTime.
func TestMaximumDurationOfARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runner := sharedrun.New(func() {})
		defer runner.Close(time.Second)
		for timeout, want := range map[time.Duration]time.Duration{time.Minute: time.Minute, time.Second: 10 * time.Second} {
			ctx, cancel := context.WithTimeout(t.Context(), timeout)
			r := runner.Join(ctx, 10*time.Second, func(ctx context.Context) probes.Result { <-ctx.Done(); return probes.Result{} })
			<-r.Done()
			assert.Equal(t, want, time.Since(r.Began()))
			cancel()
		}
	})
}

func TestCloseWithoutARunCleansUp(t *testing.T) {
	cleanups := 0
	runner := sharedrun.New(func() { cleanups++ })
	runner.Close(time.Second)
	assert.Equal(t, 1, cleanups)
}

// Every check gets a failure. Only the checks that began before the run get its success.
func TestChecksThatGetTheResultOfARun(t *testing.T) {
	asked := time.Now()
	tests := map[string]struct {
		began  time.Time
		status probes.Status
		want   bool
	}{
		"well":              {asked, probes.OK, true},
		"warns":             {asked.Add(time.Second), probes.Warning, true},
		"was well before":   {asked.Add(-time.Nanosecond), probes.OK, false},
		"warned before":     {asked.Add(-time.Second), probes.Warning, false},
		"had failed before": {asked.Add(-time.Second), probes.Error, true},
	}
	for name, test := range tests {
		r := sharedrun.NewRun(test.began, test.status)
		assert.Equal(t, test.want, r.Answers(asked), name)
	}
}

func TestAPanicIsAResult(t *testing.T) {
	runner := sharedrun.New(func() {})
	defer runner.Close(time.Second)
	r := runner.Join(t.Context(), time.Second, func(context.Context) probes.Result { panic("a hook's") })
	<-r.Done()
	assert.Equal(t, probes.ReasonPanic, r.Result().Reason)
	assert.ErrorContains(t, r.Result().Err, "panic: a hook's")
}

func TestCloseDoesNotWaitForARunThatIgnoresItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cleanups atomic.Int64
		runner := sharedrun.New(func() { cleanups.Add(1) })
		r := runner.Join(t.Context(), time.Second, func(context.Context) probes.Result {
			time.Sleep(time.Minute)
			return probes.Result{Status: probes.OK}
		})
		began := time.Now()
		runner.Close(time.Second)
		assert.Equal(t, time.Second, time.Since(began))
		assert.Zero(t, cleanups.Load(), "the run may still use the connection")
		<-r.Done()
		assert.EqualValues(t, 1, cleanups.Load())
	})
}

// A check gets the result of Early, which is called once for each run. Otherwise it waits for the run's end
// or its own.
func TestEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runner := sharedrun.New(func() {})
		defer runner.Close(time.Second)
		asked, known := 0, false
		question := sharedrun.Question{
			Observe: func(context.Context) probes.Result {
				time.Sleep(2 * time.Second)
				return probes.Result{Status: probes.OK}
			},
			MinTime:    time.Minute,
			Unanswered: func(err error) probes.Result { return probes.Result{Status: probes.Error, Err: err} },
			Early: func() (probes.Result, bool) {
				asked++
				return probes.Result{Status: probes.Warning}, known
			},
			EarlyAfter: time.Second,
		}
		began := time.Now()
		assert.Equal(t, probes.OK, runner.Check(t.Context(), question).Status)
		assert.Equal(t, 2*time.Second, time.Since(began))
		assert.Equal(t, 1, asked)
		known, began = true, time.Now()
		assert.Equal(t, probes.Warning, runner.Check(t.Context(), question).Status)
		assert.Equal(t, time.Second, time.Since(began))

		// The run of the last check continues for another second. The next run takes two seconds.
		time.Sleep(500 * time.Millisecond)
		known, asked, began = false, 0, time.Now()
		assert.Equal(t, probes.OK, runner.Check(t.Context(), question).Status)
		assert.Equal(t, 2500*time.Millisecond, time.Since(began))
		assert.Equal(t, 1, asked)

		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		assert.ErrorIs(t, runner.Check(ctx, question).Err, context.DeadlineExceeded)
		runner.Close(0)
		assert.Equal(t, probes.ReasonClientClosed, runner.Check(t.Context(), question).Reason)
	})
}
