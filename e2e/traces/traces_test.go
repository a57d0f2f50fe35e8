package traces

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/XSAM/otelsql"
	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/labstack/echo/v4"
	"github.com/redis/go-redis/extra/redisotel/v9"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/httpprobe"
	"github.com/echo-probes/echohealth/probes/pgxprobe"
	"github.com/echo-probes/echohealth/probes/redisprobe"
	"github.com/echo-probes/echohealth/probes/sqlprobe"
)

func TestMain(m *testing.M) { testserver.Main(m) }

const (
	probings = 100
	runs     = 100
)

var always = echohealth.WithFreshness(time.Millisecond) // so that each Report runs each check

// check requests every endpoint like a load balancer or kubelet does, and runs the checks.
func check(t *testing.T, h *echohealth.Health, e http.Handler) {
	t.Helper()
	for range probings {
		for _, path := range []string{"live", "ready", "startup", "detailed", "checks/database", "prometheus"} {
			w := httptest.NewRecorder()
			e.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/health/"+path+"/", nil))
			require.Equal(t, http.StatusOK, w.Code, w.Body)
		}
	}
	for range runs {
		time.Sleep(2 * time.Millisecond)
		report := h.Report(t.Context())
		require.True(t, report.Ready, "%+v", report)
	}
}

func get(t *testing.T, client *http.Client, url string) {
	t.Helper()
	response, err := client.Get(url)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close()) // ends the span
}

// names returns the names of the spans since the last call.
func names(t *testing.T, provider *trace.TracerProvider, exporter *tracetest.InMemoryExporter) (names []string) {
	t.Helper()
	require.NoError(t, provider.ForceFlush(t.Context()))
	for _, span := range exporter.GetSpans() {
		names = append(names, span.Name)
	}
	exporter.Reset()
	return names
}

// Each Go block of the page must be a part of traces.go.
func TestThePagesBlocks(t *testing.T) {
	page, err := os.ReadFile("../../docs/traces.md")
	require.NoError(t, err)
	code, err := os.ReadFile("traces.go")
	require.NoError(t, err)
	lines := strings.NewReplacer("\n\t", "\n") // a block may be a part of a function
	blocks := regexp.MustCompile("(?ms)^```go\n(.*?)^```$").FindAllStringSubmatch(string(page), -1)
	require.Len(t, blocks, 3)
	for _, block := range blocks {
		assert.Contains(t, lines.Replace(string(code)), lines.Replace(block[1]))
	}
}

// One sampler must drop the spans of all libraries. The Skipper must drop those of the health endpoints.
func TestSampler(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	provider := newProvider(exporter)
	defer provider.Shutdown(context.Background())
	otel.SetTracerProvider(provider)
	postgres, server := testserver.NewPostgres(t), testserver.NewRedis(t)

	config, err := pgxpool.ParseConfig(postgres.DSN())
	require.NoError(t, err)
	config.ConnConfig.Tracer = otelpgx.NewTracer(otelpgx.WithTracerProvider(provider))
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	defer pool.Close()

	db := otelsql.OpenDB(connector(t, postgres), otelsql.WithTracerProvider(provider))
	defer db.Close()
	rdb := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer rdb.Close()
	require.NoError(t, redisotel.InstrumentTracing(rdb, redisotel.WithTracerProvider(provider)))
	dependency := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer dependency.Close()
	client := &http.Client{Transport: otelhttp.NewTransport(nil, otelhttp.WithTracerProvider(provider))}

	require.NoError(t, pool.Ping(t.Context())) // so that the probes find connections in the pools
	require.NoError(t, db.PingContext(t.Context()))
	h, err := echohealth.New(always, echohealth.WithTimeout(20*time.Second), echohealth.WithPrometheus(),
		echohealth.WithDatabase(pgxprobe.New(pool, pgxprobe.NewConnectionEvery(10*time.Millisecond))),
		echohealth.WithRedis(redisprobe.New(rdb, redisprobe.NewConnectionEvery(10*time.Millisecond))),
		echohealth.WithCheck("reports", sqlprobe.New(db)),
		echohealth.WithCheck("billing", httpprobe.New(dependency.URL, httpprobe.Client(client))))
	require.NoError(t, err)
	defer h.Close()
	e := application(h, pool, db)
	names(t, provider, exporter)

	check(t, h, e)
	assert.Empty(t, names(t, provider, exporter))

	e.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/orders", nil))
	spans := names(t, provider, exporter)
	assert.Contains(t, spans, "GET /orders")
	assert.Contains(t, spans, "sql.conn.query")
	assert.Contains(t, spans, "pool.acquire")
	require.NoError(t, rdb.Ping(t.Context()).Err())
	get(t, client, dependency.URL)
	spans = names(t, provider, exporter)
	assert.Contains(t, spans, "ping")
	assert.Contains(t, spans, "HTTP GET")
}

// application returns an Echo service with the health endpoints. Its tracing excludes them.
func application(h *echohealth.Health, pool *pgxpool.Pool, db *sql.DB) *echo.Echo {
	e := echo.New()
	use(e, h)
	e.GET("/orders", func(c echo.Context) error {
		ctx := c.Request().Context()
		var n int
		err := pool.QueryRow(ctx, "SELECT 1 + 1").Scan(&n)
		return errors.Join(err, db.QueryRowContext(ctx, "SELECT 2").Scan(&n))
	})
	return e
}

func connector(t *testing.T, server *testserver.Postgres) driver.Connector {
	t.Helper()
	config, err := pgxpool.ParseConfig(server.DSN())
	require.NoError(t, err)
	return stdlib.GetConnector(*config.ConnConfig)
}

// Without a sampler, the filters of the libraries must drop the spans, if a library has a filter. Without
// both there are two spans for each run.
func TestFilters(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	provider := trace.NewTracerProvider(trace.WithBatcher(exporter))
	defer provider.Shutdown(context.Background())
	postgres := testserver.NewPostgres(t)
	dependency := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer dependency.Close()
	for name, filtered := range map[string]bool{"with filters": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			sqlOptions := []otelsql.Option{otelsql.WithTracerProvider(provider)}
			httpOptions := []otelhttp.Option{otelhttp.WithTracerProvider(provider)}
			if filtered {
				sqlOptions = append(sqlOptions, otelsql.WithSpanOptions(otelsql.SpanOptions{
					SpanFilter: func(ctx context.Context, _ otelsql.Method, _ string, _ []driver.NamedValue) bool {
						_, ok := probes.CheckName(ctx)
						return !ok
					},
				}))
				httpOptions = append(httpOptions, otelhttp.WithFilter(func(r *http.Request) bool {
					_, ok := probes.CheckName(r.Context())
					return !ok
				}))
			}
			connector := connector(t, postgres)
			db := otelsql.OpenDB(connector, sqlOptions...)
			defer db.Close()
			client := &http.Client{Transport: otelhttp.NewTransport(nil, httpOptions...)}
			require.NoError(t, db.PingContext(probes.WithCheckName(t.Context(), "warm")))
			h, err := echohealth.New(always, echohealth.WithTimeout(20*time.Second), echohealth.WithPrometheus(),
				echohealth.WithDatabase(sqlprobe.New(db, sqlprobe.Connector(connector), sqlprobe.NewConnectionEvery(10*time.Millisecond))),
				echohealth.WithCheck("billing", httpprobe.New(dependency.URL, httpprobe.Client(client))))
			require.NoError(t, err)
			defer h.Close()
			names(t, provider, exporter)
			check(t, h, h)
			if filtered {
				assert.Empty(t, names(t, provider, exporter))
			} else {
				assert.GreaterOrEqual(t, len(names(t, provider, exporter)), 2*runs)
			}
			require.NoError(t, db.QueryRowContext(t.Context(), "SELECT 1").Err())
			get(t, client, dependency.URL)
			spans := names(t, provider, exporter)
			assert.Contains(t, spans, "sql.conn.query")
			assert.Contains(t, spans, "HTTP GET")
		})
	}
}
