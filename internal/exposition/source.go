package exposition

import (
	"context"

	"github.com/echo-probes/echohealth/internal/snapshot"
)

// Source is where a collector reads the metrics of one Health.
type Source struct {
	counters   *Counters
	health     Health
	components []snapshot.Component
}

// Health is the part of a Health that a Source needs.
type Health interface {
	// Look runs the due checks, and returns the state afterwards.
	Look(context.Context) *snapshot.Snapshot
	// Record lets a recorder be told of each run from now on, until remove is called.
	Record(snapshot.Recorder) (remove func())
	// Closed reports whether the Health is closed.
	Closed() bool
}

// NewSource returns a Source of a Health with these components, whose runs the counters count.
func NewSource(h Health, components []snapshot.Component, counters *Counters) *Source {
	return &Source{counters: counters, health: h, components: components}
}

// Components returns the components, in the order of the indexes of runs.
func (s *Source) Components() []snapshot.Component { return s.components }

// Record lets a recorder be told of each run from now on, until remove is called.
func (s *Source) Record(r snapshot.Recorder) (remove func()) { return s.health.Record(r) }

// Closed reports whether the Health is closed.
func (s *Source) Closed() bool { return s.health.Closed() }

// Read runs the checks that are due, and calls emit for each series, family by family in the order of
// Families. It takes no longer than the longest timeout of the checks.
func (s *Source) Read(ctx context.Context, emit func(*Family, Series)) {
	s.counters.Read(s.health.Look(ctx), emit)
}
