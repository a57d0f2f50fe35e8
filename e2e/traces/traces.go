// Package traces contains the Go blocks of docs/traces.md.
package traces

import (
	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/contrib/instrumentation/github.com/labstack/echo/otelecho"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc/filters"
	"go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/probes"
)

func use(e *echo.Echo, health *echohealth.Health) {
	e.Use(otelecho.Middleware("shop", otelecho.WithSkipper(health.Skipper)))
	e.Use(health.Middleware)
}

func newServer() *grpc.Server {
	exceptHealth := otelgrpc.WithFilter(filters.Not(filters.HealthCheck()))
	server := grpc.NewServer(grpc.StatsHandler(otelgrpc.NewServerHandler(exceptHealth)))
	return server
}

// exceptChecks drops the spans of health checks.
type exceptChecks struct{ trace.Sampler }

func (s exceptChecks) ShouldSample(p trace.SamplingParameters) trace.SamplingResult {
	if _, ok := probes.CheckName(p.ParentContext); ok {
		return trace.SamplingResult{Decision: trace.Drop}
	}
	return s.Sampler.ShouldSample(p)
}

func newProvider(exporter trace.SpanExporter) *trace.TracerProvider {
	return trace.NewTracerProvider(
		trace.WithBatcher(exporter),
		trace.WithSampler(exceptChecks{trace.ParentBased(trace.AlwaysSample())}),
	)
}
