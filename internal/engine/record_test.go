package engine

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/echo-probes/echohealth/probes"
	"github.com/stretchr/testify/assert"
)

// recorded has the fields of a Run that the tests compare.
type recorded struct {
	check  int
	status probes.Status
	reason probes.Reason
	took   time.Duration
	after  time.Duration // since the test began
	kind   RunKind
}

// record collects the Runs of e in the returned slice.
func record(e *Engine) *[]recorded {
	var mu sync.Mutex
	var runs []recorded
	begin := time.Now()
	e.Record(func(run Run) {
		mu.Lock()
		defer mu.Unlock()
		result := run.Result
		runs = append(runs, recorded{
			run.Check, result.Status, result.Reason, result.Took, run.At.Sub(begin), run.Kind,
		})
	})
	return &runs
}

func TestEachRunIsRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fails := errors.New("no")
		probe := func(err error) probes.Probe {
			return probes.Func(func(context.Context) error {
				time.Sleep(2 * time.Millisecond)
				return err
			})
		}
		e := New([]Config{
			{Name: "well", Probe: probe(nil), Timeout: time.Second, Freshness: time.Second},
			{Name: "ill", Probe: probe(fails), Timeout: time.Second, Freshness: 3 * time.Second},
		}, noListener{})
		defer e.Close(time.Second)
		runs, again := record(e), record(e)
		for range 2 { // the result stays fresh, so there is only one run
			e.Collect(t.Context(), e.Checks())
		}
		time.Sleep(time.Second)
		e.Collect(t.Context(), e.Checks())
		ms := time.Millisecond
		assert.ElementsMatch(t, []recorded{
			{0, probes.OK, "", 2 * ms, 2 * ms, Ended},
			{1, probes.Error, probes.ReasonFailed, 2 * ms, 2 * ms, Ended},
			{0, probes.OK, "", 2 * ms, 1004 * ms, Ended},
		}, *runs)
		assert.ElementsMatch(t, *runs, *again, "repeated use is additive")
	})
}

// A run that hangs is recorded at its timeout. Later it is recorded once in each freshness time in which
// Collect is called.
func TestOverdueRunsAreRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := make(chan struct{})
		probe := probes.Func(func(context.Context) error {
			<-end
			return probes.Fail(probes.ReasonReadOnly, errors.New("no"))
		})
		e := New([]Config{{Probe: probe, Timeout: time.Second, Freshness: 2 * time.Second}}, noListener{})
		defer e.Close(time.Second)
		runs := record(e)
		for range 12 { // at 0, 1, 1.5, 2 … 6.5 s
			e.Collect(t.Context(), e.Checks())
			time.Sleep(500 * time.Millisecond)
		}
		time.Sleep(4 * time.Second) // no call of Collect
		close(end)
		synctest.Wait()
		second := time.Second
		assert.Equal(t, []recorded{
			{0, probes.Error, probes.ReasonTimeout, second, second, Ended},
			{0, probes.Error, probes.ReasonTimeout, second, 3 * second, Overdue},
			{0, probes.Error, probes.ReasonTimeout, second, 5 * second, Overdue},
			{0, probes.Error, probes.ReasonReadOnly, second, 11 * second, Late},
		}, *runs)
	})
}

// A success after the timeout is not recorded, and neither is a run that ends after Close.
func TestOnlyResultsAreRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := probes.Func(func(context.Context) error {
			time.Sleep(2 * time.Second)
			return nil
		})
		e := New([]Config{{Probe: slow, Timeout: time.Second, Freshness: time.Hour}}, noListener{})
		runs := record(e)
		e.Collect(t.Context(), e.Checks())
		time.Sleep(5 * time.Second)
		assert.Len(t, *runs, 1)

		closed := New([]Config{{Probe: slow, Timeout: time.Minute, Freshness: time.Hour}}, noListener{})
		runs = record(closed)
		closed.renew()
		closed.Close(time.Minute)
		assert.Empty(t, *runs)
		e.Close(time.Second)
	})
}

func TestRecordingEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := New([]Config{{
			Probe:   probes.Func(func(context.Context) error { return nil }),
			Timeout: time.Second, Freshness: time.Second,
		}}, noListener{})
		defer e.Close(time.Second)
		var first, second int
		remove := e.Record(func(Run) { first++ })
		e.Record(func(Run) { second++ })
		e.Collect(t.Context(), e.Checks())
		remove()
		time.Sleep(time.Second)
		e.Collect(t.Context(), e.Checks())
		assert.Equal(t, 1, first)
		assert.Equal(t, 2, second)
	})
}
