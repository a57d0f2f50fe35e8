package echov5_test

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/echov5"
	"github.com/echo-probes/echohealth/internal/contract"
	"github.com/echo-probes/echohealth/internal/leaktest"
	"github.com/labstack/echo/v5"
	"github.com/labstack/echo/v5/middleware"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// The result of Skipper can be assigned to a middleware's Skipper field.
var _ middleware.Skipper = echov5.Skipper(&echohealth.Health{})

// newHealth returns a Health of valid options that is closed at the end of the test.
func newHealth(t testing.TB, opts ...echohealth.Option) *echohealth.Health {
	t.Helper()
	defaults := []echohealth.Option{
		echohealth.WithTimeout(time.Minute), echohealth.WithLogger(slog.New(slog.DiscardHandler)),
	}
	h, err := echohealth.New(append(defaults, opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, h.Close()) })
	return h
}

// get sends a request to handler.
func get(handler http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

// application returns the application that package contract needs, and the number of calls of its error
// handler.
func application() (*echo.Echo, *atomic.Int64) {
	e := echo.New()
	e.Logger = slog.New(slog.DiscardHandler)
	var errorsSeen atomic.Int64
	e.HTTPErrorHandler = func(c *echo.Context, err error) {
		errorsSeen.Add(1)
		c.Response().Header().Set("X-Application", "yes")
		if errors.Is(err, echo.ErrNotFound) {
			_ = c.String(http.StatusNotFound, "the application's 404")
			return
		}
		_ = c.String(http.StatusInternalServerError, "the application's error handler")
	}
	says := func(text string) echo.HandlerFunc {
		return func(c *echo.Context) error {
			c.Response().Header().Set("X-Application", "yes")
			return c.String(http.StatusOK, text)
		}
	}
	e.GET("/hello", says("hello"))
	e.GET("/api/healthy", says("the application's own"))
	e.GET("/fails", func(*echo.Context) error { return errors.New("the application's own error") })
	return e, &errorsSeen
}

func TestContract(t *testing.T) {
	faces := map[string]func(e *echo.Echo, m echo.MiddlewareFunc){
		"Use": func(e *echo.Echo, m echo.MiddlewareFunc) { e.Use(m) },
		"Pre": func(e *echo.Echo, m echo.MiddlewareFunc) { e.Pre(m) },
	}
	for name, register := range faces {
		t.Run(name, func(t *testing.T) {
			contract.Run(t, func(h *echohealth.Health) http.Handler {
				e, _ := application()
				register(e, echov5.From(h))
				return e
			})
		})
	}
}

func TestTheErrorHandlerSeesNoHealthRequest(t *testing.T) {
	e, errorsSeen := application()
	e.Use(echov5.From(newHealth(t)))
	for _, path := range []string{"/api/health/live", "/api/health/ready/", "/api/health/nope"} {
		get(e, path)
	}
	assert.Zero(t, errorsSeen.Load())
	get(e, "/nowhere")
	assert.EqualValues(t, 1, errorsSeen.Load())
}

func TestTheOneLine(t *testing.T) {
	e, _ := application()
	e.Use(echov5.Middleware())
	assert.Equal(t, http.StatusOK, get(e, "/api/health/ready").Code)
	assert.Equal(t, "hello", get(e, "/hello").Body.String())
}

func TestInvalid(t *testing.T) {
	assert.PanicsWithError(t, "echohealth: WithRedis: the probe must not be nil",
		func() { echov5.Middleware(echohealth.WithRedis(nil)) })
	assert.PanicsWithError(t, "echov5: WithStartupGate: it needs echohealth.New, "+
		"whose Health has the method MarkStarted that opens the gate, and From",
		func() { echov5.Middleware(echohealth.WithStartupGate()) })
	assert.Panics(t, func() { echov5.From(nil) })
	assert.Panics(t, func() { echov5.Skipper(nil) })
}

func TestSkipper(t *testing.T) {
	h := newHealth(t, echohealth.WithPrefix("/h"), echohealth.WithAlias("/readyz", echohealth.Ready))
	e := echo.New()
	var seen []string
	e.Use(middleware.RequestLoggerWithConfig(middleware.RequestLoggerConfig{
		Skipper:    echov5.Skipper(h),
		LogURIPath: true,
		LogValuesFunc: func(_ *echo.Context, v middleware.RequestLoggerValues) error {
			seen = append(seen, v.URIPath)
			return nil
		},
	}), echov5.From(h))
	for _, path := range []string{"/h", "/h/live", "/h/nope", "/readyz", "/hello", "/", "/health"} {
		get(e, path)
	}
	assert.Equal(t, []string{"/hello", "/", "/health"}, seen)
}

func TestBeforeMiddlewareThatCouldStopAProbe(t *testing.T) {
	e, _ := application()
	e.Pre(echov5.From(newHealth(t)), middleware.HTTPSRedirect(), middleware.AddTrailingSlash())
	e.Use(middleware.KeyAuth(func(*echo.Context, string, middleware.ExtractorSource) (bool, error) {
		return false, nil
	}))
	assert.Equal(t, http.StatusOK, get(e, "/api/health/live").Code)
	assert.Equal(t, http.StatusMovedPermanently, get(e, "/hello").Code)
}

// Echo v5 chains its middlewares once and not for each request, so that the middleware allocates nothing.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates as well")
	}
	h := newHealth(t, echohealth.WithoutSystemMetrics())
	handle := func(*echo.Context) error { return nil }
	use, pre, behind := echo.New(), echo.New(), echo.New()
	use.Use(echov5.From(h))
	pre.Pre(echov5.From(h))
	behind.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
		skips := echov5.Skipper(h)
		return func(c *echo.Context) error {
			if skips(c) {
				return nil
			}
			return next(c)
		}
	})
	tests := []struct {
		name string
		echo *echo.Echo
		path string
	}{
		{"pass-through with Use", use, "/hello"},
		{"pass-through with Pre", pre, "/hello"},
		{"pass-through of the skipper", behind, "/hello"},
		{"live", use, "/api/health/live/"},
		{"ready", use, "/api/health/ready/"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.echo.GET("/hello", handle)
			w, r := discard{http.Header{}}, httptest.NewRequest(http.MethodGet, test.path, nil)
			test.echo.ServeHTTP(w, r) // may run a check and write an answer
			assert.Zero(t, testing.AllocsPerRun(1000, func() { test.echo.ServeHTTP(w, r) }))
		})
	}
}

// discard is a ResponseWriter that allocates nothing.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

func BenchmarkPassThrough(b *testing.B) { benchmark(b, echov5.From(newHealth(b))) }

// The cost of a middleware in Echo v5 that does nothing.
func BenchmarkPassThroughNoOp(b *testing.B) {
	benchmark(b, func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error { return next(c) }
	})
}

// The cost with Echo's own adapter for net/http instead of From.
func BenchmarkPassThroughWrapMiddleware(b *testing.B) {
	benchmark(b, echo.WrapMiddleware(newHealth(b).Wrap))
}

func benchmark(b *testing.B, m echo.MiddlewareFunc) {
	b.Helper()
	e := echo.New()
	e.Use(m)
	e.GET("/hello", func(*echo.Context) error { return nil })
	w, r := discard{http.Header{}}, httptest.NewRequest(http.MethodGet, "/hello", nil)
	b.ReportAllocs()
	for b.Loop() {
		e.ServeHTTP(w, r)
	}
}

// weightBudget is the maximum number of bytes that this package, with Echo v4, may add to a stripped service
// on Echo v5.
const weightBudget = 712 << 10

func TestWeight(t *testing.T) {
	if raceEnabled || testing.Short() {
		t.Skip("two programs are built; once is enough")
	}
	dir := t.TempDir()
	weigh := func(name string) int64 {
		out := filepath.Join(dir, name)
		build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", out, "./testdata/weigh/"+name)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		output, err := build.CombinedOutput()
		require.NoError(t, err, string(output))
		info, err := os.Stat(out)
		require.NoError(t, err)
		return info.Size()
	}
	grown := weigh("echohealth") - weigh("echo")
	t.Logf("Echo v5 alone to Echo v5 and echov5: +%d KB, stripped", grown>>10)
	assert.LessOrEqual(t, grown, int64(weightBudget))
}
