// Package echohealth gives an Echo service its health endpoints, in one line:
//
//	e := echo.New()
//	e.Use(echohealth.Middleware(
//		echohealth.WithDatabase(pgxprobe.New(pool)),
//		echohealth.WithRedis(redisprobe.New(client)),
//	))
//
// The middleware answers /api/health/live/, ready/, startup/, detailed/ and checks/NAME/ itself, with or
// without the trailing slash, and passes every other request on.
//
// Each check runs in its own goroutine with a timeout, at most once at a time, and every request of the next
// second uses its result. So a broken dependency delays an answer by no more than the timeout, and a thousand
// requests cost one run. An answer gives one word for a failure. The log gets the whole error, with passwords
// masked, once for each change.
//
// The probes for PostgreSQL, database/sql, Redis, AMQP, Celery, HTTP and certificates are in the packages
// below probes, so that a program links only the drivers that it imports. A Probe of your own is a function,
// or a type with one method: see package probes.
package echohealth

import (
	"errors"
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"
)

// Middleware is New and Health.Middleware in one line, for a service that lives as long as its process. It
// panics with the error of New if an option is invalid, and on WithStartupGate, because its caller has no
// Health to call MarkStarted on.
func Middleware(opts ...Option) echo.MiddlewareFunc {
	h, err := New(append(slices.Clone(opts), ungated)...)
	if err != nil {
		panic(err)
	}
	return h.Middleware
}

// Middleware answers the health endpoints and passes every other request on to next. Register it by
// e.Use(h.Middleware) before all middleware that could reject a probe, such as authentication, a rate
// limiter or a redirect to HTTPS, or by e.Pre(h.Middleware), which runs before every Use.
//
// It writes its answers itself and returns nil, so that an HTTPErrorHandler never sees a 503.
func (h *Health) Middleware(next echo.HandlerFunc) echo.HandlerFunc {
	// Echo calls Middleware for every request, so it allocates only the function.
	return func(c echo.Context) error {
		if r := c.Request(); h.concerns(r) {
			response := c.Response()
			if h.TryServe(response, r) {
				return nil
			}
			if h.closesUnlessUpgraded(r) {
				response.Writer = &upgradeWriter{ResponseWriter: response.Writer}
			}
		}
		return next(c)
	}
}

// Skipper reports whether the middleware answers the request. Use it as the Skipper of a logger, of
// authentication or of a rate limiter.
func (h *Health) Skipper(c echo.Context) bool { return h.Handles(c.Request()) }

// httpServers returns the servers of net/http that server shuts down, and whether it knows them.
func httpServers(server any) ([]*http.Server, bool) {
	switch s := server.(type) {
	case *http.Server:
		return []*http.Server{s}, true
	case *echo.Echo:
		return []*http.Server{s.Server, s.TLSServer}, true
	}
	return nil, false
}

// ungated is an Option that refuses WithStartupGate.
func ungated(c *config) error {
	if c.gated {
		return errors.New("WithStartupGate: use New instead of Middleware, " +
			"because only the method MarkStarted of the Health that it returns opens the gate")
	}
	return nil
}
