package exposition

import (
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/echo-probes/echohealth/internal/snapshot"
)

// These are the functions that Families has in the field each.

func status(s *source, emit func(Series)) { oneOf(emit, s.Status, "healthy", "degraded", "unhealthy") }

func ready(s *source, emit func(Series)) { emit(Series{Value: oneIf(s.Ready)}) }

func groupReady(s *source, emit func(Series)) {
	for _, group := range s.Groups {
		emit(Series{Labels: [MaxLabels]string{group.Name}, Value: oneIf(group.Ready)})
	}
}

func phase(s *source, emit func(Series)) { oneOf(emit, s.Phase, "starting", "running", "draining") }

func componentStatus(s *source, emit func(Series)) {
	for i, component := range s.Components {
		for _, status := range statuses {
			is := oneIf(s.States[i].Status == status)
			emit(Series{Labels: [MaxLabels]string{component.Name, string(status)}, Value: is})
		}
	}
}

func componentReason(s *source, emit func(Series)) {
	for i, component := range s.Components {
		if reason := s.States[i].Reason; reason != "" {
			emit(Series{Labels: [MaxLabels]string{component.Name, string(reason)}, Value: 1})
		}
	}
}

func componentInfo(s *source, emit func(Series)) {
	for _, component := range s.Components {
		kind := "dependency"
		if component.System {
			kind = "system"
		}
		critical := strconv.FormatBool(component.Critical)
		emit(Series{Labels: [MaxLabels]string{component.Name, kind, critical}, Value: 1})
	}
}

func componentChecks(s *source, emit func(Series)) {
	for i, component := range s.Components {
		for j, status := range statuses {
			n := float64(s.counts[i].checks[j])
			emit(Series{Labels: [MaxLabels]string{component.Name, string(status)}, Value: n})
		}
	}
}

func componentChanges(s *source, emit func(Series)) {
	for i, component := range s.Components {
		of(component, emit, float64(s.counts[i].changes))
	}
}

func componentDuration(s *source, emit func(Series)) {
	for i, component := range s.Components {
		if !component.System {
			emit(Series{Labels: [MaxLabels]string{component.Name}, Histogram: &s.counts[i].took})
		}
	}
}

func lastCheck(s *source, emit func(Series)) {
	for i, component := range s.Components {
		at(component, emit, s.States[i].At)
	}
}

func lastSuccess(s *source, emit func(Series)) {
	for i, component := range s.Components {
		at(component, emit, s.States[i].LastOK)
	}
}

func checkInterval(s *source, emit func(Series)) {
	for _, component := range s.Components {
		if !component.System {
			of(component, emit, component.Interval.Seconds())
		}
	}
}

func checkTimeout(s *source, emit func(Series)) {
	for _, component := range s.Components {
		if !component.System {
			of(component, emit, component.Timeout.Seconds())
		}
	}
}

func diskUsed(s *source, emit func(Series)) {
	for _, disk := range s.System.Disks {
		if disk.Used.Known {
			emit(Series{Labels: [MaxLabels]string{disk.Name}, Value: disk.Used.Value})
		}
	}
}

func diskSize(s *source, emit func(Series)) {
	for _, disk := range s.System.Disks {
		if disk.Size.Known {
			emit(Series{Labels: [MaxLabels]string{disk.Name}, Value: disk.Size.Value})
		}
	}
}

// These details of package celeryprobe are metrics. queueDetail is a prefix, which the queue's name follows.
const (
	workersDetail = "workers"
	pendingDetail = "pending_tasks"
	queueDetail   = "pending_tasks."
)

func celeryWorkers(s *source, emit func(Series)) {
	for i, component := range s.Components {
		for _, detail := range s.States[i].Details {
			if value, ok := number(detail); ok && component.Celery && detail.Key == workersDetail {
				of(component, emit, value)
			}
		}
	}
}

func celeryQueues(s *source, emit func(Series)) {
	for i, component := range s.Components {
		if !component.Celery {
			continue
		}
		details := s.States[i].Details
		single := true
		for _, detail := range details {
			queue, ok := strings.CutPrefix(detail.Key, queueDetail)
			if value, isNumber := number(detail); ok && isNumber {
				single = false
				emit(Series{Labels: [MaxLabels]string{component.Name, queue}, Value: value})
			}
		}
		for _, detail := range details {
			if value, ok := number(detail); ok && single && detail.Key == pendingDetail {
				of(component, emit, value)
			}
		}
	}
}

// notAfterDetail is a detail of package certprobe. It is a metric.
const notAfterDetail = "not_after"

func certificateNotAfter(s *source, emit func(Series)) {
	for i, component := range s.Components {
		for _, detail := range s.States[i].Details {
			if value, ok := number(detail); ok && component.Certificate && detail.Key == notAfterDetail {
				of(component, emit, value)
			}
		}
	}
}

func buildInfo(s *source, emit func(Series)) {
	if s.Version != "" {
		emit(Series{Labels: [MaxLabels]string{s.Version}, Value: 1})
	}
}

func startTime(s *source, emit func(Series)) { emit(Series{Value: seconds(s.Start)}) }

// oneOf emits a series for each state: 1 for the present state, 0 for the others.
func oneOf(emit func(Series), present string, states ...string) {
	for _, state := range states {
		emit(Series{Labels: [MaxLabels]string{state}, Value: oneIf(state == present)})
	}
}

func oneIf(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// of emits a series whose only label is the component's name.
func of(component snapshot.Component, emit func(Series), value float64) {
	emit(Series{Labels: [MaxLabels]string{component.Name}, Value: value})
}

// at emits t as a Unix time in seconds, unless t is zero.
func at(component snapshot.Component, emit func(Series), t time.Time) {
	if !t.IsZero() {
		of(component, emit, seconds(t))
	}
}

// known emits a figure if it is known.
func known(emit func(Series), figure snapshot.Figure) {
	if figure.Known {
		emit(Series{Value: figure.Value})
	}
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1e3 }

func number(detail slog.Attr) (float64, bool) {
	switch detail.Value.Kind() {
	case slog.KindInt64:
		return float64(detail.Value.Int64()), true
	case slog.KindUint64:
		return float64(detail.Value.Uint64()), true
	case slog.KindFloat64:
		return detail.Value.Float64(), true
	}
	return 0, false
}
