package echohealth

import (
	"fmt"
	"strings"
	"time"

	"github.com/echo-probes/echohealth/internal/engine"
	"github.com/echo-probes/echohealth/internal/snapshot"
	"github.com/echo-probes/echohealth/sysmetrics"
)

// sampleFreshness is how long a sample of the system metrics is used.
const sampleFreshness = time.Second

// components returns the names and settings of the checks and then of the system metrics, in the order of the
// answers.
func (m *monitor) components() []snapshot.Component {
	var components []snapshot.Component
	for _, d := range m.dependencies {
		kind := fmt.Sprintf("%T", d.Probe)
		components = append(components, snapshot.Component{
			Name: d.Name, Critical: !d.optional, Timeout: d.Timeout, Interval: max(d.Freshness, m.interval),
			Switch: d.isSwitch, Celery: strings.Contains(kind, "celeryprobe."),
			Certificate: strings.Contains(kind, "certprobe."),
		})
	}
	for i, name := range m.metricNames() {
		components = append(components, snapshot.Component{
			Name: name, System: true, Critical: m.system.hasCritical(i), Interval: max(sampleFreshness, m.interval),
		})
	}
	return components
}

// record passes each run of a check, and each measurement of a system metric, to recorder until remove is
// called.
func (m *monitor) record(recorder snapshot.Recorder) (remove func()) {
	removeChecks := m.engine.Record(func(run engine.Run) {
		recorder.Record(snapshot.Run{
			Component: run.Check, Status: run.Result.Status, Reason: run.Result.Reason,
			Took: run.Result.Took, At: run.At, Kind: runKinds[run.Kind],
		})
	})
	if m.system == nil {
		return removeChecks
	}
	removeMetrics := m.system.record(func(i int, check *Check, at time.Time) {
		recorder.Record(snapshot.Run{
			Component: len(m.checks) + i, Status: check.Status, Reason: check.Reason, At: at,
		})
	})
	return func() {
		removeChecks()
		removeMetrics()
	}
}

var runKinds = [...]snapshot.Kind{
	engine.Ended: snapshot.Ended, engine.Overdue: snapshot.Overdue, engine.Late: snapshot.Late,
}

// snapshot returns the data of m.report in a type that other packages may use. components must be the result
// of m.components.
func (m *monitor) snapshot(
	components []snapshot.Component, phase phase, results []*engine.Result, metrics *metrics,
) *snapshot.Snapshot {
	report := m.report(phase, results, metrics)
	s := &snapshot.Snapshot{
		Start: m.start, Version: report.Version, Status: string(report.Status), Ready: report.Ready,
		Phase: phase.name(), Components: components, States: make([]snapshot.State, len(report.Checks)),
	}
	for i, check := range report.Checks {
		s.States[i] = snapshot.State{
			Status: check.Status, Reason: check.Reason, Took: check.ResponseTime,
			Since: check.Since, LastOK: check.LastOK, Details: check.Details,
		}
		if i >= len(results) {
			s.States[i].At = metrics.at
		} else if results[i] != nil {
			s.States[i].At = results[i].At
		}
	}
	for _, group := range report.Groups {
		s.Groups = append(s.Groups, snapshot.Group(group))
	}
	if metrics.sample != nil {
		s.System = figures(metrics.sample)
	}
	return s
}

// figures returns the numbers of a sample. Those that could not be read stay unknown.
func figures(sample *sysmetrics.Sample) snapshot.System {
	var s snapshot.System
	if sample.CPU.Err == nil {
		s.CPURatio = snapshot.Known(sample.CPU.Percent / 100)
	}
	if memory := sample.Memory; memory.Err == nil {
		s.MemoryUsed = snapshot.Known(memory.TotalBytes - memory.AvailableBytes)
		s.MemorySize = snapshot.Known(memory.TotalBytes)
	}
	if sample.Connections.Err == nil {
		s.Connections = snapshot.Known(sample.Connections.Active)
	}
	for _, disk := range sample.Disks {
		d := snapshot.Disk{Name: disk.Name}
		if disk.Err == nil {
			d.Used, d.Size = snapshot.Known(disk.TotalBytes-disk.FreeBytes), snapshot.Known(disk.TotalBytes)
		}
		s.Disks = append(s.Disks, d)
	}
	return s
}
