// Package snapshot has the two things that metrics, history and the page are made from: a picture of all
// that is known now, and each run of a check as it ends. It knows nothing of who makes them or of who reads
// them.
package snapshot

import (
	"log/slog"
	"time"

	"github.com/echo-probes/echohealth/probes"
)

// Snapshot is the state of a service at one moment. It must not be changed.
type Snapshot struct {
	Start      time.Time // when the Health was made
	Version    string    // empty without WithVersion
	Status     string    // healthy, degraded or unhealthy
	Ready      bool
	Phase      string      // starting, running or draining; empty once the Health is closed
	Components []Component // of all snapshots of one Health the same
	States     []State     // one for each of Components
	Groups     []Group
	System     System
}

// Component is a check or a system metric, and what is fixed of it.
type Component struct {
	Name        string
	System      bool          // it is a system metric
	Critical    bool          // an error of it makes the service unhealthy
	Switch      bool          // the application turns it off and on by itself
	Celery      bool          // its details are those of package celeryprobe
	Certificate bool          // its details are those of package certprobe
	Timeout     time.Duration // of one run; zero for a system metric
	Interval    time.Duration // the shortest time between two runs; zero for a system metric
}

// Group is a part of the service.
type Group struct {
	Name   string
	Ready  bool
	Checks []string // the names of its checks
}

// State is the state of a component. Status is empty before its first result.
type State struct {
	Status  probes.Status
	Reason  probes.Reason
	Took    time.Duration
	At      time.Time // when the result was found
	Since   time.Time // since when it has had this Status
	LastOK  time.Time // zero before the first OK
	Details []slog.Attr
}

// System holds the measurements of the machine or the container. A figure that could not be measured is
// absent.
type System struct {
	CPURatio    Figure // 0 to 1
	MemoryUsed  Figure // bytes
	MemorySize  Figure // bytes
	Connections Figure
	Disks       []Disk
}

// Disk is the file system of one path.
type Disk struct {
	Name       string
	Used, Size Figure // bytes
}

// Figure is a number that may be absent.
type Figure struct {
	Value float64
	Known bool
}

// Known returns a Figure that is present.
func Known[N ~int | ~uint64 | ~float64](value N) Figure { return Figure{float64(value), true} }

// Run is a result of a component at the moment when it is found.
type Run struct {
	Component int // the index in Snapshot.Components
	Status    probes.Status
	Reason    probes.Reason
	Took      time.Duration
	At        time.Time
	Kind      Kind
}

// Kind says how a Run came about.
type Kind int

const (
	// Ended is a run that has ended, or that has just exceeded its timeout. Each run is Ended once.
	Ended Kind = iota
	// Overdue is a run that exceeded its timeout before and is still not over. It is recorded at most once in
	// each freshness time, and only if something asks for the check.
	Overdue
	// Late is the failure of a run that was recorded before, when it exceeded its timeout. Only Reason is new.
	Late
)

// Recorder receives each Run. The runs of one component arrive in order; the runs of different components may
// arrive at the same time. Record must return at once and must not call the Health, because a lock is held.
type Recorder interface{ Record(Run) }
