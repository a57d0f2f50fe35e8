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

// census counts the goroutines of each rig. Many rigs share the process. A goroutine belongs to the rig whose
// label it has. It inherits the label from the goroutine that started it.
type census struct {
	mu     sync.Mutex // guards the fields below
	counts map[string]int
	taken  int // the number of counts
}

var goroutines census

const labelKey = "rig"

// labelled calls f with a label. The goroutines that f starts count for the rig with that label.
func labelled(label string, f func()) {
	pprof.Do(context.Background(), pprof.Labels(labelKey, label), func(context.Context) { f() })
}

// take counts at regular intervals until done is closed.
func (c *census) take(done <-chan struct{}) {
	const often = 200 * time.Millisecond
	for {
		var profile bytes.Buffer
		_ = pprof.Lookup("goroutine").WriteTo(&profile, 1) // a buffer accepts every write
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

// labels matches the line with a number of goroutines and the line with their labels. A stack is between the
// two.
var labels = regexp.MustCompile(`(?m)^(\d+) @.*\n# labels: .*"` + labelKey + `":"([^"]+)"`)

func count(profile []byte) map[string]int {
	counts := make(map[string]int)
	for _, match := range labels.FindAllSubmatch(profile, -1) {
		n, _ := strconv.Atoi(string(match[1])) // the pattern allows only digits
		counts[string(match[2])] += n
	}
	return counts
}

// of returns the last count for a label, and the number of that count.
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
