// Package expositiontest has a snapshot in which every family of metrics has a series. Only tests import it.
package expositiontest

import (
	"context"
	"log/slog"
	"time"

	"github.com/echo-probes/echohealth/internal/exposition"
	"github.com/echo-probes/echohealth/internal/snapshot"
	"github.com/echo-probes/echohealth/probes"
)

// Noon is the time of the snapshot.
var Noon = time.Date(2026, 11, 28, 12, 0, 0, 250e6, time.UTC)

// Snapshot returns a snapshot in which every family has a series.
func Snapshot() *snapshot.Snapshot {
	return &snapshot.Snapshot{
		Start: Noon.Add(-time.Hour), Version: "1.2.3", Status: "degraded", Ready: true, Phase: "running",
		Components: []snapshot.Component{
			{Name: "database", Critical: true, Timeout: 800 * time.Millisecond, Interval: time.Second},
			{Name: "celery", Celery: true, Timeout: 2 * time.Second, Interval: 30 * time.Second},
			{Name: "orders", Celery: true, Timeout: time.Second, Interval: time.Second},
			{Name: "certificate", Certificate: true, Timeout: time.Second, Interval: time.Hour},
			{Name: "cpu", System: true},
		},
		States: []snapshot.State{
			{Status: probes.OK, At: Noon, LastOK: Noon},
			{
				Status: probes.Error, Reason: probes.ReasonNoWorkers, At: Noon, LastOK: Noon.Add(-time.Minute),
				Details: []slog.Attr{slog.Int("pending_tasks", 7), slog.Int("workers", 0)},
			},
			{
				Status: probes.OK, At: Noon, LastOK: Noon,
				Details: []slog.Attr{
					slog.Int("pending_tasks", 3), slog.Int("pending_tasks.mail", 1), slog.Uint64("pending_tasks.pdf", 2),
				},
			},
			{
				Status: probes.Warning, Reason: probes.ReasonCertificateExpiresSoon, At: Noon,
				Details: []slog.Attr{slog.Int64("not_after", 1796947200), slog.String("expires", "2026-12-11")},
			},
			{Status: probes.Warning, Reason: probes.ReasonAboveThreshold, At: Noon},
		},
		Groups: []snapshot.Group{
			{Name: "payment", Ready: true, Checks: []string{"database"}}, {Name: "mail", Checks: []string{"celery"}},
		},
		System: snapshot.System{
			CPURatio:    snapshot.Known(0.925),
			MemoryUsed:  snapshot.Known(uint64(3 << 30)),
			MemorySize:  snapshot.Known(uint64(4 << 30)),
			Connections: snapshot.Known(42),
			Disks: []snapshot.Disk{
				{Name: "disk", Used: snapshot.Known(uint64(1 << 40)), Size: snapshot.Known(uint64(1 << 41))},
				{Name: "gone"},
			},
		},
	}
}

// Counters returns counters after some runs of the components of Snapshot.
func Counters() *exposition.Counters {
	c := exposition.NewCounters(5)
	for _, run := range []snapshot.Run{
		{Component: 0, Status: probes.OK, Took: time.Millisecond},
		{Component: 0, Status: probes.Error, Took: 800 * time.Millisecond},
		{Component: 0, Status: probes.Error, Took: 800 * time.Millisecond, Kind: snapshot.Overdue},
		{Component: 0, Status: probes.Error, Took: 3 * time.Second, Kind: snapshot.Late},
		{Component: 0, Status: probes.OK, Took: 1001 * time.Microsecond},
		{Component: 1, Status: probes.Warning, Took: 7 * time.Second},
		{Component: 4, Status: probes.OK},
		{Component: 4, Status: probes.Warning},
	} {
		c.Record(run)
	}
	return c
}

// Source returns a Source of Snapshot and Counters.
func Source() *exposition.Source {
	return exposition.NewSource(fixed{}, Snapshot().Components, Counters())
}

// fixed is a Health whose state is always Snapshot.
type fixed struct{}

func (fixed) Look(context.Context) *snapshot.Snapshot { return Snapshot() }

func (fixed) Record(snapshot.Recorder) (remove func()) { return func() {} }

func (fixed) Closed() bool { return false }
