package load_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/pgxprobe"
)

const (
	appPath    = "/app"
	readyPath  = "/api/health/ready/"
	staticPath = "/static"
	naivePath  = "/naive"
)

// service is an application with few connections to its database. It serves readiness with echohealth, and
// also has two simple hand-written handlers to compare it with.
type service struct {
	pool   *pgxpool.Pool
	probe  *counted
	health *echohealth.Health
	static http.Handler
	http   *httptest.Server
}

// counted counts the runs of a probe.
type counted struct {
	*pgxprobe.Probe
	runs atomic.Int64
}

func (c *counted) Check(ctx context.Context) probes.Result {
	c.runs.Add(1)
	return c.Probe.Check(ctx)
}

func newService(t *testing.T) *service {
	t.Helper()
	config, err := pgxpool.ParseConfig(testserver.SharedPostgres(t).DSN() + "&connect_timeout=30")
	require.NoError(t, err)
	config.MaxConns = poolSize
	s := &service{}
	s.pool, err = pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(s.pool.Close)
	s.probe = &counted{Probe: pgxprobe.New(s.pool)}
	s.health, err = echohealth.New(echohealth.WithDatabase(s.probe), echohealth.WithFreshness(freshness), echohealth.WithTimeout(checkTimeout),
		echohealth.WithLogger(slog.New(slog.DiscardHandler)))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.health.Close()) })
	s.static = s.newStatic(t)
	s.http = httptest.NewServer(s.health.Wrap(s.routes()))
	t.Cleanup(s.http.Close)
	return s
}

func (s *service) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc(appPath, s.query(appQuery))
	mux.HandleFunc(naivePath, s.query("SELECT 1"))
	mux.Handle(staticPath, s.static)
	return mux
}

// query runs a query over the application's pool, and then responds.
func (s *service) query(statement string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if _, err := s.pool.Exec(r.Context(), statement); err != nil {
			http.Error(w, "the database does not answer", http.StatusServiceUnavailable)
		}
	}
}

// newStatic returns a handler that always returns the same answer of readiness.
func (s *service) newStatic(t *testing.T) http.Handler {
	t.Helper()
	answer := httptest.NewRecorder()
	s.health.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, readyPath, nil))
	require.Equal(t, http.StatusOK, answer.Code)
	body := answer.Body.Bytes()
	var names []string
	var values [][]string // a slice, because a range over a map would take longer than everything else
	for name, value := range answer.Header() {
		names, values = append(names, name), append(values, value)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		header := w.Header()
		for i, name := range names {
			header[name] = values[i]
		}
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write(body) // the client may have closed the connection
	})
}
