package engine

import (
	"sync"
	"time"
)

// backlog bounds what waits for somebody who hangs.
const backlog = 1024

// Relay makes calls one at a time and in order, without a lock and without a goroutine of its own: whoever flushes while none is
// being made makes them, and those that are put in meanwhile. The zero value is ready.
type Relay struct {
	// Lossy is called, under no lock, when calls begin to be forgotten because one hangs; once until all that waits has been made again. Nil:
	// nobody wants to know.
	Lossy func()

	mu     sync.Mutex // guards what follows, and is never held during a call
	calls  []func()
	busy   bool
	lossy  bool
	closed bool
}

// Tell puts a call in, and returns at once.
func (r *Relay) Tell(call func()) {
	r.put(call)
	go r.flush()
}

// Close waits until all has been called that was put in so far, but not longer than patience, and reports whether it was. What is left is
// forgotten, and nothing is called afterwards.
func (r *Relay) Close(patience time.Duration) bool {
	defer r.forget()
	settled := make(chan struct{})
	r.Tell(func() { close(settled) })
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-settled:
		return true
	case <-timer.C:
		return false
	}
}

func (r *Relay) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed, r.calls = true, nil
}

// put adds a call for the next flush. Where a call hangs, the oldest are forgotten.
func (r *Relay) put(call func()) {
	if r.add(call) && r.Lossy != nil {
		r.Lossy()
	}
}

// add reports whether calls have begun to be forgotten.
func (r *Relay) add(call func()) (begun bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	if len(r.calls) == backlog {
		r.calls = r.calls[1:]
		begun, r.lossy = !r.lossy, true
	}
	r.calls = append(r.calls, call)
	return begun
}

// waiting reports whether there are calls that nobody is making.
func (r *Relay) waiting() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.calls) > 0 && !r.busy
}

// flush makes the calls that wait, unless they are being made already.
func (r *Relay) flush() {
	for call := r.next(); call != nil; call = r.next() {
		r.make(call)
	}
}

// next takes a call out and keeps others from making one, or returns nil.
func (r *Relay) next() func() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.busy || len(r.calls) == 0 {
		return nil
	}
	call := r.calls[0]
	r.calls = r.calls[1:]
	if len(r.calls) == 0 {
		r.lossy = false
	}
	r.busy = true
	return call
}

// make contains a panic: it would otherwise end the process from a goroutine that the application can't see.
func (r *Relay) make(call func()) {
	defer func() {
		_ = recover()
		r.mu.Lock()
		r.busy = false
		r.mu.Unlock()
	}()
	call()
}
