// Package otelhealth exports the metrics of a Health by OpenTelemetry's API to a MeterProvider:
//
//	registration, err := otelhealth.Register(health, otel.GetMeterProvider())
//
// These are the metrics of echohealth.WithPrometheus, with OpenTelemetry's names and units. For a state there
// is an UpDownCounter for each possible value, which is 1 for the present value and 0 for the others. The
// package is a module of its own, so that only a service that imports it links the API.
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

// scope is the name of the instrumentation scope.
const scope = "github.com/echo-probes/echohealth/otelhealth"

// Register exports h's metrics by p until the Registration's Unregister is called. Each collection is a look
// (see echohealth.Health): it runs the due checks, and takes no longer than the longest timeout of the
// checks, or until the collection's context ends. If h has WithPrometheus, the counters begin with New,
// otherwise with the first call of Register for h. The histogram of durations begins with Register. The error
// is that of p. A nil Health and a nil MeterProvider are errors.
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

// both is a Registration whose Unregister ends the callback and the recording of durations.
type both struct {
	metric.Registration
	durations *durations
}

func (b *both) Unregister() error {
	b.durations.close()
	return b.Registration.Unregister()
}

// exporter makes a look at each collection, and observes the metrics.
type exporter struct {
	source      *exposition.Source
	instruments map[string]metric.Float64Observable // by the family's name
}

// observe reports nothing for a closed Health. Otherwise the last collection, when the pipeline shuts down,
// would report each check as stale, and that would remain the last value.
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
			attributes[i] = attribute.String(attributeName(family, label), series.Labels[i])
		}
		o.ObserveFloat64(instrument, series.Value, metric.WithAttributes(attributes...))
	})
	return nil
}
