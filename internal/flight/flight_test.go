package flight_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/echo-probes/echohealth/internal/flight"
	"github.com/echo-probes/echohealth/probes"
	"github.com/stretchr/testify/assert"
)

func TestThereIsOneRunForAllWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs, cleanups atomic.Int64
		f := flight.New(func() { cleanups.Add(1) })
		observe := func(ctx context.Context) probes.Result {
			runs.Add(1)
			<-ctx.Done() // at the limit
			return probes.Result{Status: probes.OK}
		}
		began := time.Now()
		first := f.Join(time.Second, observe)
		assert.Same(t, first, f.Join(time.Hour, observe))
		<-first.Done
		assert.Equal(t, time.Second, time.Since(began))
		assert.Equal(t, probes.OK, first.Result.Status)
		assert.NotSame(t, first, f.Join(time.Hour, observe))
		synctest.Wait()
		assert.EqualValues(t, 2, runs.Load())

		f.Close(time.Second)
		assert.Nil(t, f.Join(time.Second, observe))
		assert.Positive(t, cleanups.Load())
	})
}

func TestAPanicIsAResult(t *testing.T) {
	f := flight.New(func() {})
	defer f.Close(time.Second)
	r := f.Join(time.Second, func(context.Context) probes.Result { panic("a hook's") })
	<-r.Done
	assert.Equal(t, probes.ReasonPanic, r.Result.Reason)
	assert.ErrorContains(t, r.Result.Err, "panic: a hook's")
}

func TestCloseDoesNotWaitForWhatHeedsNoContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cleanups atomic.Int64
		f := flight.New(func() { cleanups.Add(1) })
		r := f.Join(time.Second, func(context.Context) probes.Result {
			time.Sleep(time.Minute)
			return probes.Result{Status: probes.OK}
		})
		began := time.Now()
		f.Close(time.Second)
		assert.Equal(t, time.Second, time.Since(began))
		assert.Zero(t, cleanups.Load(), "the run may be using what is cleaned up")
		<-r.Done
		assert.EqualValues(t, 1, cleanups.Load())
	})
}

// A database that takes 6 s for an answer is not well for whoever asks after 5.
func TestAnOldSuccessIsNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := flight.New(func() {})
		defer f.Close(time.Second)
		for status, answers := range map[probes.Status]bool{probes.OK: false, probes.Warning: false, probes.Error: true} {
			r := f.Join(time.Minute, func(context.Context) probes.Result {
				time.Sleep(6 * time.Second)
				return probes.Result{Status: status}
			})
			asked := time.Now()
			time.Sleep(5 * time.Second)
			late := time.Now()
			<-r.Done
			assert.True(t, r.Answers(asked), "it was asked by this one")
			assert.Equal(t, answers, r.Answers(late), status)
		}
	})
}
