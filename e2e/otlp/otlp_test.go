package otlp

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/probes"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	collector "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/proto"
)

// The page's block about OTLP is a part of otlp.go.
func TestThePagesBlock(t *testing.T) {
	page, err := os.ReadFile("../../docs/observability.md")
	require.NoError(t, err)
	code, err := os.ReadFile("otlp.go")
	require.NoError(t, err)
	found := 0
	for _, block := range regexp.MustCompile("(?ms)^```go\n(.*?)^```$").FindAllStringSubmatch(string(page), -1) {
		if strings.Contains(block[1], "otelhealth.") {
			found++
			assert.Contains(t, string(code), block[1])
		}
	}
	assert.Equal(t, 1, found)
}

// receiver is a collector that keeps what it receives by OTLP over HTTP.
type receiver struct {
	mu       sync.Mutex // guards received
	received map[string]*metrics.Metric
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	var export collector.ExportMetricsServiceRequest
	if err == nil {
		err = proto.Unmarshal(body, &export)
	}
	if err != nil || request.URL.Path != "/v1/metrics" {
		http.Error(w, "not metrics", http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, resource := range export.ResourceMetrics {
		for _, scope := range resource.ScopeMetrics {
			for _, metric := range scope.Metrics {
				r.received[metric.Name] = metric
			}
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// points returns the attributes of the points whose value is 1.
func (r *receiver) points(name string) []map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var points []map[string]string
	for _, point := range r.received[name].GetSum().GetDataPoints() {
		if point.GetAsDouble() == 1 {
			attributes := map[string]string{}
			for _, attribute := range point.Attributes {
				attributes[attribute.Key] = attribute.Value.GetStringValue()
			}
			points = append(points, attributes)
		}
	}
	return points
}

// A collector receives the metrics under OpenTelemetry's names.
func TestACollectorReceivesTheMetrics(t *testing.T) {
	r := &receiver{received: map[string]*metrics.Metric{}}
	server := httptest.NewServer(r)
	defer server.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	h, err := echohealth.New(echohealth.WithDatabase(probes.Func(func(context.Context) error { return nil })))
	require.NoError(t, err)
	defer h.Close()
	provider, err := exportMetrics(t.Context(), h)
	require.NoError(t, err)
	require.NoError(t, provider.Shutdown(t.Context()))
	assert.Contains(t, r.points("echohealth.component.status"), map[string]string{
		"echohealth.component.name": "database", "echohealth.component.state": "ok",
	})
	assert.Equal(t, []map[string]string{{}}, r.points("echohealth.ready"))
}
