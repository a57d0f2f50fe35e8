package otelhealth_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/internal/exposition"
	"github.com/echo-probes/echohealth/internal/leaktest"
	"github.com/echo-probes/echohealth/otelhealth"
	"github.com/echo-probes/echohealth/probes"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	bridge "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func newHealth(t *testing.T, options ...echohealth.Option) *echohealth.Health {
	t.Helper()
	h, err := echohealth.New(append([]echohealth.Option{
		echohealth.WithVersion("1.2.3"), echohealth.WithTimeout(time.Minute),
		echohealth.WithDatabase(probes.Func(func(context.Context) error { return nil })),
		echohealth.WithRedis(probes.Func(func(context.Context) error {
			return probes.Fail(probes.ReasonReadOnly, errors.New("no"))
		}), echohealth.Optional()),
	}, options...)...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, h.Close()) })
	return h
}

// collect reads all metrics by their names.
func collect(t *testing.T, reader *metric.ManualReader) map[string]metricdata.Metrics {
	t.Helper()
	var data metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &data))
	metrics := map[string]metricdata.Metrics{}
	for _, scope := range data.ScopeMetrics {
		assert.Equal(t, "github.com/echo-probes/echohealth/otelhealth", scope.Scope.Name)
		for _, m := range scope.Metrics {
			metrics[m.Name] = m
		}
	}
	return metrics
}

func sum(t *testing.T, m metricdata.Metrics) metricdata.Sum[float64] {
	t.Helper()
	s, ok := m.Data.(metricdata.Sum[float64])
	require.True(t, ok, "%s is a %T", m.Name, m.Data)
	return s
}

// value returns the value of the data point with exactly these attributes.
func value(t *testing.T, m metricdata.Metrics, attributes ...attribute.KeyValue) float64 {
	t.Helper()
	want := attribute.NewSet(attributes...)
	for _, point := range sum(t, m).DataPoints {
		if point.Attributes.Equals(&want) {
			return point.Value
		}
	}
	require.Fail(t, "no such point", "%s%v", m.Name, attributes)
	return 0
}

func TestRegister(t *testing.T) {
	reader := metric.NewManualReader()
	provider := metric.NewMeterProvider(metric.WithReader(reader))
	h := newHealth(t, echohealth.WithGroup("payment", "database"), echohealth.WithGroup("cart", "redis"))
	registration, err := otelhealth.Register(h, provider)
	require.NoError(t, err)
	metrics := collect(t, reader)

	status := metrics["echohealth.component.status"]
	assert.Equal(t, "1", status.Unit)
	assert.False(t, sum(t, status).IsMonotonic)
	redis, state := attribute.String("echohealth.component.name", "redis"), attribute.Key("echohealth.component.state")
	assert.Equal(t, 1.0, value(t, status, redis, state.String("error")))
	assert.Equal(t, 0.0, value(t, status, redis, state.String("ok")))
	assert.Equal(t, 1.0, value(t, metrics["echohealth.status"], attribute.String("echohealth.state", "degraded")))
	assert.Equal(t, 1.0, value(t, metrics["echohealth.phase"], attribute.String("echohealth.state", "running")))
	assert.Equal(t, 1.0, value(t, metrics["echohealth.ready"]))
	reason := attribute.String("echohealth.component.reason", "read_only")
	assert.Equal(t, 1.0, value(t, metrics["echohealth.component.reason"], redis, reason))

	group := attribute.Key("echohealth.group.name")
	assert.Equal(t, 1.0, value(t, metrics["echohealth.group.ready"], group.String("payment")))
	assert.Equal(t, 0.0, value(t, metrics["echohealth.group.ready"], group.String("cart")))

	checks := metrics["echohealth.component.checks"]
	assert.Equal(t, "{check}", checks.Unit)
	assert.True(t, sum(t, checks).IsMonotonic)
	assert.Equal(t, 1.0, value(t, checks, redis, state.String("error")))

	require.NoError(t, registration.Unregister())
	assert.NotContains(t, collect(t, reader), "echohealth.status")
}

// The last collection of a pipeline comes after Close. It must report nothing, because otherwise every check
// would remain stale in the metrics.
func TestNothingAfterClose(t *testing.T) {
	reader := metric.NewManualReader()
	h, err := echohealth.New(echohealth.WithDatabase(probes.Func(func(context.Context) error { return nil })))
	require.NoError(t, err)
	registration, err := otelhealth.Register(h, metric.NewMeterProvider(metric.WithReader(reader)))
	require.NoError(t, err)
	assert.Contains(t, collect(t, reader), "echohealth.status")
	require.NoError(t, h.Close())
	assert.NotContains(t, collect(t, reader), "echohealth.status")
	require.NoError(t, registration.Unregister())
}

// Each run of a check is recorded once.
func TestDurations(t *testing.T) {
	reader := metric.NewManualReader()
	registration, err := otelhealth.Register(newHealth(t, echohealth.WithFreshness(time.Hour)),
		metric.NewMeterProvider(metric.WithReader(reader)))
	require.NoError(t, err)
	defer func() { assert.NoError(t, registration.Unregister()) }()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		m := collect(t, reader)["echohealth.component.check.duration"]
		histogram, _ := m.Data.(metricdata.Histogram[float64])
		assert.Equal(c, "s", m.Unit)
		assert.Len(c, histogram.DataPoints, 2)
		for _, point := range histogram.DataPoints {
			assert.EqualValues(c, 1, point.Count)
			assert.Equal(c, exposition.Bounds[:], point.Bounds)
		}
	}, time.Minute, 10*time.Millisecond)
}

// The official bridge to Prometheus exports all metrics, also the histogram, with the names of the endpoint.
func TestTheNamesForPrometheus(t *testing.T) {
	registry := prometheus.NewRegistry()
	exporter, err := bridge.New(bridge.WithRegisterer(registry), bridge.WithoutScopeInfo(), bridge.WithoutTargetInfo())
	require.NoError(t, err)
	h := newHealth(t, echohealth.WithMemoryThreshold(90, 95))
	registration, err := otelhealth.Register(h, metric.NewMeterProvider(metric.WithReader(exporter)))
	require.NoError(t, err)
	defer func() { assert.NoError(t, registration.Unregister()) }()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		want := map[string]bool{}
		h.Metrics().Read(t.Context(), func(family *exposition.Family, _ exposition.Series) { want[family.Name] = true })
		gathered, err := registry.Gather()
		require.NoError(c, err)
		got := map[string]bool{}
		for _, family := range gathered {
			got[family.GetName()] = true
		}
		assert.Equal(c, slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got)))
	}, time.Minute, 10*time.Millisecond)
}

func TestInvalid(t *testing.T) {
	_, err := otelhealth.Register(nil, noop.NewMeterProvider())
	assert.EqualError(t, err, "otelhealth: the Health and the MeterProvider must not be nil")
	_, err = otelhealth.Register(newHealth(t), nil)
	assert.Error(t, err)
	registration, err := otelhealth.Register(newHealth(t), noop.NewMeterProvider())
	require.NoError(t, err)
	assert.NoError(t, registration.Unregister())
}

// Every name follows the naming rules of OpenTelemetry.
func TestNames(t *testing.T) {
	reader := metric.NewManualReader()
	registration, err := otelhealth.Register(newHealth(t), metric.NewMeterProvider(metric.WithReader(reader)))
	require.NoError(t, err)
	defer func() { assert.NoError(t, registration.Unregister()) }()
	for name := range collect(t, reader) {
		assert.Regexp(t, `^echohealth(\.[a-z_]+)+$`, name)
		assert.False(t, strings.HasSuffix(name, "_total") || strings.HasSuffix(name, "seconds"), name)
	}
}
