package echohealth

import (
	"sync/atomic"
	"time"
)

// phase is a stage in the life of a service.
type phase int

const (
	running  phase = iota
	starting       // the startup gate is not open yet
	draining
	closed
)

// word returns the reason that the answers give for a phase. It is empty for running and closed.
func (p phase) word() string {
	switch p {
	case starting:
		return "starting"
	case draining:
		return "draining"
	}
	return ""
}

// name returns the phase's name; empty for closed.
func (p phase) name() string {
	if p == running {
		return "running"
	}
	return p.word()
}

// startDelay is how long New delays its background work, so that New has returned before that work begins.
const startDelay = 100 * time.Millisecond

// lifecycle holds the state of the startup gate and of the drain.
type lifecycle struct {
	gated    bool                      // there is a startup gate
	openedAt atomic.Pointer[time.Time] // when the gate was opened; nil before
	draining atomic.Bool
	drained  chan struct{} // closed at the end of the drain delay
}

func (l *lifecycle) phase() phase {
	switch {
	case l.draining.Load():
		return draining
	case !l.started():
		return starting
	}
	return running
}

func (l *lifecycle) started() bool { return !l.gated || l.openedAt.Load() != nil }

// startedAt returns when the gate was opened. It returns zero before that, and if there is no gate.
func (l *lifecycle) startedAt() time.Time {
	if at := l.openedAt.Load(); at != nil {
		return *at
	}
	return time.Time{}
}

// open opens the gate, and reports whether the gate was still closed.
func (l *lifecycle) open() bool {
	now := time.Now()
	return l.gated && l.openedAt.CompareAndSwap(nil, &now)
}

// drain begins the drain. It reports false if the drain had already begun.
func (l *lifecycle) drain(delay time.Duration) bool {
	if !l.draining.CompareAndSwap(false, true) {
		return false
	}
	if delay == 0 {
		close(l.drained)
	} else {
		time.AfterFunc(delay, func() { close(l.drained) })
	}
	return true
}

// isDrained reports whether the drain delay is over.
func (l *lifecycle) isDrained() bool {
	select {
	case <-l.drained:
		return true
	default:
		return false
	}
}
