// Package echov5 gives a service on Echo v5 the health endpoints that package echohealth gives to one on Echo v4:
//
//	e := echo.New()
//	e.Use(echov5.Middleware(
//		echohealth.WithDatabase(pgxprobe.New(pool)),
//		echohealth.WithRedis(redisprobe.New(client)),
//	))
//
// Options, endpoints and answers are those of package echohealth, and so is the life cycle: with a Health of echohealth.New, From makes the
// middleware and Skipper keeps others away from its requests, and DrainContext is for StartConfig. This package only passes requests on, and
// nothing in it costs an allocation.
//
// It links Echo v4 too, which the root package imports, and which does nothing here.
package echov5

import (
	"errors"

	"github.com/labstack/echo/v5"

	"github.com/echo-probes/echohealth"
)

// Middleware is echohealth.New and From in one line, for a service that lives as long as its process. It panics if an option is invalid, with
// all that New says is wrong; on WithStartupGate too, since nobody could open the gate.
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

var errGate = errors.New("echov5: WithStartupGate: it needs echohealth.New, whose Health has the method MarkStarted that opens the gate, and From")

// From returns a middleware that answers the health endpoints of h, and passes every other request on. Register it before whatever could
// stop a probe, such as authentication, a rate limiter or a redirect to HTTPS: e.Use(echov5.From(h)), or e.Pre(echov5.From(h)), which comes
// before every Use. It panics if h is nil.
//
// It writes its answers itself and returns nil: an HTTPErrorHandler never gets to see a 503.
func From(h *echohealth.Health) echo.MiddlewareFunc {
	if h == nil {
		panic("echov5: From(nil): it needs the Health of echohealth.New")
	}
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error {
			if h.TryServe(c.Response(), c.Request()) {
				return nil
			}
			return next(c)
		}
	}
}

// Skipper returns a function that reports whether the request is one that the middleware of h answers: as the Skipper of a logger, of
// authentication, or of a rate limiter. It panics if h is nil.
func Skipper(h *echohealth.Health) func(c *echo.Context) bool {
	if h == nil {
		panic("echov5: Skipper(nil): it needs the Health of echohealth.New")
	}
	return func(c *echo.Context) bool { return h.Handles(c.Request()) }
}
