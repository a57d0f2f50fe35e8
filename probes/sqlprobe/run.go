package sqlprobe

import (
	"database/sql"
	"sync"
	"time"
)

// run is what is known of the run in flight, or the last one, and of those before it.
type run struct {
	mu sync.Mutex // guards the rest

	waits int64 // how many calls had ever waited for a connection when it began
	holds bool  // it has a connection

	vouched bool      // the last one that did not wait for a connection in vain got an answer
	waiting time.Time // since when checks find a run waiting for a connection; zero while none has since the last answer
}

// begin is called when a run begins, with how many calls have ever waited.
func (r *run) begin(waits int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waits, r.holds = waits, false
}

// hold says whether the run has a connection.
func (r *run) hold(holds bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.holds = holds
}

// end is called when a run ends that did not wait for a connection in vain.
func (r *run) end(answered bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.vouched, r.waiting = answered, time.Time{}
}

// wait is what a run's wait for a connection says about the database.
type wait int

const (
	notWaiting wait = iota
	short           // nothing: its last answer vouches for it
	tooLong         // its last answer is too old
	blind           // there is no answer to rely on
)

// look finds out whether the run waits for the application to give a connection back. If nobody has begun to wait since it
// began, it is connecting.
func (r *run) look(db *sql.DB) (sql.DBStats, wait) {
	r.mu.Lock() // while the pool is looked at too: an answer may come in between
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
	case !r.vouched:
		return stats, blind
	case time.Since(r.waiting) >= trustFor:
		return stats, tooLong
	}
	return stats, short
}
