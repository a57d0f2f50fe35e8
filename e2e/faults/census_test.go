package faults_test

import (
	"bytes"
	"context"
	"regexp"
	"runtime/pprof"
	"strconv"
	"sync"
	"time"
)

// census counts the goroutines of each rig. Many rigs share the process; a goroutine belongs to the one whose label it has, which it inherits
// from the goroutine that started it.
type census struct {
	mu     sync.Mutex // guards the rest
	counts map[string]int
	taken  int // how many times
}

var goroutines census

const labelKey = "rig"

// labelled calls f so that what it starts counts for the rig with that label.
func labelled(label string, f func()) {
	pprof.Do(context.Background(), pprof.Labels(labelKey, label), func(context.Context) { f() })
}

// take counts every so often until done is closed.
func (c *census) take(done <-chan struct{}) {
	const often = 200 * time.Millisecond
	for {
		var profile bytes.Buffer
		_ = pprof.Lookup("goroutine").WriteTo(&profile, 1) // a buffer takes everything
		counts := count(profile.Bytes())
		c.mu.Lock()
		c.counts = counts
		c.taken++
		c.mu.Unlock()
		select {
		case <-done:
			return
		case <-time.After(often):
		}
	}
}

// labels are a line with a number of goroutines, whose stack follows, and the line with their labels.
var labels = regexp.MustCompile(`(?m)^(\d+) @.*\n# labels: .*"` + labelKey + `":"([^"]+)"`)

func count(profile []byte) map[string]int {
	counts := make(map[string]int)
	for _, match := range labels.FindAllSubmatch(profile, -1) {
		n, _ := strconv.Atoi(string(match[1])) // digits
		counts[string(match[2])] += n
	}
	return counts
}

// of returns the last count for a label, and which one it was.
func (c *census) of(label string) (n, taken int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts[label], c.taken
}

// next returns a count that began after the call.
func (c *census) next(label string) int {
	for _, before := c.of(label); ; time.Sleep(20 * time.Millisecond) {
		if n, taken := c.of(label); taken >= before+2 {
			return n
		}
	}
}
