package faults_test

import (
	"sync/atomic"
	"time"
)

// stalls measures how busy the machine is otherwise: by how much too late this process has been woken up so far, all in all.
type stalls struct{ sum atomic.Int64 }

var stalled stalls

// measure sleeps and looks at the clock until done is closed.
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

// stopwatch is the time from a moment on, and the stalls in it.
type stopwatch struct {
	began   time.Time
	stalled int64
}

func watch() stopwatch { return stopwatch{time.Now(), stalled.sum.Load()} }

func (w stopwatch) took() time.Duration { return time.Since(w.began) }

func (w stopwatch) stalls() time.Duration { return time.Duration(stalled.sum.Load() - w.stalled) }

// atMost is limit, with what a busy machine adds to it: something that takes several steps is stalled more than once. It stays finite on a
// machine that does nothing but stall.
func (w stopwatch) atMost(limit time.Duration) time.Duration {
	const most = 5 * time.Second
	return limit + slack + min(3*w.stalls(), limit+most)
}

// busy is the share of the time that this process had to wait for the machine.
func (w stopwatch) busy() float64 { return w.stalls().Seconds() / w.took().Seconds() }

// lateness are the times of what took too long.
type lateness []time.Duration

// lateAtMost is how many of the asks may be late: a machine may stall one thread and spare the one that measures stalls. What hangs does so
// every time.
const lateAtMost = 2

func (l *lateness) note(w stopwatch, limit time.Duration) {
	if took := w.took(); took > w.atMost(limit) {
		*l = append(*l, took)
	}
}
