// Package otlp contains the Go block of docs/observability.md about OTLP.
package otlp

import (
	"context"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/otelhealth"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/sdk/metric"
)

// exportMetrics sends the metrics every minute. At the end of the service, call Shutdown of the provider
// before Close of the Health.
func exportMetrics(ctx context.Context, health *echohealth.Health) (*metric.MeterProvider, error) {
	exporter, err := otlpmetrichttp.New(ctx) // to OTEL_EXPORTER_OTLP_ENDPOINT
	if err != nil {
		return nil, err
	}
	provider := metric.NewMeterProvider(metric.WithReader(metric.NewPeriodicReader(exporter)))
	if _, err := otelhealth.Register(health, provider); err != nil {
		return nil, err
	}
	return provider, nil
}
