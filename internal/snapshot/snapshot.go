// Package snapshot defines the data that metrics, history and the status page are made from: the present
// state, and the result of each run of a check. It knows neither who makes these data nor who reads them.
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
	Components []Component // the same in all snapshots of a Health
	States     []State     // one for each component, in the same order
	Groups     []Group
	System     System
}

// Component holds the settings of a check or a system metric. They never change.
type Component struct {
	Name        string
	System      bool          // it is a system metric
	Critical    bool          // its error makes the service unhealthy
	Switch      bool          // the application switches it on and off
	Celery      bool          // its probe is from package celeryprobe
	Certificate bool          // its probe is from package certprobe
	Timeout     time.Duration // the timeout of one run; zero for a system metric
	Interval    time.Duration // how long a result serves: its freshness, or the schedule's interval if longer
}

// Group is a part of the service with its own readiness.
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
	Since   time.Time // when Status became what it is
	LastOK  time.Time // when it was last OK; zero before the first OK
	Details []slog.Attr
}

// System holds the measurements of the machine or the container. A Figure that could not be measured is not
// Known.
type System struct {
	CPURatio    Figure // 0 to 1, the share of the CPUs in use
	MemoryUsed  Figure // bytes
	MemorySize  Figure // bytes
	Connections Figure
	Disks       []Disk
}

// Disk holds the measurements of the file system that contains a path.
type Disk struct {
	Name       string
	Used, Size Figure // bytes
}

// Figure is a number that may be unknown.
type Figure struct {
	Value float64
	Known bool
}

// Known returns a Figure with this value.
func Known[N ~int | ~uint64 | ~float64](value N) Figure { return Figure{float64(value), true} }

// Run is what Record receives: a result of a component and how it came about.
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
	// Ended is a run that has ended, or that has just exceeded its timeout. Each run is recorded as Ended once.
	Ended Kind = iota
	// Overdue is a run that exceeded its timeout earlier and is still in progress. It is recorded when a caller
	// or the schedule asks for the check's result, but at most once in each RetryAfter.
	Overdue
	// Late is the end of a failed run that had exceeded its timeout. The failure was already recorded as Ended.
	// Only Reason is new.
	Late
)

// Recorder receives each Run. The runs of one component arrive in order. The runs of several components may
// arrive concurrently. Record must return immediately and must not call the Health, because a lock is held
// during the call.
type Recorder interface{ Record(Run) }
