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

	// ErrLeftAlone is wrapped by the error of Close or Shutdown if a call did not return in time: a probe, the
	// Shutdown of a server, a function of WithOnChange, or the logger. That call may still be running.
	ErrLeftAlone = errors.New("it may still be running")
)

// Status is the state of the service as a whole.
type Status string

// The three states of a service.
const (
	// Healthy: every check and every metric is ok.
	Healthy Status = "healthy"
	// Degraded: a check or a metric is a warning, or an Optional check is an error.
	Degraded Status = "degraded"
	// Unhealthy: a check that is not Optional is an error, or a metric is over a critical threshold.
	Unhealthy Status = "unhealthy"
)

// Report is the result of Health.Report. Its JSON is the answer of /detailed/.
type Report struct {
	Status    Status
	Ready     bool      // whether /ready/ answers 200
	Phase     string    // "starting" before MarkStarted, "draining" after Drain; empty otherwise
	Timestamp time.Time // when the report was made, in UTC
	Version   string    // the version of WithVersion
	Instance  string    // a random name of this Health; empty without WithHistory and WithPage
	Checks    []Check   // the dependencies in the order of their options, then the system metrics

	Groups []GroupReport // the groups of WithGroup, in the order of the options
}

// GroupReport is the state of a group of checks.
type GroupReport struct {
	Name   string
	Ready  bool     // whether /groups/NAME/ answers 200
	Checks []string // the names of its checks, in the order of WithGroup's arguments
}

// Check is the state of one check or one metric. Its JSON is the answer of /checks/NAME/.
type Check struct {
	Name         string
	Status       probes.Status
	Reason       probes.Reason // empty if Status is OK
	ResponseTime time.Duration // how long the run took; zero for a metric
	Details      []slog.Attr   // the further members of its JSON object, in order
	Since        time.Time     // since when it has had this Status
	LastOK       time.Time     // when its last OK was found; zero if there was none

	metric bool // it is a metric, which has no response time
}

// System reports whether c is a system metric, not a check that an option added.
func (c Check) System() bool { return c.metric }

// Change is the argument of the functions of WithOnChange and OnChange. They are called for the first result
// of a check or a metric that is not OK, for every later change of its status or reason, and for every change
// of readiness.
type Change struct {
	Check  string        // the check's or the metric's name; empty for a change of readiness
	From   probes.Status // empty if the status was unknown before
	To     probes.Status // OK or Error for a change of readiness
	Reason probes.Reason // empty if To is OK; for readiness "starting", "draining", or empty if a check fails
	Lasted time.Duration // how long From, with its reason, lasted; zero if From is empty
	Err    error         // only for logs: passwords are masked in its text, but not in the errors that it wraps
	At     time.Time
}
