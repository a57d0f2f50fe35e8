package observability

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/internal/exposition"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The parser of Prometheus 3 must accept the metrics that a request with its Accept header gets.
func TestPrometheus3ParsesTheMetrics(t *testing.T) {
	h, err := echohealth.New(echohealth.WithPrometheus(), echohealth.WithVersion(`1.2 "é\`))
	require.NoError(t, err)
	defer h.Close()
	for _, accept := range []string{
		"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;" +
			"version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;" +
			"q=0.2,*/*;q=0.1",
		"text/plain;version=0.0.4",
	} {
		r := httptest.NewRequest(http.MethodGet, "/api/health/prometheus/", nil)
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		assert.Greater(t, parsed(t, w.Body.Bytes(), w.Header().Get("Content-Type"))["echohealth_component_status"], 10, accept)
	}
}

// The same of every family.
func TestPrometheus3ParsesEveryFamily(t *testing.T) {
	for file, format := range map[string]exposition.Format{
		"text.txt": exposition.Text, "openmetrics.txt": exposition.OpenMetrics,
	} {
		series := parsed(t, everyFamily(t, file), format.ContentType())
		for _, family := range exposition.Families {
			if family.Type == exposition.TypeHistogram {
				assert.Positive(t, series[family.Name+"_sum"], file)
				assert.Equal(t, series[family.Name+"_count"], series[family.Name+"_sum"], file)
				assert.Equal(t, series[family.Name+"_count"]*(len(exposition.Bounds)+1), series[family.Name+"_bucket"], file)
				continue
			}
			assert.Positive(t, series[family.Name], "%s: %s", file, family.Name)
		}
	}
}

// everyFamily returns a scrape in which every family has series. A test of package exposition compares it
// with what the package writes.
func everyFamily(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile("../../internal/exposition/testdata/" + file)
	require.NoError(t, err)
	return text
}

// parsed counts the series of each name.
func parsed(t *testing.T, text []byte, contentType string) map[string]int {
	t.Helper()
	parser, err := textparse.New(text, contentType, labels.NewSymbolTable(), textparse.ParserOptions{})
	require.NoError(t, err)
	series := map[string]int{}
	for {
		entry, err := parser.Next()
		if errors.Is(err, io.EOF) {
			return series
		}
		require.NoError(t, err)
		if entry == textparse.EntrySeries {
			var l labels.Labels
			parser.Labels(&l)
			require.NotEmpty(t, l.Get("__name__"))
			series[l.Get("__name__")]++
		}
	}
}
