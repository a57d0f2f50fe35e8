package echohealth_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/internal/exposition"
	"github.com/echo-probes/echohealth/probes"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	metricsPath       = "/api/health/prometheus/"
	acceptOpenMetrics = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)

// scrape requests the metrics as Prometheus does.
func scrape(h http.Handler, accept string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, metricsPath, nil)
	if accept != "" {
		r.Header.Set("Accept", accept)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestPrometheusIsOffUnlessItIsTurnedOn(t *testing.T) {
	h := newHealth(t, echohealth.WithDatabase(well))
	assert.Equal(t, http.StatusNotFound, scrape(h, "").Code)
}

func TestPrometheusFormats(t *testing.T) {
	h := newHealth(t, echohealth.WithPrometheus(), echohealth.WithPrometheus(), echohealth.WithDatabase(well))
	text := scrape(h, "")
	assert.Equal(t, http.StatusOK, text.Code)
	assert.Equal(t, "text/plain; version=0.0.4; charset=utf-8", text.Header().Get("Content-Type"))
	assert.Contains(t, text.Body.String(), `echohealth_component_status{component="database",status="ok"} 1`)
	assert.Contains(t, text.Body.String(), `echohealth_component_checks_total{component="database",status="ok"} 1`)

	open := scrape(h, acceptOpenMetrics)
	assert.Equal(t, "application/openmetrics-text; version=1.0.0; charset=utf-8", open.Header().Get("Content-Type"))
	assert.True(t, strings.HasSuffix(open.Body.String(), "\n# EOF\n"))
	for _, w := range []*httptest.ResponseRecorder{text, open} {
		assert.Equal(t, "Accept", w.Header().Get("Vary"))
		assert.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	}
	assert.Empty(t, get(h, "/api/health/detailed/").Header().Get("Vary"))
}

// A scrape is a look. It runs the due checks, and shares the runs with all other looks.
func TestManyScrapesCostOneRun(t *testing.T) {
	var runs atomic.Int32
	release := make(chan struct{})
	h := newHealth(t, echohealth.WithPrometheus(), echohealth.WithTimeout(time.Minute), echohealth.WithFreshness(time.Hour),
		echohealth.WithCheck("slow", probes.Func(func(context.Context) error {
			runs.Add(1)
			<-release
			return nil
		})))
	var scrapes sync.WaitGroup
	for range 50 {
		scrapes.Go(func() {
			assert.Contains(t, scrape(h, acceptOpenMetrics).Body.String(), `{component="slow",status="ok"} 1`)
		})
	}
	scrapes.Go(func() { get(h, "/api/health/ready/") })
	require.Eventually(t, func() bool { return runs.Load() == 1 }, 10*time.Second, time.Millisecond)
	close(release)
	scrapes.Wait()
	assert.EqualValues(t, 1, runs.Load())
}

// If a check hangs, the first scrape waits for its timeout and later ones do not. Each further freshness time
// counts as one more failure.
func TestScrapesOfAHungCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		h := newHealth(t, echohealth.WithPrometheus(), echohealth.WithoutSystemMetrics(),
			echohealth.WithCheck("hung", probes.Func(func(context.Context) error {
				<-release
				return nil
			})), echohealth.WithDatabase(well))
		begin := time.Now()
		first := scrape(h, "")
		assert.Equal(t, 800*time.Millisecond, time.Since(begin))
		assert.Equal(t, http.StatusOK, first.Code)
		for _, line := range []string{
			`echohealth_status{status="unhealthy"} 1`,
			`echohealth_ready 0`,
			`echohealth_component_reason{component="hung",reason="timeout"} 1`,
			`echohealth_component_checks_total{component="hung",status="error"} 1`,
			`echohealth_component_check_duration_seconds_count{component="hung"} 1`,
			`echohealth_component_check_duration_seconds_sum{component="hung"} 0.8`,
			`echohealth_component_status{component="database",status="ok"} 1`,
		} {
			assert.Contains(t, first.Body.String(), line+"\n")
		}
		for range 3 {
			time.Sleep(time.Second)
			begin = time.Now()
			scrape(h, "")
			assert.Zero(t, time.Since(begin))
		}
		last := scrape(h, "").Body.String()
		assert.Contains(t, last, `echohealth_component_checks_total{component="hung",status="error"} 4`+"\n")
		assert.Contains(t, last, `echohealth_component_check_duration_seconds_count{component="hung"} 1`+"\n")
	})
}

func TestPrometheusReportsThePhase(t *testing.T) {
	h, err := echohealth.New(echohealth.WithPrometheus(), echohealth.WithStartupGate(),
		echohealth.WithDatabase(well), echohealth.WithDrainDelay(0))
	require.NoError(t, err)
	is := func(phase, value string) {
		t.Helper()
		assert.Contains(t, scrape(h, "").Body.String(), `echohealth_phase{phase="`+phase+`"} `+value+"\n")
	}
	is("starting", "1")
	h.MarkStarted()
	is("running", "1")
	is("starting", "0")
	require.NoError(t, h.Drain(t.Context()))
	is("draining", "1")
	require.NoError(t, h.Close())
	assert.Equal(t, http.StatusOK, scrape(h, "").Code)
	assert.Contains(t, scrape(h, "").Body.String(), `echohealth_status{status="unhealthy"} 1`)
}

// The guard applies to /prometheus/ but not to Private. WithAlias and WithPublic accept the endpoint.
func TestGuardOfPrometheus(t *testing.T) {
	h := newHealth(t, echohealth.WithPrometheus(), echohealth.WithGuard(echohealth.BearerToken("s3cret")),
		echohealth.WithAlias("/metrics", echohealth.Prometheus))
	assert.Equal(t, http.StatusUnauthorized, scrape(h, "").Code)
	assert.Equal(t, http.StatusUnauthorized, get(h, "/metrics").Code)
	assert.Equal(t, http.StatusOK, scrape(h.Private(), "").Code)
	assert.Equal(t, http.StatusOK, scrape(h.Private(echohealth.ShowErrors()), acceptOpenMetrics).Code)

	public := newHealth(t, echohealth.WithPrometheus(), echohealth.WithPublic(echohealth.Live))
	assert.Equal(t, http.StatusNotFound, scrape(public, "").Code)
}

func TestPrometheusNeedsItsOption(t *testing.T) {
	_, err := echohealth.New(echohealth.WithAlias("/metrics", echohealth.Prometheus))
	assert.EqualError(t, err, `echohealth: WithAlias("/metrics", "prometheus"): the endpoint "prometheus" needs WithPrometheus`)
	_, err = echohealth.New(echohealth.WithPublic(echohealth.Live, echohealth.Prometheus))
	assert.EqualError(t, err, `echohealth: WithPublic: the endpoint "prometheus" needs WithPrometheus`)
}

// The metrics contain the reason of an error, but not its text.
func TestPrometheusIsSilent(t *testing.T) {
	h := newHealth(t, echohealth.WithPrometheus(),
		echohealth.WithCheck("a", failing(errors.New("dial postgres://app:s3cret@db"))),
		echohealth.WithCheck("b", failing(probes.Fail("its_own_word", errors.New("s3cret")))))
	body := scrape(h, "").Body.String()
	assert.NotContains(t, body, "s3cret")
	assert.NotContains(t, body, "postgres")
	assert.Contains(t, body, `echohealth_component_reason{component="b",reason="its_own_word"} 1`)
}

func TestSystemMetricsForPrometheus(t *testing.T) {
	h := newHealth(t, echohealth.WithPrometheus(), echohealth.WithDisk("none", "/no/such/path"),
		echohealth.WithMemoryThreshold(90, 95))
	body := scrape(h, "").Body.String()
	assert.Contains(t, body, `echohealth_component_info{component="memory",kind="system",critical="true"} 1`)
	assert.Contains(t, body, `echohealth_component_info{component="cpu",kind="system",critical="false"} 1`)
	assert.Contains(t, body, `echohealth_component_checks_total{component="memory",status="ok"} 1`)
	assert.NotContains(t, body, `{disk="none"}`, "a figure that can't be read must be absent")
	assert.Regexp(t, regexp.MustCompile(`echohealth_system_memory_size_bytes [0-9.e+]+`), body)
	without := newHealth(t, echohealth.WithPrometheus(), echohealth.WithoutSystemMetrics())
	assert.NotContains(t, scrape(without, "").Body.String(), "system")
}

// Each group is one series, and a service without groups has none.
func TestGroupsForPrometheus(t *testing.T) {
	h := newHealth(t, echohealth.WithPrometheus(), echohealth.WithDatabase(well), echohealth.WithRedis(failing(io.EOF)),
		echohealth.WithDrainDelay(0), echohealth.WithGroup("payment", "database"), echohealth.WithGroup("cart", "redis", "database"))
	series := func(body string) []string {
		return regexp.MustCompile(`(?m)^echohealth_group_ready.*$`).FindAllString(body, -1)
	}
	const payment, cart = `echohealth_group_ready{group="payment"} `, `echohealth_group_ready{group="cart"} `
	assert.Equal(t, []string{payment + "1", cart + "0"}, series(scrape(h, "").Body.String()))
	require.NoError(t, h.Drain(t.Context()))
	assert.Equal(t, []string{payment + "0", cart + "0"}, series(scrape(h, acceptOpenMetrics).Body.String()))
	without := newHealth(t, echohealth.WithPrometheus(), echohealth.WithDatabase(well))
	assert.Empty(t, series(scrape(without, "").Body.String()))
}

// The modules promhealth and otelhealth read the same metrics as the endpoint answers.
func TestMetrics(t *testing.T) {
	for name, options := range map[string][]echohealth.Option{"alone": nil, "beside": {echohealth.WithPrometheus()}} {
		h := newHealth(t, append(options, echohealth.WithDatabase(well))...)
		source := h.Metrics()
		families := map[string]int{}
		count := 0.0
		source.Read(t.Context(), func(f *exposition.Family, s exposition.Series) {
			families[f.Name]++
			if f.Name == "echohealth_component_checks_total" && s.Labels[0] == "database" && s.Labels[1] == "ok" {
				count = s.Value
			}
		})
		assert.Equal(t, 3, families["echohealth_status"], name)
		assert.Equal(t, 1.0, count, name)
	}
}
