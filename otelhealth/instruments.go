package otelhealth

import (
	"slices"

	"github.com/echo-probes/echohealth/internal/exposition"
	"go.opentelemetry.io/otel/metric"
)

// instrument is a family of package exposition with its name, kind and unit in OpenTelemetry.
type instrument struct {
	family, name string
	kind         kind
	unit         string
}

type kind int

const (
	upDownCounter kind = iota // for values whose sum over all instances has a meaning
	counter
	gauge
)

// instruments has all families but the histogram, because OpenTelemetry has no observable histogram.
var instruments = [...]instrument{
	{"echohealth_status", "echohealth.status", upDownCounter, "1"},
	{"echohealth_ready", "echohealth.ready", upDownCounter, "1"},
	{"echohealth_group_ready", "echohealth.group.ready", upDownCounter, "1"},
	{"echohealth_phase", "echohealth.phase", upDownCounter, "1"},
	{"echohealth_component_status", "echohealth.component.status", upDownCounter, "1"},
	{"echohealth_component_reason", "echohealth.component.reason", upDownCounter, "1"},
	{"echohealth_component_info", "echohealth.component.info", upDownCounter, "1"},
	{"echohealth_component_checks_total", "echohealth.component.checks", counter, "{check}"},
	{
		"echohealth_component_status_changes_total", "echohealth.component.status.changes", counter, "{change}",
	},
	{
		"echohealth_component_last_check_timestamp_seconds", "echohealth.component.last_check.timestamp",
		gauge, "s",
	},
	{
		"echohealth_component_last_success_timestamp_seconds", "echohealth.component.last_success.timestamp",
		gauge, "s",
	},
	{"echohealth_component_check_interval_seconds", "echohealth.component.check.interval", gauge, "s"},
	{"echohealth_component_check_timeout_seconds", "echohealth.component.check.timeout", gauge, "s"},
	{"echohealth_system_cpu_usage_ratio", "echohealth.system.cpu.usage", gauge, "1"},
	{"echohealth_system_memory_used_bytes", "echohealth.system.memory.used", upDownCounter, "By"},
	{"echohealth_system_memory_size_bytes", "echohealth.system.memory.size", upDownCounter, "By"},
	{"echohealth_system_disk_used_bytes", "echohealth.system.disk.used", upDownCounter, "By"},
	{"echohealth_system_disk_size_bytes", "echohealth.system.disk.size", upDownCounter, "By"},
	{"echohealth_system_connections", "echohealth.system.connections", upDownCounter, "{connection}"},
	{"echohealth_celery_workers", "echohealth.celery.workers", upDownCounter, "{worker}"},
	{"echohealth_celery_queue_length", "echohealth.celery.queue.length", upDownCounter, "{task}"},
	{
		"echohealth_certificate_not_after_timestamp_seconds", "echohealth.certificate.not_after.timestamp",
		gauge, "s",
	},
	{"echohealth_build_info", "echohealth.build.info", upDownCounter, "1"},
	{"echohealth_start_time_seconds", "echohealth.start.time", gauge, "s"},
}

// attributeName returns the name of the attribute for a label of a family of package exposition.
func attributeName(family *exposition.Family, label string) string {
	if label == "status" && slices.Contains(family.Labels, "component") {
		return componentState
	}
	return attributeNames[label]
}

var attributeNames = map[string]string{
	"status":    "echohealth.state",
	"phase":     "echohealth.state",
	"group":     "echohealth.group.name",
	"component": componentName,
	"reason":    "echohealth.component.reason",
	"kind":      "echohealth.component.kind",
	"critical":  "echohealth.component.critical",
	"disk":      "echohealth.disk.name",
	"queue":     "echohealth.celery.queue.name",
	"version":   "service.version",
}

const (
	componentName  = "echohealth.component.name"
	componentState = "echohealth.component.state"
)

func (i instrument) create(meter metric.Meter, help string) (metric.Float64Observable, error) {
	description, unit := metric.WithDescription(help), metric.WithUnit(i.unit)
	switch i.kind {
	case counter:
		return meter.Float64ObservableCounter(i.name, description, unit)
	case gauge:
		return meter.Float64ObservableGauge(i.name, description, unit)
	}
	return meter.Float64ObservableUpDownCounter(i.name, description, unit)
}
