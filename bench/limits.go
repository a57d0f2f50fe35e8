package main

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"
)

// The limits, in this file, send the same answers without any decisions. No library can be cheaper.

const (
	readyPath    = "/api/health/ready/"
	livePath     = "/api/health/live/"
	detailedPath = "/api/health/detailed/"
	prefix       = "/api/health"
	// A path that begins like the prefix but is longer is the worst case for the middleware.
	appPath = "/api/greetings"
)

// noOp is the cheapest possible middleware in Echo.
func noOp(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error { return next(c) }
}

// noOpWrap is the cheapest possible middleware in net/http.
func noOpWrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(w, r) })
}

// static writes the headers of a health answer and always the same body. It makes the values of the headers
// only once.
type static struct {
	body   []byte
	length []string
}

func newStatic(body string) *static {
	return &static{body: []byte(body), length: []string{strconv.Itoa(len(body))}}
}

var (
	applicationJSON = []string{"application/json"}
	noStore         = []string{"no-store"}
	noSniff         = []string{"nosniff"}
)

func (s *static) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	header := w.Header()
	header["Content-Type"] = applicationJSON
	header["Content-Length"] = s.length
	header["Cache-Control"] = noStore
	header["X-Content-Type-Options"] = noSniff
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(s.body)
}

// middleware answers requests below the prefix and passes on all others.
func (s *static) middleware(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if strings.HasPrefix(c.Request().URL.Path, prefix) {
			s.ServeHTTP(c.Response(), c.Request())
			return nil
		}
		return next(c)
	}
}

// byHand writes the same answer, but calls Header().Set, which allocates a value each time. Most programs do
// so.
func (s *static) byHand(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(s.body)))
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(s.body)
}

// application returns an Echo service with one route, whose handler does nothing.
func application(add func(*echo.Echo)) *echo.Echo {
	e := echo.New()
	add(e)
	e.GET(appPath, func(echo.Context) error { return nil })
	return e
}

func use(m echo.MiddlewareFunc) func(*echo.Echo) { return func(e *echo.Echo) { e.Use(m) } }
func pre(m echo.MiddlewareFunc) func(*echo.Echo) { return func(e *echo.Echo) { e.Pre(m) } }
