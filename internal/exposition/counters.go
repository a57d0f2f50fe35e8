package exposition

import (
	"slices"
	"sync"
	"time"

	"github.com/echo-probes/echohealth/internal/snapshot"
	"github.com/echo-probes/echohealth/probes"
)

// Bounds are the upper bounds, in seconds, of the histogram's buckets, except the last bound, which is +Inf.
var Bounds = [...]float64{.001, .005, .025, .1, .25, .5, 1, 2.5, 5}

// Histogram counts durations. Its zero value is empty.
type Histogram struct {
	Buckets [len(Bounds)]uint64 // Buckets[i] counts the durations up to Bounds[i]
	Count   uint64
	Sum     float64 // in seconds
}

func (h *Histogram) observe(d time.Duration) {
	seconds := d.Seconds()
	for i := len(Bounds) - 1; i >= 0 && seconds <= Bounds[i]; i-- {
		h.Buckets[i]++
	}
	h.Count++
	h.Sum += seconds
}

// Counters counts the runs of all components. It implements snapshot.Recorder.
type Counters struct {
	mu     sync.Mutex // guards counts
	counts []counts   // one for each component
}

// counts holds the counters of one component.
type counts struct {
	last    probes.Status         // the status of the last run; empty before the first run
	checks  [len(statuses)]uint64 // the number of runs by status, in the order of statuses
	changes uint64
	took    Histogram
}

var statuses = [...]probes.Status{probes.OK, probes.Warning, probes.Error}

// NewCounters returns counters for this number of components.
func NewCounters(components int) *Counters { return &Counters{counts: make([]counts, components)} }

// Record counts a run. It does not count a late failure, because it counted the same run when the run
// exceeded its timeout. It does not count a component's first result as a change.
func (c *Counters) Record(run snapshot.Run) {
	c.mu.Lock()
	defer c.mu.Unlock()
	of := &c.counts[run.Component]
	if of.last != "" && of.last != run.Status {
		of.changes++
	}
	of.last = run.Status
	if run.Kind == snapshot.Late {
		return
	}
	if i := slices.Index(statuses[:], run.Status); i >= 0 {
		of.checks[i]++
	}
	if run.Kind == snapshot.Ended {
		of.took.observe(run.Took)
	}
}
