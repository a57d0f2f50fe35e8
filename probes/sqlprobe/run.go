package sqlprobe

import (
	"database/sql"
	"sync"
	"time"
)

// run is the state of the query in progress, or of the last one, and what earlier queries have shown about
// the database.
type run struct {
	mu sync.Mutex // guards the fields below

	waits int64 // WaitCount of the pool when the query began
	holds bool  // the query has a connection

	answered bool      // the last query that did not end in the pool's queue got an answer
	waiting  time.Time // when a check first found the query in the pool's queue since the last answer
}

// begin records the start of a query. waits is the WaitCount of the pool.
func (r *run) begin(waits int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waits, r.holds = waits, false
}

// setHolds records whether the query has a connection.
func (r *run) setHolds(holds bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.holds = holds
}

// end records the end of a query that did not end in the pool's queue. answered is false for a failure, and
// for a read-only database that must be writable.
func (r *run) end(answered bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answered, r.waiting = answered, time.Time{}
}

// wait is the state of a query that may wait in the pool's queue for a connection.
type wait int

const (
	notWaiting   wait = iota
	recentAnswer      // waits; the last answer of the database is still valid
	oldAnswer         // waits; the last answer is older than answerValidFor
	noAnswer          // waits; the last query failed, or there was none
)

// waitState reports whether the query waits for the application to release a connection. If the pool's
// WaitCount has not grown since the query began, the query is not in the queue but is connecting.
func (r *run) waitState(db *sql.DB) (sql.DBStats, wait) {
	// The lock is also held while the pool's counters are read. Otherwise the query could get its connection in
	// between, and the counters would contradict r.holds.
	r.mu.Lock()
	defer r.mu.Unlock()
	stats := db.Stats()
	full := stats.MaxOpenConnections > 0 && stats.InUse >= stats.MaxOpenConnections
	if !full || stats.WaitCount <= r.waits || r.holds {
		return stats, notWaiting
	}
	if r.waiting.IsZero() {
		r.waiting = time.Now()
	}
	switch {
	case !r.answered:
		return stats, noAnswer
	case time.Since(r.waiting) >= answerValidFor:
		return stats, oldAnswer
	}
	return stats, recentAnswer
}
