package observability

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/echo-probes/echohealth"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Prometheus 3 takes what it would scrape: with the Accept header that it sends, by its own parser.
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
		parser, err := textparse.New(w.Body.Bytes(), w.Header().Get("Content-Type"), labels.NewSymbolTable(),
			textparse.ParserOptions{})
		require.NoError(t, err)
		series := 0
		for {
			entry, err := parser.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err)
			if entry == textparse.EntrySeries {
				var l labels.Labels
				parser.Labels(&l)
				assert.NotEmpty(t, l.Get("__name__"))
				series++
			}
		}
		assert.Greater(t, series, 60, accept)
	}
}
