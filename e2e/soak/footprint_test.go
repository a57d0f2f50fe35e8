package soak_test

import (
	"bytes"
	"os"
	"runtime"
	"runtime/pprof"
	"testing"
	"time"
)

// settling is how long drivers may need to release their resources. pgx closes a connection to a frozen
// server within 15 s. A dial of go-redis can continue for 23 s.
const settling = 45 * time.Second

// footprint is the number of resources that the process holds.
type footprint struct{ goroutines, files int }

// spare is the allowed difference, for example for a connection that a pool keeps now and did not keep
// before. A leak for each fault or each run exceeds it within three minutes.
var spare = footprint{goroutines: 4, files: 4}

func current() footprint {
	files, _ := os.ReadDir("/proc/self/fd") // if /proc does not exist, the server tests don't run
	return footprint{runtime.NumGoroutine(), len(files)}
}

// lowest returns the lowest footprint of the next two seconds, so that operations in progress don't count.
func lowest() footprint {
	low := current()
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		f := current()
		low = footprint{min(low.goroutines, f.goroutines), min(low.files, f.files)}
	}
	return low
}

// assertSettles asserts that the footprint returns to the given one.
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
	_ = pprof.Lookup("goroutine").WriteTo(&profile, 1) // a buffer accepts every write
	return profile.Bytes()
}
