package engine

import (
	"sync"
	"time"
)

// queueLimit is how many calls wait at most while one does not return.
const queueLimit = 1024

// CallQueue makes calls one at a time and in order, without a lock, and has no goroutine of its own: a
// caller of flush makes the calls, and those that are added meanwhile. The zero value is ready.
type CallQueue struct {
	// OnDrop is called, under no lock, when the queue begins to drop its oldest calls because one does not
	// return; once until the queue is empty again. It may be nil.
	OnDrop func()

	mu       sync.Mutex // guards the fields below, and is never held during a call
	calls    []func()
	busy     bool
	dropping bool
	closed   bool
}

// Add adds a call and returns at once.
func (q *CallQueue) Add(call func()) {
	q.add(call)
	go q.flush()
}

// Close waits until all calls that were added so far have been made, but not longer than limit, and reports
// whether they have. It drops those that are left, and makes none afterwards.
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

// push reports whether the queue has begun to drop calls.
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

// next takes a call out and keeps others from making one, or returns nil.
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

// make contains a panic: it would otherwise end the process from a goroutine that the application can't see.
func (q *CallQueue) make(call func()) {
	defer func() {
		_ = recover()
		q.mu.Lock()
		q.busy = false
		q.mu.Unlock()
	}()
	call()
}
