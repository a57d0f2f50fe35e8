package engine

import (
	"slices"
	"time"
)

// Run is what Record passes to its function: a result and how it came about.
type Run struct {
	Check  int // the index in Checks
	Result *Result
	Kind   RunKind
	At     time.Time // Result.At; for Overdue, when the run was found to be still in progress
}

// RunKind says how a Run came about.
type RunKind int

const (
	// Ended is a run that has ended, or that has just exceeded its timeout. Each run is recorded as Ended once.
	Ended RunKind = iota
	// Overdue is a run that exceeded its timeout earlier and is still in progress. It is recorded when a caller
	// or the schedule asks for the check's result, but at most once in each RetryAfter.
	Overdue
	// Late is the end of a failed run that had exceeded its timeout. The failure was already recorded as Ended.
	// Only the reason is new.
	Late
)

// Record calls f for each later Run. The calls for one check are in order. The calls for several checks may
// be concurrent. f must return immediately and must not call the Engine, because a lock is held during the
// call. Further calls of Record add further functions. The returned function removes f.
func (e *Engine) Record(f func(Run)) (remove func()) {
	recorder := &f
	e.changeRecorders(func(all []*func(Run)) []*func(Run) { return append(all, recorder) })
	return func() {
		e.changeRecorders(func(all []*func(Run)) []*func(Run) {
			return slices.DeleteFunc(all, func(r *func(Run)) bool { return r == recorder })
		})
	}
}

// changeRecorders replaces the list of recorders by a changed copy, because other goroutines may be reading
// the list.
func (e *Engine) changeRecorders(change func([]*func(Run)) []*func(Run)) {
	for {
		old := e.recorders.Load()
		var all []*func(Run)
		if old != nil {
			all = slices.Clone(*old)
		}
		all = change(all)
		if e.recorders.CompareAndSwap(old, &all) {
			return
		}
	}
}

// tell passes a result to the recorders. c.mu is held.
func (c *Check) tell(result *Result, kind RunKind, at time.Time) {
	if recorders := c.engine.recorders.Load(); recorders != nil {
		for _, f := range *recorders {
			(*f)(Run{Check: c.index, Result: result, Kind: kind, At: at})
		}
	}
}
