package echohealth

import (
	"context"
	"net/http"

	"github.com/echo-probes/echohealth/internal/exposition"
	"github.com/echo-probes/echohealth/internal/snapshot"
)

// WithPrometheus answers /prometheus/ below the prefix with metrics for Prometheus: OpenMetrics 1.0 for a
// request that prefers it, else text format 0.0.4. WithGuard applies. The status is always 200, because with
// any other status Prometheus discards all metrics. A request runs the due checks, as a request for
// /detailed/ does. Without this option the path is 404, and nothing is counted. Repeated use has no further
// effect.
func WithPrometheus() Option {
	return func(c *config) error {
		c.addFeature(Prometheus, func(m *monitor, r *router, _ *notifier) any {
			counters := newCounters(m)
			r.add("/prometheus", prometheusRoute(m, counters))
			return counters
		})
		return nil
	}
}

func newCounters(m *monitor) *exposition.Counters {
	counters := exposition.NewCounters(len(m.components()))
	m.record(counters)
	return counters
}

func prometheusRoute(m *monitor, counters *exposition.Counters) *route {
	text, open := metricsAnswer(m, counters, exposition.Text), metricsAnswer(m, counters, exposition.OpenMetrics)
	return &route{endpoint: Prometheus, varies: true, choose: func(r *http.Request) answerer {
		if prefers(r.Header["Accept"], "application/openmetrics-text", "text/plain", "0.0.1", "1.0.0") {
			return open
		}
		return text
	}}
}

// metricsAnswer answers with all metrics in one format.
func metricsAnswer(m *monitor, counters *exposition.Counters, format exposition.Format) answerer {
	components := m.components()
	contentType := []string{format.ContentType()}
	return &cachedAnswer{monitor: m, checks: m.checks, metrics: true, write: func(v view) *answer {
		s := m.snapshot(components, v.phase, v.results, v.metrics)
		a := newAnswer(http.StatusOK, counters.Append(nil, format, s))
		a.contentType = contentType
		return a
	}}
}

// Metrics returns the metrics of WithPrometheus for the modules promhealth and otelhealth, which export them
// by the client libraries of Prometheus and OpenTelemetry. With WithPrometheus the counters begin with New,
// otherwise with the first call of Metrics.
func (h *Health) Metrics() *exposition.Source {
	m := h.monitor
	h.countersOnce.Do(func() {
		counters, ok := h.features[Prometheus].(*exposition.Counters)
		if !ok {
			counters = newCounters(m)
		}
		h.counters = counters
	})
	counters := h.counters.(*exposition.Counters)
	source := &metricSource{m, m.components()}
	return exposition.NewSource(source, source.components, counters)
}

// metricSource implements exposition.Health.
type metricSource struct {
	monitor    *monitor
	components []snapshot.Component
}

func (s *metricSource) Look(ctx context.Context) *snapshot.Snapshot {
	results := s.monitor.look(ctx, s.monitor.checks).Results
	return s.monitor.snapshot(s.components, s.monitor.phase(), results, s.monitor.metrics())
}

func (s *metricSource) Record(r snapshot.Recorder) (remove func()) { return s.monitor.record(r) }

func (s *metricSource) Closed() bool { return s.monitor.engine.Closed() }
