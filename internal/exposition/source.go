package exposition

import (
	"context"

	"github.com/echo-probes/echohealth/internal/snapshot"
)

// Source is where a collector reads the metrics of one Health.
type Source struct {
	counters *Counters
	look     func(context.Context) *snapshot.Snapshot
}

// NewSource returns a Source. look runs what is due, and returns what is known then.
func NewSource(counters *Counters, look func(context.Context) *snapshot.Snapshot) *Source {
	return &Source{counters: counters, look: look}
}

// Read runs the checks that are due, and calls emit for each series, family by family in the order of
// Families. It takes no longer than the longest timeout of the checks.
func (s *Source) Read(ctx context.Context, emit func(*Family, Series)) {
	s.counters.Read(s.look(ctx), emit)
}
