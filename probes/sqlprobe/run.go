package sqlprobe

import (
	"database/sql"
	"sync"
	"time"
)

// run is the state of the run in flight, or of the last one, and of the runs before it.
type run struct {
	mu sync.Mutex // guards the rest

	waits int64 // WaitCount of the pool when the run began
	holds bool  // the run has a connection

	answered bool      // the last run that a saturated pool did not stop got an answer
	waiting  time.Time // when a check first found a run waiting for a connection since the last answer
}

// begin starts a run. Waits is the WaitCount of the pool.
func (r *run) begin(waits int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waits, r.holds = waits, false
}

// setHolds sets whether the run has a connection.
func (r *run) setHolds(holds bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.holds = holds
}

// end ends a run that a saturated pool did not stop.
func (r *run) end(answered bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answered, r.waiting = answered, time.Time{}
}

// wait says what a run that waits for a connection knows about the database.
type wait int

const (
	notWaiting   wait = iota
	recentAnswer      // the last answer is still used
	oldAnswer         // the last answer is too old
	noAnswer          // there is no last answer
)

// waitState reports whether the run waits for the application to release a connection. If no call has begun
// to wait since the run began, the run is connecting.
func (r *run) waitState(db *sql.DB) (sql.DBStats, wait) {
	r.mu.Lock() // also while reading the pool's counters: an answer may arrive in between
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
