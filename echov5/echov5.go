// Package echov5 gives a service on Echo v5 the health endpoints that package echohealth gives a service on
// Echo v4:
//
//	e := echo.New()
//	e.Use(echov5.Middleware(
//		echohealth.WithDatabase(pgxprobe.New(pool)),
//		echohealth.WithRedis(redisprobe.New(client)),
//	))
//
// Options, endpoints and answers are those of package echohealth. A service that drains and shuts down makes
// a Health with echohealth.New and its middleware with From. Skipper exempts health requests from logging and
// authentication. Health.DrainContext is for the StartConfig of Echo v5.
//
// The middleware allocates nothing for the application's own requests. The package links Echo v4 too, because
// package echohealth imports it, but does not use Echo v4.
package echov5

import (
	"errors"
	"net/http"

	"github.com/labstack/echo/v5"

	"github.com/echo-probes/echohealth"
)

// Middleware is echohealth.New and From in one line, for a service that lives as long as its process. It
// panics with the error of New if an option is invalid, and on WithStartupGate, because its caller has no
// Health to call MarkStarted on.
func Middleware(opts ...echohealth.Option) echo.MiddlewareFunc {
	h, err := echohealth.New(opts...)
	if err != nil {
		panic(err)
	}
	if !h.Started() {
		panic(errors.Join(errGate, h.Close()))
	}
	return From(h)
}

var errGate = errors.New("echov5: WithStartupGate: it needs echohealth.New, " +
	"whose Health has the method MarkStarted that opens the gate, and From")

// From returns a middleware that answers the health endpoints of h and passes every other request on.
// Register it by e.Use(echov5.From(h)) before all middleware that could reject a probe, such as
// authentication, a rate limiter or a redirect to HTTPS, or by e.Pre(echov5.From(h)), which runs before
// every Use. It panics if h is nil.
//
// The middleware writes its answers itself and returns nil, so that an HTTPErrorHandler never sees a 503.
func From(h *echohealth.Health) echo.MiddlewareFunc {
	if h == nil {
		panic("echov5: From(nil): the Health must be one of echohealth.New")
	}
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error {
			r := c.Request()
			if len(r.Header["Upgrade"]) > 0 {
				return upgrade(h, c, next)
			}
			if h.TryServe(c.Response(), r) {
				return nil
			}
			return next(c)
		}
	}
}

// upgrade serves a request to upgrade the connection. Wrap passes a ResponseWriter that adds "Connection:
// close" while the service drains, unless the connection is upgraded.
func upgrade(h *echohealth.Health, c *echo.Context, next echo.HandlerFunc) (err error) {
	h.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c.SetResponse(w)
		err = next(c)
	})).ServeHTTP(c.Response(), c.Request())
	return err
}

// Skipper returns a function that reports whether the middleware of h answers the request. Use it as the
// Skipper of a logger, of authentication or of a rate limiter. It panics if h is nil.
func Skipper(h *echohealth.Health) func(c *echo.Context) bool {
	if h == nil {
		panic("echov5: Skipper(nil): the Health must be one of echohealth.New")
	}
	return func(c *echo.Context) bool { return h.Handles(c.Request()) }
}
