package promhealth_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/internal/exposition/expositiontest"
	"github.com/echo-probes/echohealth/internal/leaktest"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/promhealth"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func newHealth(t testing.TB, options ...echohealth.Option) *echohealth.Health {
	t.Helper()
	h, err := echohealth.New(append([]echohealth.Option{
		echohealth.WithPrometheus(), echohealth.WithVersion(`1.2 "é\`), echohealth.WithFreshness(time.Hour),
		echohealth.WithTimeout(time.Minute),
		echohealth.WithDatabase(probes.Func(func(context.Context) error { return nil })),
		echohealth.WithCheck("orders.v2", probes.Func(func(context.Context) error {
			return probes.Fail("its_own_word", errors.New("no"))
		}), echohealth.Optional()),
	}, options...)...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, h.Close()) })
	return h
}

// The endpoint and the collector export the same: the output of the client library equals the endpoint's
// answer, line for line, in both formats.
func TestTheSameAsTheEndpoint(t *testing.T) {
	for name, accept := range map[string]string{
		"text":        "text/plain;version=0.0.4",
		"openmetrics": "application/openmetrics-text;version=1.0.0",
	} {
		t.Run(name, func(t *testing.T) {
			h := newHealth(t, echohealth.WithoutSystemMetrics(), echohealth.WithGroup("shop", "database", "orders.v2"))
			registry := prometheus.NewRegistry()
			registry.MustRegister(promhealth.NewCollector(h))
			library := promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
			want, wantType := scrape(library, "/metrics", accept)
			got, gotType := scrape(h, "/api/health/prometheus/", accept)
			assert.Equal(t, sorted(want), sorted(got))
			assert.Contains(t, want, `echohealth_group_ready{group="shop"} 0`)
			assert.Equal(t, mediaType(wantType), mediaType(gotType))
		})
	}
}

// The same of every family. A test of package exposition compares these files with the endpoint's text, and
// requires that they have all families.
func TestEveryFamilyIsTheSame(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(promhealth.FromSource(expositiontest.Source()))
	problems, err := testutil.GatherAndLint(registry)
	require.NoError(t, err)
	assert.Empty(t, problems)
	library := promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
	for file, accept := range map[string]string{
		"text.txt": "text/plain;version=0.0.4", "openmetrics.txt": "application/openmetrics-text;version=1.0.0",
	} {
		want, err := os.ReadFile("../internal/exposition/testdata/" + file)
		require.NoError(t, err)
		got, _ := scrape(library, "/metrics", accept)
		assert.Equal(t, sorted(string(want)), sorted(got), file)
	}
}

func mediaType(contentType string) string {
	media, _, _ := strings.Cut(contentType, ";")
	return media
}

func scrape(h http.Handler, path, accept string) (body, contentType string) {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Body.String(), w.Header().Get("Content-Type")
}

// sorted returns the lines in an order that does not depend on the order of the families, the series and
// their labels, with each value in one form.
func sorted(text string) []string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if name, rest, ok := strings.Cut(line, "{"); ok {
			labels, value, _ := strings.Cut(rest, "} ")
			all := strings.Split(labels, `",`)
			for j := range all {
				all[j] = strings.TrimSuffix(all[j], `"`)
			}
			slices.Sort(all)
			lines[i] = name + "{" + strings.Join(all, `",`) + `"} ` + number(value)
		} else if !strings.HasPrefix(line, "#") {
			name, value, _ := strings.Cut(line, " ")
			lines[i] = name + " " + number(value)
		}
	}
	slices.Sort(lines)
	return lines
}

// number returns one form of a number that may be written in several ways.
func number(text string) string {
	if value, err := strconv.ParseFloat(text, 64); err == nil {
		return strconv.FormatFloat(value, 'g', -1, 64)
	}
	return text
}

func TestLint(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(promhealth.NewCollector(newHealth(t)))
	problems, err := testutil.GatherAndLint(registry)
	require.NoError(t, err)
	assert.Empty(t, problems)
}

// Without WithPrometheus a collector counts from NewCollector on.
func TestWithoutTheOption(t *testing.T) {
	h, err := echohealth.New(echohealth.WithDatabase(probes.Func(func(context.Context) error { return nil })),
		echohealth.WithoutSystemMetrics(), echohealth.WithTimeout(time.Minute))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, h.Close()) })
	collector := promhealth.NewCollector(h)
	assert.NoError(t, testutil.CollectAndCompare(collector, strings.NewReader(`
		# HELP echohealth_component_checks_total Results of the component, by status.
		# TYPE echohealth_component_checks_total counter
		echohealth_component_checks_total{component="database",status="error"} 0
		echohealth_component_checks_total{component="database",status="ok"} 1
		echohealth_component_checks_total{component="database",status="warning"} 0
	`), "echohealth_component_checks_total"))
}

// Two Healths in one registry need different labels.
func TestTwoHealths(t *testing.T) {
	first, second := promhealth.NewCollector(newHealth(t)), promhealth.NewCollector(newHealth(t))
	registry := prometheus.NewRegistry()
	require.NoError(t, registry.Register(first))
	assert.Error(t, registry.Register(second))

	registry = prometheus.NewRegistry()
	for part, collector := range map[string]prometheus.Collector{"shop": first, "admin": second} {
		require.NoError(t, prometheus.WrapRegistererWith(prometheus.Labels{"part": part}, registry).Register(collector))
	}
	n, err := testutil.GatherAndCount(registry, "echohealth_ready")
	require.NoError(t, err)
	assert.Equal(t, 2, n)
	assert.PanicsWithValue(t, "promhealth: NewCollector(nil): the Health must not be nil", func() {
		promhealth.NewCollector(nil)
	})
}

func BenchmarkScrape(b *testing.B) {
	var options []echohealth.Option
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		options = append(options, echohealth.WithCheck(name, probes.Func(func(context.Context) error { return nil })))
	}
	h := newHealth(b, options...)
	registry := prometheus.NewRegistry()
	registry.MustRegister(promhealth.NewCollector(h))
	for name, handler := range map[string]http.Handler{
		"echohealth": h, "promhttp": promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}),
	} {
		b.Run(name, func(b *testing.B) {
			r := httptest.NewRequest(http.MethodGet, "/api/health/prometheus/", nil)
			r.Header.Set("Accept", "application/openmetrics-text;version=1.0.0,*/*;q=0.1")
			w := &discard{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				w.bytes, w.lines = 0, 0
				handler.ServeHTTP(w, r)
			}
			b.ReportMetric(float64(w.bytes), "bytes")
			b.ReportMetric(float64(w.lines), "lines")
		})
	}
}

// discard counts what is written.
type discard struct {
	header       http.Header
	bytes, lines int
}

func (d *discard) Header() http.Header { return d.header }
func (d *discard) WriteHeader(int)     {}
func (d *discard) Write(b []byte) (int, error) {
	d.bytes += len(b)
	d.lines += strings.Count(string(b), "\n") - strings.Count(string(b), "\n#")
	return len(b), nil
}
