package echohealth

import (
	"errors"
	"log/slog"
	"time"

	"github.com/echo-probes/echohealth/probes"
)

var (
	// ErrUnknownCheck is the error of Health.Check for a name that no check and no metric has.
	ErrUnknownCheck = errors.New("echohealth: no check has this name")

	// ErrLeftAlone is wrapped by an error of Close or Shutdown where something has not ended in time: a
	// probe, a server, a function of WithOnChange or the logger. It may still run.
	ErrLeftAlone = errors.New("it may still be running")
)

// Status is how the service is as a whole.
type Status string

// The three states of a service.
const (
	// Healthy: every check and every metric is ok.
	Healthy Status = "healthy"
	// Degraded: something warns, an Optional check is an error, or a metric can't be read.
	Degraded Status = "degraded"
	// Unhealthy: a check that is not Optional is an error, or a metric is over a critical threshold.
	Unhealthy Status = "unhealthy"
)

// Report is the result of Health.Report. Its JSON is the answer of /detailed/.
type Report struct {
	Status    Status
	Ready     bool      // what /ready/ says
	Phase     string    // "starting" before MarkStarted, "draining" after Drain; empty otherwise
	Timestamp time.Time // when the report was made, in UTC
	Version   string    // that of WithVersion
	Instance  string    // a random name of this Health, with WithHistory or WithPage
	Checks    []Check   // the dependencies in the order of their options, then the system metrics

	Groups []GroupReport // those of WithGroup, in the order of the options
}

// GroupReport is the state of a group of checks.
type GroupReport struct {
	Name   string
	Ready  bool     // what /groups/NAME/ says
	Checks []string // the names of its checks, as WithGroup was given them
}

// Check is the state of one check or one metric. Its JSON is the answer of /checks/NAME/.
type Check struct {
	Name         string
	Status       probes.Status
	Reason       probes.Reason // empty if Status is OK
	ResponseTime time.Duration // how long the run took; zero for a metric
	Details      []slog.Attr   // the further members of its JSON object, in order
	Since        time.Time     // since when it has had this Status
	LastOK       time.Time     // when its last OK was found; zero where there was none

	metric bool // it is a metric, which has no response time
}

// System reports whether it is a system metric, not a check that an option added.
func (c Check) System() bool { return c.metric }

// Change is the argument of the functions of WithOnChange and OnChange. It is the first failure of a check or
// a metric, every later change of its status or reason, and every change of readiness.
type Change struct {
	Check  string        // the check's or the metric's name; empty for a change of readiness
	From   probes.Status // empty if it was unknown
	To     probes.Status // readiness is OK or Error
	Reason probes.Reason // empty if To is OK; of readiness "starting", "draining", or empty if a check fails
	Lasted time.Duration // how long From, with its reason, lasted; zero if it was unknown
	Err    error         // the whole error, only for a log: its text is masked, the errors that it wraps are not
	At     time.Time
}
