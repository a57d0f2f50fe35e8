// Package otelhealth exports the metrics of a Health by OpenTelemetry's API, to whatever pipeline the
// MeterProvider belongs to:
//
//	registration, err := otelhealth.Register(health, otel.GetMeterProvider())
//
// They are the metrics that echohealth.WithPrometheus answers with, in OpenTelemetry's names and units. A
// state is an UpDownCounter of 0 or 1 for each value that it may have. It is a module of its own, so that
// only a service that imports it links the API.
package otelhealth

import (
	"context"
	"errors"
	"fmt"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/internal/exposition"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// scope is the name of the instrumentation.
const scope = "github.com/echo-probes/echohealth/otelhealth"

// Register exports h's metrics by p until the Registration's Unregister is called. Each collection is a
// look: it runs the checks that are due, and takes no longer than the longest timeout of them, or until the
// collection's context ends. The counters begin now, or, with WithPrometheus, with h; the histogram of
// durations begins now. The error is that of p. A nil Health and a nil MeterProvider are errors.
func Register(h *echohealth.Health, p metric.MeterProvider) (metric.Registration, error) {
	if h == nil || p == nil {
		return nil, errors.New("otelhealth: the Health and the MeterProvider must not be nil")
	}
	meter := p.Meter(scope)
	e := &exporter{source: h.Metrics(), instruments: map[string]metric.Float64Observable{}}
	var all []metric.Observable
	for _, i := range instruments {
		observable, err := i.create(meter, exposition.Lookup(i.family).Help)
		if err != nil {
			return nil, fmt.Errorf("otelhealth: %w", err)
		}
		e.instruments[i.family] = observable
		all = append(all, observable)
	}
	durations, err := newDurations(meter, e.source.Components())
	if err != nil {
		return nil, fmt.Errorf("otelhealth: %w", err)
	}
	registration, err := meter.RegisterCallback(e.observe, all...)
	if err != nil {
		return nil, fmt.Errorf("otelhealth: %w", err)
	}
	durations.remove = e.source.Record(durations)
	return &both{Registration: registration, durations: durations}, nil
}

// both ends the callback and the recording.
type both struct {
	metric.Registration
	durations *durations
}

func (b *both) Unregister() error {
	b.durations.close()
	return b.Registration.Unregister()
}

// exporter observes what one look finds.
type exporter struct {
	source      *exposition.Source
	instruments map[string]metric.Float64Observable // by the family's name
}

// observe says nothing of a Health that is closed: the last collection of a pipeline, at its shutdown, would
// otherwise say that everything is stale, and stay.
func (e *exporter) observe(ctx context.Context, o metric.Observer) error {
	if e.source.Closed() {
		return nil
	}
	e.source.Read(ctx, func(family *exposition.Family, series exposition.Series) {
		instrument, ok := e.instruments[family.Name]
		if !ok {
			return
		}
		attributes := make([]attribute.KeyValue, len(family.Labels))
		for i, label := range family.Labels {
			attributes[i] = attribute.String(attributeNames[label], series.Labels[i])
		}
		o.ObserveFloat64(instrument, series.Value, metric.WithAttributes(attributes...))
	})
	return nil
}
