// Package exposition defines the metrics and writes them in the formats of Prometheus. The health endpoints
// and the collectors for the client libraries of Prometheus and OpenTelemetry all use the table Families, so
// that they export the same metrics.
package exposition

import (
	"slices"

	"github.com/echo-probes/echohealth/internal/snapshot"
)

// Type is the type of a family in Prometheus's data model.
type Type string

// These are the types that Families uses. A set of states has a gauge for each state, which is 0 or 1,
// because Prometheus's text format has no type for a set. The average of such a gauge is the share of the
// time in that state.
const (
	TypeGauge     Type = "gauge"
	TypeCounter   Type = "counter"
	TypeHistogram Type = "histogram"
)

// Family is a metric with all its series.
type Family struct {
	Name   string // with the suffix _total if it is a counter
	Type   Type
	Help   string
	Labels []string
	each   func(s *source, emit func(Series))
}

// Lookup returns the family with this name. It panics if there is none.
func Lookup(name string) *Family {
	for i := range Families {
		if Families[i].Name == name {
			return &Families[i]
		}
	}
	panic("exposition: there is no family " + name)
}

// MaxLabels is the largest number of labels of a family.
const MaxLabels = 3

// Series is one series of a family.
type Series struct {
	Labels    [MaxLabels]string // the values of the labels in Family.Labels, in the same order
	Value     float64
	Histogram *Histogram // used instead of Value for TypeHistogram; emit must not keep it
}

// source holds the data that the series are made from.
type source struct {
	*snapshot.Snapshot
	counts []counts // one for each component
}

// Read calls emit for each series, one family after the other in the order of Families. s must have the
// components that NewCounters was called for.
func (c *Counters) Read(s *snapshot.Snapshot, emit func(*Family, Series)) {
	c.mu.Lock()
	counts := slices.Clone(c.counts) // a copy, because emit must not be called with the lock held
	c.mu.Unlock()
	from := &source{Snapshot: s, counts: counts}
	var family *Family
	emitSeries := func(series Series) { emit(family, series) }
	for i := range Families {
		family = &Families[i]
		family.each(from, emitSeries)
	}
}

// Families has all metrics, in the order of output.
var Families = [...]Family{
	{
		Name: "echohealth_status", Type: TypeGauge, Labels: []string{"status"},
		Help: "Whether the service as a whole has this status.",
		each: status,
	},
	{
		Name: "echohealth_ready", Type: TypeGauge,
		Help: "Whether the service is ready for requests.",
		each: ready,
	},
	{
		Name: "echohealth_group_ready", Type: TypeGauge, Labels: []string{"group"},
		Help: "Whether this part of the service is ready for requests. It is absent without groups.",
		each: groupReady,
	},
	{
		Name: "echohealth_phase", Type: TypeGauge, Labels: []string{"phase"},
		Help: "Whether the service is in this phase.",
		each: phase,
	},
	{
		Name: "echohealth_component_status", Type: TypeGauge, Labels: []string{"component", "status"},
		Help: "Whether the component has this status.",
		each: componentStatus,
	},
	{
		Name: "echohealth_component_reason", Type: TypeGauge, Labels: []string{"component", "reason"},
		Help: "1 while the component is not ok, with the reason.",
		each: componentReason,
	},
	{
		Name: "echohealth_component_info", Type: TypeGauge, Labels: []string{"component", "kind", "critical"},
		Help: "1 for each component. The service is unhealthy while a critical one is in error.",
		each: componentInfo,
	},
	{
		Name: "echohealth_component_checks_total", Type: TypeCounter, Labels: []string{"component", "status"},
		Help: "Results of the component, by status.",
		each: componentChecks,
	},
	{
		Name: "echohealth_component_status_changes_total", Type: TypeCounter, Labels: []string{"component"},
		Help: "Changes of the component's status.",
		each: componentChanges,
	},
	{
		Name: "echohealth_component_check_duration_seconds", Type: TypeHistogram, Labels: []string{"component"},
		Help: "How long the runs of the check took. A run that exceeds its timeout is recorded with the timeout.",
		each: componentDuration,
	},
	{
		Name: "echohealth_component_last_check_timestamp_seconds", Type: TypeGauge, Labels: []string{"component"},
		Help: "When the component's last result was found.",
		each: lastCheck,
	},
	{
		Name: "echohealth_component_last_success_timestamp_seconds", Type: TypeGauge, Labels: []string{"component"},
		Help: "When the component was found ok last.",
		each: lastSuccess,
	},
	{
		Name: "echohealth_component_check_interval_seconds", Type: TypeGauge, Labels: []string{"component"},
		Help: "The freshness of the check's results, or the interval of the schedule if that is longer.",
		each: checkInterval,
	},
	{
		Name: "echohealth_component_check_timeout_seconds", Type: TypeGauge, Labels: []string{"component"},
		Help: "How long a run of the check may take.",
		each: checkTimeout,
	},
	{
		Name: "echohealth_system_cpu_usage_ratio", Type: TypeGauge,
		Help: "The share of the CPUs, or of the control group's limit, that is in use.",
		each: func(s *source, emit func(Series)) { known(emit, s.System.CPURatio) },
	},
	{
		Name: "echohealth_system_memory_used_bytes", Type: TypeGauge,
		Help: "Memory that is not available.",
		each: func(s *source, emit func(Series)) { known(emit, s.System.MemoryUsed) },
	},
	{
		Name: "echohealth_system_memory_size_bytes", Type: TypeGauge,
		Help: "The machine's memory, or the control group's limit.",
		each: func(s *source, emit func(Series)) { known(emit, s.System.MemorySize) },
	},
	{
		Name: "echohealth_system_disk_used_bytes", Type: TypeGauge, Labels: []string{"disk"},
		Help: "The part of the file system that the process can't write to, be it in use or reserved.",
		each: diskUsed,
	},
	{
		Name: "echohealth_system_disk_size_bytes", Type: TypeGauge, Labels: []string{"disk"},
		Help: "The size of the file system.",
		each: diskSize,
	},
	{
		Name: "echohealth_system_connections", Type: TypeGauge,
		Help: "Established TCP connections of the network namespace.",
		each: func(s *source, emit func(Series)) { known(emit, s.System.Connections) },
	},
	{
		Name: "echohealth_celery_workers", Type: TypeGauge, Labels: []string{"component"},
		Help: "Celery workers that answered the last ping. It is absent without pings.",
		each: celeryWorkers,
	},
	{
		Name: "echohealth_celery_queue_length", Type: TypeGauge, Labels: []string{"component", "queue"},
		Help: "Tasks that wait. Without a queue it is the sum of all queues of the check.",
		each: celeryQueues,
	},
	{
		Name: "echohealth_certificate_not_after_timestamp_seconds", Type: TypeGauge, Labels: []string{"component"},
		Help: "When the first of the certificates that certprobe found expires.",
		each: certificateNotAfter,
	},
	{
		Name: "echohealth_build_info", Type: TypeGauge, Labels: []string{"version"},
		Help: "1, with the version of the service.",
		each: buildInfo,
	},
	{
		Name: "echohealth_start_time_seconds", Type: TypeGauge,
		Help: "When the health checks were started.",
		each: startTime,
	},
}
