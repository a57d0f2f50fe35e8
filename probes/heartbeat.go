package probes

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

// Heartbeat is a Probe for a background loop. The loop calls Beat in each round, and the check is an Error
// when Beat was not called for too long. Make it with NewHeartbeat. Its methods may be called from any
// goroutine.
type Heartbeat struct {
	max   time.Duration
	start time.Time
	last  atomic.Int64 // the last beat, in nanoseconds after start; does not depend on the wall clock
}

// NewHeartbeat returns a Heartbeat that is an Error with ReasonStuck when Beat was not called for more than
// max. It starts as if Beat had just been called. A max under 1 ms, also zero or negative, is an error at
// construction of the health checks.
//
// The check's detail last_beat_ms is the time since the last beat in milliseconds.
func NewHeartbeat(max time.Duration) *Heartbeat {
	return &Heartbeat{max: max, start: time.Now()}
}

// Beat records that the loop is alive. It costs a clock reading and an atomic store.
func (h *Heartbeat) Beat() {
	h.last.Store(int64(time.Since(h.start)))
}

// Deadline returns the time when the next Beat is due: the maximum after the last Beat, or the maximum after
// from if from is later than the last Beat.
func (h *Heartbeat) Deadline(from time.Time) time.Time {
	last := max(time.Duration(h.last.Load()), from.Sub(h.start))
	return h.start.Add(last).Add(h.max)
}

// Check compares the time since the last Beat with the maximum.
func (h *Heartbeat) Check(context.Context) Result {
	age := time.Since(h.start) - time.Duration(h.last.Load())
	details := []slog.Attr{slog.Int64("last_beat_ms", age.Milliseconds())}
	if age > h.max {
		err := fmt.Errorf("the last beat was %s ago, more than %s", age.Round(time.Millisecond), h.max)
		return Result{Status: Error, Reason: ReasonStuck, Details: details, Err: err}
	}
	return Result{Status: OK, Details: details}
}

// Validate returns an error for a maximum under 1 ms.
func (h *Heartbeat) Validate() error {
	if h.max < time.Millisecond {
		return fmt.Errorf("NewHeartbeat(%s): the duration must be at least 1ms (a bare number is in nanoseconds)",
			h.max)
	}
	return nil
}
