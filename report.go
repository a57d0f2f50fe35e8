package echohealth

import (
	"log/slog"
	"slices"
	"time"

	"github.com/echo-probes/echohealth/internal/engine"
	"github.com/echo-probes/echohealth/probes"
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

// Report is what /detailed/ says, in code.
type Report struct {
	Status    Status
	Ready     bool      // what /ready/ says
	Timestamp time.Time // when the report was made, in UTC
	Version   string    // that of WithVersion
	Checks    []Check   // the dependencies in the order of their options, then the system metrics
}

// Check is one check's, or one metric's, state.
type Check struct {
	Name         string
	Status       probes.Status
	Reason       probes.Reason // empty where Status is OK
	ResponseTime time.Duration // how long the run took; zero for a metric
	Details      []slog.Attr   // the further members of its JSON object, in order
	Since        time.Time     // since when it has had this Status
}

// makeReport puts together what the checks and the metrics say. It copies what the caller might change.
func (h *Health) makeReport(results []*engine.Result, metrics []Check) Report {
	report := Report{
		Status:    h.overall(results, metrics),
		Ready:     h.ready(results),
		Timestamp: time.Now().UTC(),
		Version:   h.config.version,
		Checks:    make([]Check, 0, len(results)+len(metrics)),
	}
	for i, result := range results {
		report.Checks = append(report.Checks, newCheck(h.config.checks[i].name, result))
	}
	report.Checks = append(report.Checks, metrics...)
	for i := range report.Checks {
		report.Checks[i].Details = slices.Clone(report.Checks[i].Details)
	}
	return report
}

func newCheck(name string, result *engine.Result) Check {
	return Check{
		Name:         name,
		Status:       result.Status,
		Reason:       result.Reason,
		ResponseTime: result.Took,
		Details:      result.Details,
		Since:        result.Since,
	}
}

// overall judges the results of all checks, and the metrics.
func (h *Health) overall(results []*engine.Result, metrics []Check) Status {
	status := Healthy
	if h.engine.Closed() {
		status = Unhealthy
	}
	for i, result := range results {
		status = worse(status, result.Status, h.config.checks[i].optional)
	}
	for _, metric := range metrics {
		status = worse(status, metric.Status, false)
	}
	return status
}

func worse(status Status, check probes.Status, optional bool) Status {
	switch {
	case check == probes.OK || status == Unhealthy:
		return status
	case check == probes.Error && !optional:
		return Unhealthy
	}
	return Degraded
}

// ready judges the results of all checks, and the phase.
func (h *Health) ready(results []*engine.Result) bool {
	for i, result := range results {
		if result.Status == probes.Error && h.config.dependsOn(h.config.checks[i]) {
			return false
		}
	}
	return h.phase() == running
}
