package echohealth_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/probes"
	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The functions below are the Go blocks of docs/behind-and-beside.md. The tests prove the statements of that
// page.

func healthFirst(e *echo.Echo, health *echohealth.Health) {
	e.Pre(health.Middleware, middleware.HTTPSRedirect()) // Pre, because a redirect is there too
	e.Use(middleware.RateLimiter(middleware.NewRateLimiterMemoryStore(20)))
	e.Use(middleware.ContextTimeout(30 * time.Second))
	e.Use(middleware.Gzip())
	e.Use(middleware.Secure())
}

func timeoutBeside(e *echo.Echo, health *echohealth.Health) {
	//lint:ignore SA1019 it is deprecated, and still in use
	e.Use(middleware.TimeoutWithConfig(middleware.TimeoutConfig{
		Skipper: health.Skipper, // not needed if the health middleware comes first
		Timeout: 30 * time.Second,
	}))
	e.Use(health.Middleware)
}

func corsFirst(e *echo.Echo, health *echohealth.Health) {
	e.Use(middleware.CORSWithConfig(middleware.CORSConfig{
		AllowOrigins: []string{"https://dashboard.example"},
		AllowHeaders: []string{echo.HeaderAuthorization}, // for the guard's token
	}))
	e.Use(health.Middleware)
}

func plainPort(health *echohealth.Health) *http.Server {
	plain := &http.Server{Addr: ":9000", Handler: health, ReadHeaderTimeout: time.Second}
	return plain
}

func endStreams(e *echo.Echo) {
	streams, end := context.WithCancel(context.Background())
	e.Server.RegisterOnShutdown(end) // own.RegisterOnShutdown for a server of your own
	e.GET("/events", func(c echo.Context) error {
		c.Response().Header().Set(echo.HeaderContentType, "text/event-stream")
		c.Response().Flush()
		select { // and a case for your events, in a loop
		case <-streams.Done(): // the service shuts down
		case <-c.Request().Context().Done(): // the client has gone away
		}
		return nil
	})
}

func longerWriteTimeout(e *echo.Echo) {
	e.Server.WriteTimeout = 5 * time.Second // above the timeout of every check
}

func speakHTTP2WithoutTLS(e *echo.Echo) {
	e.Server.Protocols = new(http.Protocols)
	e.Server.Protocols.SetHTTP1(true)
	e.Server.Protocols.SetUnencryptedHTTP2(true)
}

// Every Go block of the page is one of the functions above.
func TestBehindAndBesideIsTested(t *testing.T) {
	page := readFile(t, "docs/behind-and-beside.md")
	source, err := os.ReadFile("behind_test.go")
	require.NoError(t, err)
	unindented := regexp.MustCompile(`(?m)^\t`).ReplaceAllString(string(source), "")
	blocks := goBlock.FindAllStringSubmatch(page, -1)
	assert.Len(t, blocks, 7)
	for _, block := range blocks {
		assert.Contains(t, unindented, block[1])
	}
}

// hung is a probe that answers when its context ends.
var hung = probes.Func(func(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
})

func TestBehindTheHealthMiddleware(t *testing.T) {
	e, _ := service()
	healthFirst(e, newHealth(t, quiet, echohealth.WithDatabase(well)))
	for range 100 {
		w := get(e, "/api/health/ready/")
		require.Equal(t, 200, w.Code)
		assert.Empty(t, w.Header().Get(echo.HeaderXFrameOptions))
	}
	assert.Equal(t, http.StatusMovedPermanently, get(e, "/hello").Code)
}

// This is what a middleware of Echo does to a health answer if it is registered before the health middleware.
func TestBesideTheHealthMiddleware(t *testing.T) {
	limiter := middleware.RateLimiter(middleware.NewRateLimiterMemoryStoreWithConfig(
		middleware.RateLimiterMemoryStoreConfig{Rate: 1e-9, Burst: 1}))
	auth := middleware.KeyAuth(func(string, echo.Context) (bool, error) { return false, nil })
	//lint:ignore SA1019 it is deprecated, and still in use
	timeout := middleware.TimeoutWithConfig(middleware.TimeoutConfig{Timeout: 20 * time.Millisecond})
	tests := map[string]struct {
		first  echo.MiddlewareFunc
		twice  bool
		code   int
		body   string // a part of the body
		header string
	}{
		"rate limiter":   {limiter, true, http.StatusTooManyRequests, "rate limit exceeded", ""},
		"authentication": {auth, false, http.StatusBadRequest, "missing key", ""},
		"redirect":       {middleware.HTTPSRedirect(), false, http.StatusMovedPermanently, "", "Location"},
		"Secure":         {middleware.Secure(), false, 503, `"reason":"timeout"`, echo.HeaderXFrameOptions},
		"ContextTimeout": {middleware.ContextTimeout(20 * time.Millisecond), false, 503, `"reason":"timeout"`, ""},
		"Timeout":        {timeout, false, 503, "<html>", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if name == "Timeout" && raceEnabled {
				t.Skip("it has data races of its own")
			}
			limit := time.Minute // the middleware's timeout ends first
			if name == "Secure" {
				limit = 200 * time.Millisecond
			}
			h := newHealth(t, quiet, echohealth.WithoutSystemMetrics(),
				echohealth.WithDatabase(hung, echohealth.Timeout(limit)))
			e, _ := service(test.first, h.Middleware)
			if test.twice {
				get(e, "/api/health/live/")
			}
			w := get(e, "/api/health/ready/")
			assert.Equal(t, test.code, w.Code)
			assert.Contains(t, w.Body.String(), test.body)
			if test.header != "" {
				assert.NotEmpty(t, w.Header().Get(test.header))
			}
		})
	}
}

// The page's Timeout does not touch the health requests, with the Skipper or behind the health middleware. It
// gives all other requests a deadline.
func TestTimeoutBesideTheHealthMiddleware(t *testing.T) {
	//lint:ignore SA1019 it is deprecated, and still in use
	timeout := middleware.TimeoutWithConfig(middleware.TimeoutConfig{Timeout: 30 * time.Second})
	for name, register := range map[string]func(*echo.Echo, *echohealth.Health){
		"with the Skipper": timeoutBeside,
		"behind":           func(e *echo.Echo, health *echohealth.Health) { e.Use(health.Middleware, timeout) },
	} {
		t.Run(name, func(t *testing.T) {
			limited := func(r *http.Request) bool {
				_, ok := r.Context().Deadline()
				return ok
			}
			h := newHealth(t, quiet, echohealth.WithoutSystemMetrics(), echohealth.WithGuard(
				echohealth.GuardFunc(func(r *http.Request) bool { return !limited(r) })))
			e := echo.New()
			register(e, h)
			e.GET("/hello", func(c echo.Context) error {
				assert.True(t, limited(c.Request()))
				return c.NoContent(http.StatusNoContent)
			})
			assert.Equal(t, http.StatusOK, get(e, "/api/health/detailed/").Code)
			assert.Equal(t, http.StatusNoContent, get(e, "/hello").Code)
		})
	}
	h := newHealth(t, quiet, echohealth.WithoutSystemMetrics(),
		echohealth.WithDatabase(hung, echohealth.Timeout(200*time.Millisecond)))
	//lint:ignore SA1019 it is deprecated, and still in use
	short := middleware.TimeoutWithConfig(middleware.TimeoutConfig{Timeout: time.Millisecond, Skipper: h.Skipper})
	e, _ := service(short, h.Middleware)
	w := get(e, "/api/health/ready/")
	assert.Equal(t, http.StatusServiceUnavailable, w.Code)
	assert.Contains(t, w.Body.String(), `"reason":"timeout"`, "the health middleware's own answer")
}

func TestGzipFirst(t *testing.T) {
	h := newHealth(t, quiet, echohealth.WithDatabase(well))
	e, _ := service(middleware.Gzip(), h.Middleware)
	r := httptest.NewRequest(http.MethodGet, "/api/health/ready/", nil)
	r.Header.Set(echo.HeaderAcceptEncoding, "gzip")
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	assert.Equal(t, 200, w.Code)
	assert.Equal(t, "gzip", w.Header().Get(echo.HeaderContentEncoding))
	assert.Empty(t, w.Header().Get(echo.HeaderContentLength))
	body, err := gzip.NewReader(w.Body)
	require.NoError(t, err)
	text, err := io.ReadAll(body)
	require.NoError(t, err)
	assert.Contains(t, string(text), `"status":"ready"`)
}

// preflight sends the request that a browser sends before it sends a token to another origin.
func preflight(e *echo.Echo, path string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodOptions, path, nil)
	r.Header.Set(echo.HeaderOrigin, "https://dashboard.example")
	r.Header.Set(echo.HeaderAccessControlRequestMethod, http.MethodGet)
	r.Header.Set(echo.HeaderAccessControlRequestHeaders, "authorization")
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	return w
}

func TestCORS(t *testing.T) {
	h := newHealth(t, quiet, echohealth.WithGuard(echohealth.BearerToken("s3cret")))
	e, _ := service()
	corsFirst(e, h)
	w := preflight(e, "/api/health/detailed/")
	assert.Equal(t, http.StatusNoContent, w.Code)
	assert.Equal(t, "https://dashboard.example", w.Header().Get(echo.HeaderAccessControlAllowOrigin))
	assert.Equal(t, "Authorization", w.Header().Get(echo.HeaderAccessControlAllowHeaders))
	for token, code := range map[string]int{"": 401, "Bearer s3cret": 200} {
		r := httptest.NewRequest(http.MethodGet, "/api/health/detailed/", nil)
		r.Header.Set(echo.HeaderOrigin, "https://dashboard.example")
		r.Header.Set(echo.HeaderAuthorization, token)
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		assert.Equal(t, code, w.Code)
		assert.Equal(t, "https://dashboard.example", w.Header().Get(echo.HeaderAccessControlAllowOrigin))
	}

	last, _ := service(h.Middleware, middleware.CORS())
	assert.Equal(t, 401, preflight(last, "/api/health/detailed/").Code)
	assert.Equal(t, 405, preflight(last, "/api/health/live/").Code)
}

// A prober without a client certificate is refused by the TLS port and served by the plain port.
func TestMutualTLS(t *testing.T) {
	h := newHealth(t, quiet, echohealth.WithDatabase(well))
	e, _ := service(h.Middleware)
	server := httptest.NewUnstartedServer(e)
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	defer server.Close()
	_, err := server.Client().Get(server.URL + "/api/health/ready/")
	require.Error(t, err)

	second := httptest.NewUnstartedServer(nil)
	second.Config = plainPort(h)
	second.Start()
	defer second.Close()
	response, err := second.Client().Get(second.URL + "/api/health/ready/")
	require.NoError(t, err)
	defer response.Body.Close()
	assert.Equal(t, 200, response.StatusCode)
}

// A stream that is not ended makes Shutdown wait until its context ends.
func TestStreams(t *testing.T) {
	for name, test := range map[string]struct {
		register func(*echo.Echo)
		want     error
	}{
		"ended": {endStreams, nil},
		"not ended": {func(e *echo.Echo) {
			e.GET("/events", func(c echo.Context) error {
				c.Response().Flush()
				<-c.Request().Context().Done()
				return nil
			})
		}, context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServed(t, startEcho)
			test.register(s.echo)
			response, err := http.Get(s.scheme + "://" + s.listener.Addr().String() + "/events")
			require.NoError(t, err)
			defer response.Body.Close()
			limit := time.Minute
			if test.want != nil {
				limit = 700 * time.Millisecond // longer than the drain of 300 ms
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			assert.ErrorIs(t, s.health.Shutdown(ctx, s.echo), test.want)
		})
	}
}

// If the WriteTimeout is below a check's timeout, the client gets no answer.
func TestWriteTimeout(t *testing.T) {
	e, _ := service()
	longerWriteTimeout(e)
	for _, writeTimeout := range []time.Duration{50 * time.Millisecond, e.Server.WriteTimeout * 12} {
		h := newHealth(t, quiet, echohealth.WithDatabase(hung, echohealth.Timeout(500*time.Millisecond)))
		server := httptest.NewUnstartedServer(h)
		server.Config.WriteTimeout = writeTimeout
		server.Start()
		response, err := server.Client().Get(server.URL + "/api/health/ready/")
		if writeTimeout < time.Second {
			assert.ErrorIs(t, err, io.EOF)
		} else if assert.NoError(t, err) {
			var body bytes.Buffer
			_, _ = body.ReadFrom(response.Body)
			_ = response.Body.Close()
			assert.Equal(t, 503, response.StatusCode)
			assert.Contains(t, body.String(), `"reason":"timeout"`)
		}
		server.Close()
	}
}
