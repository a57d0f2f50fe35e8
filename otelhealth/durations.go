package otelhealth

import (
	"context"
	"time"

	"github.com/echo-probes/echohealth/internal/engine"
	"github.com/echo-probes/echohealth/internal/exposition"
	"github.com/echo-probes/echohealth/internal/snapshot"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// durations records how long each run takes. Record is called while a lock is held, and the SDK must not be
// called under that lock, because its code may block. So a queue calls the SDK.
type durations struct {
	histogram  metric.Float64Histogram
	attributes []metric.RecordOption // one for each check
	queue      engine.CallQueue
	remove     func() // stops the calls of Record
}

// newDurations returns a recorder for the components that are checks.
func newDurations(meter metric.Meter, components []snapshot.Component) (*durations, error) {
	d := &durations{}
	var err error
	d.histogram, err = meter.Float64Histogram("echohealth.component.check.duration", metric.WithUnit("s"),
		metric.WithDescription(exposition.Lookup(durationFamily).Help),
		metric.WithExplicitBucketBoundaries(exposition.Bounds[:]...))
	for _, component := range components {
		if !component.System {
			attributes := attribute.NewSet(attribute.String(componentName, component.Name))
			d.attributes = append(d.attributes, metric.WithAttributeSet(attributes))
		}
	}
	return d, err
}

const durationFamily = "echohealth_component_check_duration_seconds"

// Record records a run of a check. A run that exceeds its timeout is recorded at that time, and not again
// when it ends.
func (d *durations) Record(run snapshot.Run) {
	if run.Kind != snapshot.Ended || run.Component >= len(d.attributes) {
		return
	}
	d.queue.Add(func() {
		d.histogram.Record(context.Background(), run.Took.Seconds(), d.attributes[run.Component])
	})
}

// close stops the recording, and waits for the recorded runs at most a second.
func (d *durations) close() {
	d.remove()
	d.queue.Close(time.Second)
}
