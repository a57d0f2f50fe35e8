package engine

import (
	"sync"
	"time"
)

// queueLimit is how many calls can wait. A call that does not return makes the later ones wait.
const queueLimit = 1024

// CallQueue makes calls one at a time and in order. It holds no lock during a call. It has no goroutine while
// no call waits. The zero value is ready.
type CallQueue struct {
	// OnDrop is called when the full queue drops a call, because an earlier call does not return. It is called
	// once, and again only after the queue has been empty. The queue holds no lock during the call. OnDrop may
	// be nil.
	OnDrop func()

	mu       sync.Mutex // guards the fields below, and is never held during a call
	calls    []func()
	busy     bool
	dropping bool
	closed   bool
}

// Add adds a call and returns immediately.
func (q *CallQueue) Add(call func()) {
	q.add(call)
	go q.flush()
}

// Close waits until all calls that were added before have been made, but not longer than limit, and reports
// whether they have. Then it drops the calls that still wait. Calls that are added later are never made.
func (q *CallQueue) Close(limit time.Duration) bool {
	defer q.drop()
	done := make(chan struct{})
	q.Add(func() { close(done) })
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

func (q *CallQueue) drop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed, q.calls = true, nil
}

// add adds a call for the next flush. A full queue drops its oldest call.
func (q *CallQueue) add(call func()) {
	if q.push(call) && q.OnDrop != nil {
		q.OnDrop()
	}
}

// push adds a call, and drops the oldest one if the queue is full. It reports whether this is the first drop
// since the queue was last empty.
func (q *CallQueue) push(call func()) (begun bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	if len(q.calls) == queueLimit {
		q.calls = q.calls[1:]
		begun, q.dropping = !q.dropping, true
	}
	q.calls = append(q.calls, call)
	return begun
}

// pending reports whether there are calls that no flush is making.
func (q *CallQueue) pending() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.calls) > 0 && !q.busy
}

// flush makes the calls that wait, unless another flush is making them.
func (q *CallQueue) flush() {
	for call := q.next(); call != nil; call = q.next() {
		q.make(call)
	}
}

// next removes and returns the oldest call, and marks the queue as busy. It returns nil if there is no call,
// or if the queue is busy.
func (q *CallQueue) next() func() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.busy || len(q.calls) == 0 {
		return nil
	}
	call := q.calls[0]
	q.calls = q.calls[1:]
	if len(q.calls) == 0 {
		q.dropping = false
	}
	q.busy = true
	return call
}

// make makes the call and recovers from its panic. Otherwise the panic would end the process, because the
// application cannot recover from a panic in a goroutine that it did not start.
func (q *CallQueue) make(call func()) {
	defer func() {
		_ = recover()
		q.mu.Lock()
		q.busy = false
		q.mu.Unlock()
	}()
	call()
}
