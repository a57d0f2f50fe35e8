package faults_test

import (
	"sync/atomic"
	"time"
)

// stalls measures how busy the machine is: the total time by which this process was woken up too late.
type stalls struct{ sum atomic.Int64 }

var stalled stalls

// measure sleeps and reads the clock until done is closed.
func (s *stalls) measure(done <-chan struct{}) {
	const nap = 20 * time.Millisecond
	for {
		began := time.Now()
		select {
		case <-done:
			return
		case <-time.After(nap):
			s.sum.Add(int64(time.Since(began) - nap))
		}
	}
}

// stopwatch measures the time since its start, and the stalls in that time.
type stopwatch struct {
	began   time.Time
	stalled int64
}

func watch() stopwatch { return stopwatch{time.Now(), stalled.sum.Load()} }

func (w stopwatch) took() time.Duration { return time.Since(w.began) }

func (w stopwatch) stalls() time.Duration { return time.Duration(stalled.sum.Load() - w.stalled) }

// atMost returns limit plus an allowance for a busy machine. An operation of several steps can be stalled
// more than once. The result stays finite even if the process is stalled all the time.
func (w stopwatch) atMost(limit time.Duration) time.Duration {
	const most = 5 * time.Second
	return limit + slack + min(3*w.stalls(), limit+most)
}

// busy is the share of the time in which the process waited for the machine.
func (w stopwatch) busy() float64 { return w.stalls().Seconds() / w.took().Seconds() }

// lateness has the durations of the requests that took too long.
type lateness []time.Duration

// lateAtMost is the number of requests that may be late. A machine can stall one thread and not the thread
// that measures stalls. A request that hangs because of a bug is late every time.
const lateAtMost = 2

func (l *lateness) note(w stopwatch, limit time.Duration) {
	if took := w.took(); took > w.atMost(limit) {
		*l = append(*l, took)
	}
}
