package exposition

import (
	"context"

	"github.com/echo-probes/echohealth/internal/snapshot"
)

// Source gives a collector the metrics of one Health.
type Source struct {
	counters   *Counters
	health     Health
	components []snapshot.Component
}

// Health has the methods of echohealth.Health that a Source needs.
type Health interface {
	// Look runs the checks that have no fresh result, and returns the state afterwards.
	Look(context.Context) *snapshot.Snapshot
	// Record makes the Health call a recorder at each run from now on. remove ends that.
	Record(snapshot.Recorder) (remove func())
	// Closed reports whether the Health is closed.
	Closed() bool
}

// NewSource returns a Source of h. The components must be those of h, and counters must record the runs of h.
func NewSource(h Health, components []snapshot.Component, counters *Counters) *Source {
	return &Source{counters: counters, health: h, components: components}
}

// Components returns the components. The field Component of a Run is an index in them.
func (s *Source) Components() []snapshot.Component { return s.components }

// Record calls r.Record at each run from now on. remove ends that.
func (s *Source) Record(r snapshot.Recorder) (remove func()) { return s.health.Record(r) }

// Closed reports whether the Health is closed.
func (s *Source) Closed() bool { return s.health.Closed() }

// Read runs the checks that have no fresh result. Then it calls emit for each series, one family after the
// other in the order of Families. It waits no longer than the longest timeout of the checks.
func (s *Source) Read(ctx context.Context, emit func(*Family, Series)) {
	s.counters.Read(s.health.Look(ctx), emit)
}
