package soak_test

import (
	"bytes"
	"os"
	"runtime"
	"runtime/pprof"
	"testing"
	"time"
)

// settling is how long the drivers may take to let go of what they gave up: pgx closes a connection to a frozen server within 15 s, and a
// dial of go-redis's lives on for up to 23 s.
const settling = 45 * time.Second

// footprint is what the process holds.
type footprint struct{ goroutines, files int }

// spare is what may come and go: a connection that a pool keeps now and did not before. What leaks with each fault, or with each run, is more
// in three minutes.
var spare = footprint{goroutines: 4, files: 4}

func current() footprint {
	files, _ := os.ReadDir("/proc/self/fd") // there is one wherever there are servers
	return footprint{runtime.NumGoroutine(), len(files)}
}

// lowest returns the least of what the process holds in the next two seconds: what it keeps, without what it is just doing.
func lowest() footprint {
	low := current()
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		f := current()
		low = footprint{min(low.goroutines, f.goroutines), min(low.files, f.files)}
	}
	return low
}

// assertSettles asserts that the process comes to hold no more than it did.
func (before footprint) assertSettles(t *testing.T) {
	t.Helper()
	start, after := time.Now(), lowest()
	for !before.covers(after) && time.Since(start) < settling {
		after = lowest()
	}
	t.Logf("goroutines: %d before, %d after; files: %d before, %d after; %.0f s after the last answer",
		before.goroutines, after.goroutines, before.files, after.files, time.Since(start).Seconds())
	if !before.covers(after) {
		t.Errorf("it has grown from %+v to %+v:\n%s", before, after, stacks())
	}
}

func (before footprint) covers(after footprint) bool {
	return after.goroutines <= before.goroutines+spare.goroutines && after.files <= before.files+spare.files
}

func stacks() []byte {
	var profile bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&profile, 1) // a buffer takes everything
	return profile.Bytes()
}
