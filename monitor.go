package echohealth

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/echo-probes/echohealth/internal/engine"
	"github.com/echo-probes/echohealth/probes"
)

// monitor is what is known of the service: its phase, its checks and what their failure means, its metrics, and the
// judgements on them. It does not know who asks, or who is told.
type monitor struct {
	lifecycle
	engine       *engine.Engine
	dependencies []dependency
	checks       []*engine.Check // those of all dependencies
	gating       []*engine.Check // those that readiness depends on
	system       *system         // nil without system metrics
	version      string
}

// dependency is a check with what its failure means.
type dependency struct {
	*engine.Check
	optional bool // its failure makes the service degraded, not unhealthy
	gating   bool // readiness depends on it
}

func newMonitor(c *config, listener engine.Listener) (*monitor, error) {
	m := &monitor{
		lifecycle: lifecycle{gated: c.gated, drained: make(chan struct{})},
		engine:    engine.New(c.engineConfigs(), listener),
		version:   c.version,
	}
	m.checks = m.engine.Checks()
	for i, check := range m.checks {
		d := dependency{Check: check, optional: c.checks[i].optional, gating: c.gates(c.checks[i])}
		m.dependencies = append(m.dependencies, d)
		if d.gating {
			m.gating = append(m.gating, check)
		}
	}
	if c.withoutSystem {
		return m, nil
	}
	changed := func(changes []engine.Change) {
		m.engine.Enqueue(func() { // in the order of the checks' changes
			for _, change := range changes {
				listener.Changed(change)
			}
		})
	}
	var err error
	if m.system, err = newSystem(c, changed); err != nil {
		return nil, fmt.Errorf("echohealth: %w", err)
	}
	return m, nil
}

func (m *monitor) phase() phase {
	switch {
	case m.engine.Closed():
		return closed
	case m.draining.Load():
		return draining
	case !m.started():
		return starting
	}
	return running
}

// look runs what is due, the system metrics too, and waits for the checks of shown alone.
func (m *monitor) look(ctx context.Context, shown []*engine.Check) engine.Collection {
	m.renewMetrics()
	return m.engine.Collect(ctx, shown)
}

// renewMetrics measures the system metrics if they are due, and does not wait for them.
func (m *monitor) renewMetrics() {
	if m.system != nil && !m.engine.Closed() {
		m.system.renew()
	}
}

var noMetrics metrics

// metrics returns the system metrics, none where there are to be none. It measures them if they are due.
func (m *monitor) metrics() *metrics {
	switch {
	case m.system == nil:
		return &noMetrics
	case m.engine.Closed():
		return m.system.stale()
	}
	return m.system.read()
}

func (m *monitor) metricNames() []string {
	if m.system == nil {
		return nil
	}
	return m.system.names()
}

// close ends what runs, and returns the names of the checks that still run after limit.
func (m *monitor) close(limit time.Duration) []string {
	now := time.Now()
	running := m.engine.Close(limit)
	if m.system != nil {
		m.system.close(now)
	}
	return running
}

// overall judges the results of all checks, and the metrics.
func (m *monitor) overall(results []*engine.Result, metrics *metrics) Status {
	status := Healthy
	if m.engine.Closed() {
		status = Unhealthy
	}
	for i, result := range results {
		status = worse(status, result.Status, m.dependencies[i].optional)
	}
	for _, metric := range metrics.checks {
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

// ready judges the results of the checks that readiness depends on, and the phase. A result is nil where there is none yet.
func (p phase) ready(gating []*engine.Result) bool {
	return p == running && !slices.ContainsFunc(gating, func(r *engine.Result) bool { return r != nil && r.Status == probes.Error })
}

// report says what is known now, as /detailed/ does.
func (m *monitor) report(ctx context.Context) Report {
	results := m.look(ctx, m.checks).Results
	metrics := m.metrics()
	phase := m.phase()
	report := Report{
		Status:    m.overall(results, metrics),
		Ready:     phase.ready(m.ofGating(results)),
		Phase:     phase.word(),
		Timestamp: time.Now().UTC(),
		Version:   m.version,
		Checks:    make([]Check, 0, len(results)+len(metrics.checks)),
	}
	for i, result := range results {
		report.Checks = append(report.Checks, newCheck(m.dependencies[i].Name, result))
	}
	report.Checks = append(report.Checks, metrics.checks...)
	for i := range report.Checks {
		report.Checks[i].Details = slices.Clone(report.Checks[i].Details)
	}
	return report
}

// ofGating picks the results of those checks that readiness depends on.
func (m *monitor) ofGating(results []*engine.Result) []*engine.Result {
	var gating []*engine.Result
	for i, result := range results {
		if m.dependencies[i].gating {
			gating = append(gating, result)
		}
	}
	return gating
}

func newCheck(name string, result *engine.Result) Check {
	return Check{
		Name:         name,
		Status:       result.Status,
		Reason:       result.Reason,
		ResponseTime: result.Took,
		Details:      result.Details,
		Since:        result.Since,
		LastOK:       result.LastOK,
	}
}
