package main

// selection matches the series that the user selects with the variables at the top of the dashboard.
const selection = `job=~"$job",instance=~"$instance"`

// panel is a panel of the dashboard. In its queries, SELECTION stands for the label matchers in selection.
type panel struct {
	title   string
	about   string
	kind    string // Grafana's type of panel: stat, timeseries, state-timeline or table
	unit    string
	width   int // in grid units, at most 24
	max     float64
	queries []query
}

type query struct {
	expr   string
	legend string
}

// row is a heading with its panels.
type row struct {
	title  string
	panels []panel
}

// rows are all rows of the dashboard.
var rows = []row{
	{"Now", []panel{
		{
			title: "Instances by status", kind: "stat", width: 8,
			about:   "The number of instances that are healthy, degraded or unhealthy.",
			queries: []query{{`sum by (status) (echohealth_status{SELECTION})`, "{{status}}"}},
		},
		{
			title: "Ready", kind: "stat", width: 4,
			about: "The number of ready instances, and the number of instances that Prometheus scrapes.",
			queries: []query{
				{`sum(echohealth_ready{SELECTION})`, "ready"},
				{`count(up{SELECTION} and on (job) group by (job) (last_over_time(echohealth_ready[6h])))`, "targets"},
			},
		},
		{
			title: "What is wrong", kind: "table", width: 12,
			about:   "Each component that is not ok, and its reason.",
			queries: []query{{`echohealth_component_reason{SELECTION}`, ""}},
		},
	}},
	{"Over time", []panel{
		{
			title: "Unavailable", kind: "timeseries", unit: "percentunit", width: 8, max: 1,
			about:   "The share of the instances that can't serve. Instances that start or drain don't count.",
			queries: []query{{`job:echohealth_unavailable:ratio{job=~"$job"}`, "{{job}}"}},
		},
		{
			title: "Instances by phase", kind: "timeseries", width: 8,
			about:   "The number of instances that start, run or drain.",
			queries: []query{{`sum by (phase) (echohealth_phase{SELECTION})`, "{{phase}}"}},
		},
		{
			title: "Versions", kind: "timeseries", width: 8,
			about:   "The number of instances with each version of the service.",
			queries: []query{{`count by (version) (echohealth_build_info{SELECTION})`, "{{version}}"}},
		},
		{
			title: "Components", kind: "state-timeline", width: 24,
			about: "The worst status of each component on any instance: 0 is ok, 1 is warning, 2 is error.",
			queries: []query{{
				`max by (component) (2 * echohealth_component_status{SELECTION,status="error"}` +
					` or echohealth_component_status{SELECTION,status="warning"})`,
				"{{component}}",
			}},
		},
		{
			title: "Groups", kind: "timeseries", width: 24,
			about:   "The share of the instances on which the group is ready. Without groups this panel is empty.",
			queries: []query{{`avg by (group) (echohealth_group_ready{SELECTION})`, "{{group}}"}},
		},
	}},
	{"Checks", []panel{
		{
			title: "Duration, 95th percentile", kind: "timeseries", unit: "s", width: 8,
			about: "95 % of the checks take at most this long. The timeouts are shown beside it.",
			queries: []query{
				{
					`histogram_quantile(0.95, sum by (component, le) (` +
						`rate(echohealth_component_check_duration_seconds_bucket{SELECTION}[$__rate_interval])))`,
					"{{component}}",
				},
				{
					`max by (component) (echohealth_component_check_timeout_seconds{SELECTION})`,
					"timeout of {{component}}",
				},
			},
		},
		{
			title: "Duration, mean", kind: "timeseries", unit: "s", width: 8,
			queries: []query{{
				`sum by (component) (` +
					`rate(echohealth_component_check_duration_seconds_sum{SELECTION}[$__rate_interval]))` +
					` / sum by (component) (` +
					`rate(echohealth_component_check_duration_seconds_count{SELECTION}[$__rate_interval]))`,
				"{{component}}",
			}},
		},
		{
			title: "Results that are not ok", kind: "timeseries", unit: "percentunit", width: 8, max: 1,
			about: "The share of each component's results that are not ok, over all instances.",
			queries: []query{{
				`sum by (component) (rate(echohealth_component_checks_total{SELECTION,status!="ok"}[$__rate_interval]))` +
					` / sum by (component) (rate(echohealth_component_checks_total{SELECTION}[$__rate_interval]))`,
				"{{component}}",
			}},
		},
		{
			title: "Changes of status", kind: "timeseries", width: 12,
			about: "The number of changes in five minutes, over all instances.",
			queries: []query{{
				`sum by (component) (increase(echohealth_component_status_changes_total{SELECTION}[5m]))`,
				"{{component}}",
			}},
		},
		{
			title: "Age of the last success", kind: "timeseries", unit: "s", width: 12,
			about: "The time since a component's last success, on the instance on which it is longest.",
			queries: []query{{
				`max by (component) (time() - echohealth_component_last_success_timestamp_seconds{SELECTION})`,
				"{{component}}",
			}},
		},
	}},
	{"System", []panel{
		{
			title: "CPU", kind: "timeseries", unit: "percentunit", width: 6, max: 1,
			about:   "The used share of the CPUs, or of the control group's limit.",
			queries: []query{{`echohealth_system_cpu_usage_ratio{SELECTION}`, "{{instance}}"}},
		},
		{
			title: "Memory", kind: "timeseries", unit: "percentunit", width: 6, max: 1,
			about: "The used share of the machine's memory, or of the control group's limit.",
			queries: []query{{
				`echohealth_system_memory_used_bytes{SELECTION} / echohealth_system_memory_size_bytes{SELECTION}`,
				"{{instance}}",
			}},
		},
		{
			title: "Disks", kind: "timeseries", unit: "percentunit", width: 6, max: 1,
			queries: []query{{
				`echohealth_system_disk_used_bytes{SELECTION} / echohealth_system_disk_size_bytes{SELECTION}`,
				"{{disk}} of {{instance}}",
			}},
		},
		{
			title: "Connections", kind: "timeseries", width: 6,
			about:   "Established TCP connections of the network namespace.",
			queries: []query{{`echohealth_system_connections{SELECTION}`, "{{instance}}"}},
		},
	}},
	{"Celery", []panel{
		{
			title: "Waiting tasks", kind: "timeseries", width: 12,
			queries: []query{{
				`max by (component, queue) (echohealth_celery_queue_length{SELECTION})`, "{{component}} {{queue}}",
			}},
		},
		{
			title: "Workers", kind: "timeseries", width: 12,
			queries: []query{{`min by (component) (echohealth_celery_workers{SELECTION})`, "{{component}}"}},
		},
	}},
	{"Certificates", []panel{
		{
			title: "Until a certificate expires", kind: "timeseries", unit: "s", width: 24,
			about: "The time until a component's first certificate expires on any instance. Then it is negative.",
			queries: []query{{
				`min by (component) (echohealth_certificate_not_after_timestamp_seconds{SELECTION}) - time()`,
				"{{component}}",
			}},
		},
	}},
	{"Instances", []panel{
		{
			title: "Age", kind: "timeseries", unit: "s", width: 24,
			about:   "The time since the start. It drops to zero at each restart.",
			queries: []query{{`time() - echohealth_start_time_seconds{SELECTION}`, "{{instance}}"}},
		},
	}},
}
