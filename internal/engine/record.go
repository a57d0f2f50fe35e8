package engine

import (
	"slices"
	"time"
)

// Run is a result at the moment when it is found.
type Run struct {
	Check  int // the index in Checks
	Result *Result
	Kind   RunKind
	At     time.Time // of Overdue when it was found, otherwise Result.At
}

// RunKind says how a Run came about.
type RunKind int

const (
	// Ended is a run that has ended, or that has just exceeded its timeout. Each run is Ended once.
	Ended RunKind = iota
	// Overdue is a run that exceeded its timeout before and still has not ended. It is recorded at most once in
	// each freshness time, when a look finds it.
	Overdue
	// Late is the end of a failed run that exceeded its timeout before. The failure was already recorded
	// then. Only the reason is new.
	Late
)

// Record calls f for each Run from now on: in order for one check, at once for several. f must return at once
// and must not call the Engine, because a lock is held. Repeated use is additive. The returned function ends
// it.
func (e *Engine) Record(f func(Run)) (remove func()) {
	recorder := &f
	e.changeRecorders(func(all []*func(Run)) []*func(Run) { return append(all, recorder) })
	return func() {
		e.changeRecorders(func(all []*func(Run)) []*func(Run) {
			return slices.DeleteFunc(all, func(r *func(Run)) bool { return r == recorder })
		})
	}
}

// changeRecorders replaces the list, which is never changed itself.
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
