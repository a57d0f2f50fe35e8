package engine

import "sync"

// backlog bounds what waits for a listener that hangs.
const backlog = 1024

// relay makes calls one at a time and in order, without a lock and without a goroutine of its own: whoever puts a call in
// while none is being made makes it, and those that are put in meanwhile.
type relay struct {
	mu    sync.Mutex // guards what follows, and is never held during a call
	calls []func()
	busy  bool
}

// put adds a call for the next flush. Where a listener hangs, the oldest are forgotten.
func (r *relay) put(call func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.calls) == backlog {
		r.calls = r.calls[1:]
	}
	r.calls = append(r.calls, call)
}

// waiting reports whether there are calls that nobody is making.
func (r *relay) waiting() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.calls) > 0 && !r.busy
}

// flush makes the calls that wait, unless they are being made already.
func (r *relay) flush() {
	for call := r.next(); call != nil; call = r.next() {
		r.make(call)
	}
}

// next takes a call out and keeps others from making one, or returns nil.
func (r *relay) next() func() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.busy || len(r.calls) == 0 {
		return nil
	}
	call := r.calls[0]
	r.calls = r.calls[1:]
	r.busy = true
	return call
}

// make contains a listener's panic: it would otherwise end the process from a goroutine that the application can't see.
func (r *relay) make(call func()) {
	defer func() {
		_ = recover()
		r.mu.Lock()
		r.busy = false
		r.mu.Unlock()
	}()
	call()
}
