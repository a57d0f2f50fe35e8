package echohealth

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/echo-probes/echohealth/internal/engine"
	"github.com/echo-probes/echohealth/probes"
)

// monitor holds the state of the service: its phase, its checks and metrics, and the rules that derive the
// statuses from them. It does not know the endpoints or the notifier.
type monitor struct {
	lifecycle
	engine       *engine.Engine
	dependencies []dependency
	checks       []*engine.Check // those of all dependencies
	gating       []*engine.Check // those that readiness depends on
	groups       []*group
	system       *system // nil without system metrics
	version      string
	instance     string        // a random name; empty unless a feature needs it
	interval     time.Duration // of WithBackground; zero: not used
	start        time.Time

	unwatch []func()    // stop watching switches and heartbeats
	stuck   func() bool // whether a loop of WithLiveness hangs; nil without that option

	// reportGroups is set by WithGroup. It is a field so that the linker leaves the function out of programs
	// without groups.
	reportGroups func(*monitor, phase, []*engine.Result) []GroupReport
}

// dependency is a check and what its failure means for the service.
type dependency struct {
	*engine.Check
	optional bool // its failure makes the service degraded, not unhealthy
	gating   bool // readiness depends on it
	isSwitch bool // its probe is a *probes.Switch
}

// group holds the checks of one WithGroup.
type group struct {
	name   string
	names  []string // the names of its checks
	checks []*engine.Check
}

func newMonitor(c *config, listener engine.Listener) (*monitor, error) {
	m := &monitor{
		lifecycle: lifecycle{gated: c.gated, drained: make(chan struct{})},
		engine:    engine.New(c.engineConfigs(), listener),
		version:   c.version,
		interval:  c.interval,
		start:     time.Now(),
	}
	m.checks = m.engine.Checks()
	for i, check := range m.checks {
		d := dependency{
			Check: check, optional: c.checks[i].optional, gating: c.gates(c.checks[i]),
			isSwitch: c.checks[i].isSwitch(),
		}
		m.dependencies = append(m.dependencies, d)
		if d.gating {
			m.gating = append(m.gating, check)
		}
	}
	if c.withoutSystem {
		return m, nil
	}
	changed := func(changes []engine.Change) {
		m.engine.Enqueue(func() { // in one order with the changes of checks
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

// named returns the checks with these names, in the order of the names.
func (m *monitor) named(names []string) (checks []*engine.Check) {
	for _, name := range names {
		i := slices.IndexFunc(m.checks, func(c *engine.Check) bool { return c.Name == name })
		checks = append(checks, m.checks[i])
	}
	return checks
}

// areSwitches reports whether all checks with these names are switches, which the application itself turns
// off.
func (m *monitor) areSwitches(names ...string) bool {
	return !slices.ContainsFunc(names, func(name string) bool {
		i := slices.IndexFunc(m.dependencies, func(d dependency) bool { return d.Name == name })
		return i < 0 || !m.dependencies[i].isSwitch
	})
}

// alive returns what /live/ answers. It is always true while the service starts, drains or is closed, because
// its loops may not have begun yet, or may have ended.
func (m *monitor) alive() bool { return m.stuck == nil || m.phase() != running || !m.stuck() }

func (m *monitor) phase() phase {
	if m.engine.Closed() {
		return closed
	}
	return m.lifecycle.phase()
}

// look starts the due checks, and a measurement of the system metrics if one is due. It waits only for the
// checks of shown.
func (m *monitor) look(ctx context.Context, shown []*engine.Check) engine.Collection {
	m.startMeasurement()
	return m.engine.Collect(ctx, shown)
}

// startMeasurement starts a measurement of the system metrics if one is due, and does not wait for it.
func (m *monitor) startMeasurement() {
	if m.system != nil && !m.engine.Closed() {
		m.system.startMeasurement()
	}
}

var noMetrics metrics

// metrics returns the system metrics, after a measurement if one is due. With WithoutSystemMetrics there are
// none.
func (m *monitor) metrics() *metrics {
	switch {
	case m.system == nil:
		return &noMetrics
	case m.engine.Closed():
		return m.system.stale(m.engine.ClosedAt())
	}
	return m.system.read()
}

func (m *monitor) metricNames() []string {
	if m.system == nil {
		return nil
	}
	return m.system.names()
}

// watch runs the check of a probe with the method Watch as soon as the probe reports a change. A panic of the
// probe is passed to listener, and the check then runs as any other.
func (m *monitor) watch(listener engine.Listener) {
	contained := func(check *engine.Check, what string, call func()) {
		err := contain(fmt.Sprintf("%s of %T", what, check.Probe), func() error { call(); return nil })
		if err != nil {
			listener.Invalid(check.Name, err)
		}
	}
	for _, check := range m.checks {
		// A type assertion to *probes.Switch would link that type into every program.
		if probe, ok := check.Probe.(interface{ Watch(func()) (stop func()) }); ok {
			var stop func()
			check.DelayRerun() // so that no check runs before New has returned, unless New takes very long
			contained(check, "Watch", func() { stop = probe.Watch(check.Rerun) })
			if stop != nil {
				m.unwatch = append(m.unwatch, func() { contained(check, "the end of Watch", stop) })
			}
		}
	}
}

// close ends all runs, and returns the names of the checks that still run after limit.
func (m *monitor) close(limit time.Duration) []string {
	running := m.engine.Close(limit)
	for _, unwatch := range m.unwatch { // after engine.Close, so that a timer that has fired does nothing
		unwatch()
	}
	if m.system != nil {
		m.system.close()
	}
	return running
}

// overall returns the status of the service. checks are those of the dependencies and then the metrics. A
// check or a metric without a result counts as an Error.
func (m *monitor) overall(checks []Check, phase phase) Status {
	status := Healthy
	if phase == closed {
		status = Unhealthy
	}
	for i, check := range checks {
		optional := i < len(m.dependencies) && m.dependencies[i].optional
		status = worse(status, check.Status, optional)
	}
	return status
}

func worse(status Status, check probes.Status, optional bool) Status {
	switch {
	case check == probes.OK || status == Unhealthy:
		return status
	case check == probes.Warning || optional:
		return Degraded
	}
	return Unhealthy
}

// ready reports whether the service is ready in this phase, with these results of the checks that readiness
// depends on. A check without a result has a nil result and counts as an Error.
func (p phase) ready(gating []*engine.Result) bool {
	return p == running && !slices.ContainsFunc(gating, func(r *engine.Result) bool {
		return r == nil || r.Status == probes.Error
	})
}

// now runs the due checks and returns the Report that /detailed/ answers with.
func (m *monitor) now(ctx context.Context) Report {
	results := m.look(ctx, m.checks).Results
	return m.report(m.phase(), results, m.metrics()).clone()
}

// last returns the Report of the last results and runs nothing.
func (m *monitor) last() Report {
	if m.engine.Closed() {
		return m.now(context.Background()) // after Close, now runs nothing
	}
	metrics := &noMetrics
	if m.system != nil {
		metrics = m.system.lastMetrics()
	}
	return m.report(m.phase(), m.engine.Last(m.checks).Results, metrics).clone()
}

// check returns what /checks/NAME/ answers.
func (m *monitor) check(ctx context.Context, name string) (Check, error) {
	for _, check := range m.checks {
		if check.Name == name {
			result := m.look(ctx, []*engine.Check{check}).Results[0]
			return newCheck(name, result).clone(), nil
		}
	}
	if i := slices.Index(m.metricNames(), name); i >= 0 {
		m.look(ctx, nil)
		return m.metrics().checks[i].clone(), nil
	}
	return Check{}, fmt.Errorf("%w: %q", ErrUnknownCheck, name)
}

// report combines the results of the checks and the metrics. A check without a result has a nil result.
func (m *monitor) report(phase phase, results []*engine.Result, metrics *metrics) Report {
	checks := make([]Check, 0, len(results)+len(metrics.checks))
	for i, result := range results {
		checks = append(checks, newCheck(m.dependencies[i].Name, result))
	}
	checks = append(checks, metrics.checks...)
	report := Report{
		Status:    m.overall(checks, phase),
		Ready:     phase.ready(m.ofGating(results)),
		Phase:     phase.word(),
		Timestamp: time.Now().UTC(),
		Version:   m.version,
		Instance:  m.instance,
		Checks:    checks,
	}
	if m.reportGroups != nil {
		report.Groups = m.reportGroups(m, phase, results)
	}
	return report
}

// clone copies the parts that the caller might change.
func (r Report) clone() Report {
	for i, check := range r.Checks {
		r.Checks[i] = check.clone()
	}
	return r
}

func (c Check) clone() Check {
	c.Details = slices.Clone(c.Details)
	return c
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

// newCheck returns the state of a check. Without a result, only the name is set.
func newCheck(name string, result *engine.Result) Check {
	if result == nil {
		return Check{Name: name}
	}
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
