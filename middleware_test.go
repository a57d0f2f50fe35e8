package echohealth_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/internal/leaktest"
	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// newHealth calls New with valid options, and closes the Health at the end of the test.
func newHealth(t testing.TB, opts ...echohealth.Option) *echohealth.Health {
	t.Helper()
	h, err := echohealth.New(opts...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, h.Close()) })
	return h
}

// get sends a request for path to handler, and returns the answer.
func get(handler http.Handler, path string) *httptest.ResponseRecorder {
	return request(handler, http.MethodGet, path)
}

func request(handler http.Handler, method, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w
}

// service is a small Echo application; it counts the calls of its error handler.
func service(use ...echo.MiddlewareFunc) (*echo.Echo, *atomic.Int64) {
	e := echo.New()
	var errorsSeen atomic.Int64
	e.HTTPErrorHandler = func(err error, c echo.Context) {
		errorsSeen.Add(1)
		e.DefaultHTTPErrorHandler(err, c)
	}
	e.Use(use...)
	e.GET("/hello", func(c echo.Context) error { return c.String(http.StatusOK, "hello") })
	e.GET("/fails", func(echo.Context) error { return errors.New("the application's own error") })
	e.GET("/api/healthy", func(c echo.Context) error { return c.String(http.StatusOK, "the application's") })
	return e, &errorsSeen
}

func TestMiddlewareServesItsPathsAndPassesOnOthers(t *testing.T) {
	h := newHealth(t, echohealth.WithRedis(failing(errors.New("down"))), echohealth.WithoutSystemMetrics(), quiet)
	register := map[string]func(e *echo.Echo){
		"Use": func(e *echo.Echo) { e.Use(h.Middleware) },
		"Pre": func(e *echo.Echo) { e.Pre(h.Middleware) },
	}
	for name, add := range register {
		t.Run(name, func(t *testing.T) {
			e, errorsSeen := service()
			add(e)
			assert.Equal(t, "hello", get(e, "/hello").Body.String())
			assert.Equal(t, "the application's", get(e, "/api/healthy").Body.String())
			assert.Equal(t, http.StatusNotFound, get(e, "/nowhere").Code)
			assert.Equal(t, http.StatusInternalServerError, get(e, "/fails").Code)
			assert.EqualValues(t, 2, errorsSeen.Load())

			w := get(e, "/api/health/ready/")
			assert.Equal(t, http.StatusServiceUnavailable, w.Code)
			assert.True(t, json.Valid(w.Body.Bytes()))
			assert.Equal(t, http.StatusNotFound, get(e, "/api/health/nope").Code)
			assert.Equal(t, http.StatusMethodNotAllowed, request(e, http.MethodPost, "/api/health/live").Code)
			assert.EqualValues(t, 2, errorsSeen.Load(), "the application's error handler sees nothing of ours")
		})
	}
}

func TestTheOneLine(t *testing.T) {
	e, _ := service(echohealth.Middleware(echohealth.WithRedis(well)))
	assert.Equal(t, http.StatusOK, get(e, "/api/health/ready").Code)
	assert.Equal(t, "hello", get(e, "/hello").Body.String())
	assert.PanicsWithError(t, "echohealth: WithRedis: the probe must not be nil", func() { echohealth.Middleware(echohealth.WithRedis(nil)) })
}

func TestSkipper(t *testing.T) {
	h := newHealth(t, echohealth.WithPrefix("/h"))
	e := echo.New()
	var seen []string
	e.Use(middleware.RequestLoggerWithConfig(middleware.RequestLoggerConfig{
		Skipper:    h.Skipper,
		LogURIPath: true,
		LogValuesFunc: func(_ echo.Context, v middleware.RequestLoggerValues) error {
			seen = append(seen, v.URIPath)
			return nil
		},
	}), h.Middleware)
	for _, path := range []string{"/h", "/h/live", "/h/nope", "/hello", "/", "/health"} {
		get(e, path)
	}
	assert.Equal(t, []string{"/hello", "/", "/health"}, seen)
}

func TestBeforeMiddlewareThatCouldStopAProbe(t *testing.T) {
	h := newHealth(t)
	e, _ := service()
	e.Pre(h.Middleware, middleware.HTTPSRedirect(), middleware.AddTrailingSlash())
	e.Use(middleware.KeyAuth(func(string, echo.Context) (bool, error) { return false, nil }))
	assert.Equal(t, http.StatusOK, get(e, "/api/health/live").Code)
	assert.Equal(t, http.StatusMovedPermanently, get(e, "/hello").Code)
}

// The exact cost of the middleware for the application's own requests.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates as well")
	}
	h := newHealth(t, echohealth.WithDatabase(well), echohealth.WithRedis(well), echohealth.WithAMQP(well),
		echohealth.WithGroup("payment", "database", "redis", "amqp"))
	use := echo.New()
	use.Use(h.Middleware)
	use.GET("/hello", func(echo.Context) error { return nil })
	available := func(_ http.ResponseWriter, r *http.Request) { h.Available(r.Context(), "payment") }
	tests := []struct {
		name    string
		handler http.Handler
		path    string
		allocs  uint64
		bytes   uint64
	}{
		{"pass-through with Use", use, "/hello", 1, 24},
		{"pass-through with Wrap", h.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})), "/hello", 0, 0},
		{"live with Use", use, "/api/health/live/", 1, 24},
		{"ready with Use, 3 checks", use, "/api/health/ready/", 1, 24},
		{"a group with Use, 3 checks", use, "/api/health/groups/payment/", 1, 24},
		{"Available, 3 checks", http.HandlerFunc(available), "/hello", 0, 0},
		{"detailed with Wrap", h, "/api/health/detailed/", 0, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newDiscard()
			r := httptest.NewRequest(http.MethodGet, test.path, nil)
			test.handler.ServeHTTP(w, r)
			allocs, bytes := allocated(func() { test.handler.ServeHTTP(w, r) })
			assert.LessOrEqual(t, allocs, test.allocs)
			assert.LessOrEqual(t, bytes, test.bytes+1, "a rendering once a second is less than a byte an answer")
		})
	}
}

// allocated returns the allocations and bytes of a call, as whole numbers. They are the averages of so many
// calls that one more answer written each second does not change them. testing.Benchmark measures the same,
// but takes a second.
func allocated(call func()) (allocs, bytes uint64) {
	const calls = 200_000
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	call()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range calls {
		call()
	}
	runtime.ReadMemStats(&after)
	return (after.Mallocs - before.Mallocs) / calls, (after.TotalAlloc - before.TotalAlloc) / calls
}

// discard is a ResponseWriter that allocates nothing.
type discard struct{ header http.Header }

func newDiscard() *discard                           { return &discard{header: http.Header{}} }
func (d *discard) Header() http.Header               { return d.header }
func (d *discard) Write(b []byte) (int, error)       { return len(b), nil }
func (d *discard) WriteHeader(int)                   {}
func (d *discard) WriteString(s string) (int, error) { return len(s), nil }

func BenchmarkPassThroughUse(b *testing.B) {
	h := newHealth(b)
	e := echo.New()
	e.Use(h.Middleware)
	e.GET("/hello", func(echo.Context) error { return nil })
	benchmark(b, e, "/hello")
}

// The cost of a middleware in Echo that does nothing.
func BenchmarkPassThroughUseNoOp(b *testing.B) {
	e := echo.New()
	e.Use(func(next echo.HandlerFunc) echo.HandlerFunc { return func(c echo.Context) error { return next(c) } })
	e.GET("/hello", func(echo.Context) error { return nil })
	benchmark(b, e, "/hello")
}

func BenchmarkPassThroughWrap(b *testing.B) {
	benchmark(b, newHealth(b).Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})), "/hello")
}

func BenchmarkLive(b *testing.B) { benchmark(b, newHealth(b), "/api/health/live/") }

func BenchmarkReady3(b *testing.B) {
	h := newHealth(b, echohealth.WithDatabase(well), echohealth.WithRedis(well), echohealth.WithAMQP(well))
	benchmark(b, h, "/api/health/ready/")
}

func BenchmarkDetailed3(b *testing.B) {
	h := newHealth(b, echohealth.WithDatabase(well), echohealth.WithRedis(well), echohealth.WithAMQP(well))
	benchmark(b, h, "/api/health/detailed/")
}

func benchmark(b *testing.B, handler http.Handler, path string) {
	b.Helper()
	w := newDiscard()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	b.ReportAllocs()
	for b.Loop() {
		handler.ServeHTTP(w, r)
	}
}

// A kubelet waits a second for the whole answer. Readiness must answer within that time even if a check
// hangs.
func TestReadinessAnswersWithinAKubeletsSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		defer close(hang)
		h := newHealth(t, quiet, echohealth.WithoutSystemMetrics(), echohealth.WithDatabase(deaf(hang)), echohealth.WithRedis(well))
		pipe := testserver.NewPipe()
		server := &http.Server{Handler: h}
		defer func() { _ = server.Close() }()
		go func() { _ = server.Serve(pipe) }()
		kubelet := &http.Client{Timeout: time.Second, Transport: &http.Transport{DialContext: pipe.DialContext, DisableKeepAlives: true}}
		response, err := kubelet.Get("http://service/api/health/ready")
		require.NoError(t, err)
		assert.Equal(t, http.StatusServiceUnavailable, response.StatusCode)
		var body struct {
			Checks map[string]struct{ Status, Reason string }
		}
		require.NoError(t, json.NewDecoder(response.Body).Decode(&body))
		require.NoError(t, response.Body.Close())
		assert.Equal(t, "timeout", body.Checks["database"].Reason)
		assert.Equal(t, "ok", body.Checks["redis"].Status)
	})
}

// deaf returns a probe that ignores its context and returns when hang is closed.
func deaf(hang <-chan struct{}) probes.Func {
	return func(context.Context) error { <-hang; return nil }
}
