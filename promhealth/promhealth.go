// Package promhealth exports the metrics of a Health by Prometheus's client library, for a service that has a
// registry and a /metrics of its own:
//
//	prometheus.MustRegister(promhealth.NewCollector(health))
//
// These are the metrics of echohealth.WithPrometheus. The package is a module of its own, so that only a
// service that imports it links the client library.
package promhealth

import (
	"context"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/internal/exposition"
	"github.com/prometheus/client_golang/prometheus"
)

// NewCollector returns a Collector of h's metrics. Each collection is a look (see echohealth.Health): it runs
// the due checks, and takes no longer than the longest timeout of the checks. If h has WithPrometheus, the
// counters begin with New, otherwise with the first Collector of h. NewCollector panics if h is nil.
//
// The metrics of two Healths have the same names. To have both in one registry, register each of them by
// prometheus.WrapRegistererWith with a different label.
func NewCollector(h *echohealth.Health) prometheus.Collector {
	if h == nil {
		panic("promhealth: NewCollector(nil): the Health must not be nil")
	}
	return newCollector(h.Metrics())
}

func newCollector(source *exposition.Source) *collector {
	c := &collector{source: source, descs: map[*exposition.Family]*prometheus.Desc{}}
	for i := range exposition.Families {
		family := &exposition.Families[i]
		c.descs[family] = prometheus.NewDesc(family.Name, family.Help, family.Labels, nil)
	}
	return c
}

type collector struct {
	source *exposition.Source
	descs  map[*exposition.Family]*prometheus.Desc
}

// Describe sends all descriptions.
func (c *collector) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range c.descs {
		descs <- desc
	}
}

// Collect makes a look and sends the metrics.
func (c *collector) Collect(metrics chan<- prometheus.Metric) {
	c.source.Read(context.Background(), func(family *exposition.Family, series exposition.Series) {
		desc, labels := c.descs[family], series.Labels[:len(family.Labels)]
		switch family.Type {
		case exposition.TypeHistogram:
			metrics <- newHistogram(desc, series.Histogram, labels)
		case exposition.TypeCounter:
			metrics <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, series.Value, labels...)
		default:
			metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, series.Value, labels...)
		}
	})
}

func newHistogram(desc *prometheus.Desc, h *exposition.Histogram, labels []string) prometheus.Metric {
	buckets := make(map[float64]uint64, len(exposition.Bounds))
	for i, bound := range exposition.Bounds {
		buckets[bound] = h.Buckets[i]
	}
	return prometheus.MustNewConstHistogram(desc, h.Count, h.Sum, buckets, labels...)
}
