package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"time"

	gosundheit "github.com/AppsFlyer/go-sundheit"
	"github.com/AppsFlyer/go-sundheit/checks"
	sundheithttp "github.com/AppsFlyer/go-sundheit/http"
	alex "github.com/alexliesenfeld/health"
	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/probes"
	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/healthcheck"
	hello "github.com/hellofresh/health-go/v5"
	"github.com/valyala/fasthttp"
)

// check is the function that every library calls as its check.
type check func(context.Context) error

// settings are the settings of a library in one measurement. An unset field means the library's default.
type settings struct {
	checks  []check       // their names are check0, check1, …
	timeout time.Duration // for each check, if the library has such a setting
	due     bool          // each request must run the checks, if the library has such a setting
	live    bool          // use the liveness endpoint; without one, the library's only endpoint, without checks
}

// instance is a running service with one library.
type instance struct {
	path   string
	health *echohealth.Health // set only for echohealth

	// asker makes a function that sends one request to the handler and returns the status. The function itself
	// allocates nothing. Only one goroutine may call it.
	asker func() func() int

	get   func() (int, string) // returns the status and the body of an answer
	serve func(net.Listener) error
	close func()
}

// library is one of the compared libraries.
type library struct {
	name       string
	does       string // how it makes a readiness answer, for the tables
	live       string // how it makes a liveness answer
	due        string // how it makes a readiness answer that must run the checks
	namesCheck bool   // its answer names the checks even if all are ok
	open       func(settings) (*instance, error)
}

var libraries = []library{
	{
		name: ours,
		does: "results of the last second, in a document that was written once",
		live: "a document of this second",
		due:  "side by side", namesCheck: true,
		open: openEchohealth,
	},
	{
		name: "alexliesenfeld/health 0.8.0",
		does: "results of the last second, encoded for each answer",
		live: "no liveness: its handler without checks",
		due:  "side by side, its cache switched off", namesCheck: true,
		open: openAlex,
	},
	{
		name: "hellofresh/health-go 5.5.4",
		does: "runs the checks for each answer, as many at once as there are CPUs",
		live: "no liveness: its handler without checks",
		due:  "as many at once as there are CPUs",
		open: openHello,
	},
	{
		name: "AppsFlyer/go-sundheit 0.6.0",
		does: "results of its schedule, here of each second, encoded for each answer; no request runs a check",
		live: "no liveness: its handler without checks",
		due:  "runs nothing: its schedule's last results", namesCheck: true,
		open: openSundheit,
	},
	{
		name: "gofiber 3.1.0 healthcheck",
		does: "runs a function for each answer, here one check after the other; body OK; fasthttp, no net/http",
		live: "body OK; fasthttp, no net/http at all",
		due:  "one after the other",
		open: openFiber,
	},
}

const ours = "echohealth"

func checkName(i int) string { return fmt.Sprintf("check%d", i) }

func openEchohealth(s settings) (*instance, error) {
	options := []echohealth.Option{echohealth.WithLogger(slog.New(slog.DiscardHandler))}
	for i, c := range s.checks {
		options = append(options, echohealth.WithCheck(checkName(i), probes.Func(c)))
	}
	if s.timeout > 0 {
		options = append(options, echohealth.WithTimeout(s.timeout))
	}
	if s.due {
		options = append(
			options,
			echohealth.WithFreshness(time.Millisecond),
		) // the minimum; due and readyGrowth wait longer between two requests
	}
	h, err := echohealth.New(options...)
	if err != nil {
		return nil, err
	}
	path := readyPath
	if s.live {
		path = livePath
	}
	i := onNetHTTP(h, path, func() { _ = h.Close() })
	i.health = h
	return i, nil
}

func openAlex(s settings) (*instance, error) {
	var options []alex.CheckerOption
	for i, c := range s.checks {
		options = append(options, alex.WithCheck(alex.Check{Name: checkName(i), Check: c}))
	}
	if s.timeout > 0 {
		options = append(options, alex.WithTimeout(s.timeout))
	}
	if s.due {
		options = append(options, alex.WithDisabledCache())
	}
	checker := alex.NewChecker(options...)
	return onNetHTTP(alex.NewHandler(checker), "/health", checker.Stop), nil
}

func openHello(s settings) (*instance, error) {
	h, err := hello.New()
	if err != nil {
		return nil, err
	}
	for i, c := range s.checks {
		config := hello.Config{Name: checkName(i), Check: hello.CheckFunc(c), Timeout: s.timeout}
		if err := h.Register(config); err != nil {
			return nil, err
		}
	}
	return onNetHTTP(h.Handler(), "/status", func() {}), nil
}

func openSundheit(s settings) (*instance, error) {
	h := gosundheit.New()
	options := []gosundheit.CheckOption{gosundheit.ExecutionPeriod(time.Second)} // there is no default period
	if s.timeout > 0 {
		options = append(options, gosundheit.ExecutionTimeout(s.timeout))
	}
	for i, c := range s.checks {
		custom := &checks.CustomCheck{
			CheckName: checkName(i),
			CheckFunc: func(ctx context.Context) (any, error) { return nil, c(ctx) },
		}
		if err := h.RegisterCheck(custom, options...); err != nil {
			return nil, err
		}
	}
	return onNetHTTP(sundheithttp.HandleHealthJSON(h), "/admin/health.json", h.DeregisterAll), nil
}

func openFiber(s settings) (*instance, error) {
	app := fiber.New()
	path := healthcheck.ReadinessEndpoint
	if s.live {
		path = healthcheck.LivenessEndpoint
		app.Get(path, healthcheck.New())
	} else {
		probe := func(c fiber.Ctx) bool { return allWell(c.Context(), s.checks) }
		app.Get(path, healthcheck.New(healthcheck.Config{Probe: probe}))
	}
	return onFastHTTP(app.Handler(), path), nil
}

// allWell runs the checks one after the other. A user of fiber's healthcheck would probably write its
// function so.
func allWell(ctx context.Context, checks []check) bool {
	for _, c := range checks {
		if c(ctx) != nil {
			return false
		}
	}
	return true
}

// writer is an http.ResponseWriter that discards the body and allocates nothing.
type writer struct {
	header http.Header
	status int
}

func newWriter() *writer                      { return &writer{header: http.Header{}} }
func (w *writer) Header() http.Header         { return w.header }
func (w *writer) Write(b []byte) (int, error) { return len(b), nil }
func (w *writer) WriteHeader(status int)      { w.status = status }

func get(
	path string,
) *http.Request {
	return httptest.NewRequest(http.MethodGet, path, nil)
}
func noClose()                                          {}
func onlyHandler(h http.Handler, path string) *instance { return onNetHTTP(h, path, noClose) }

func onNetHTTP(handler http.Handler, path string, stop func()) *instance {
	return &instance{
		path: path,
		asker: func() func() int {
			w, r := newWriter(), get(path)
			return func() int {
				handler.ServeHTTP(w, r)
				return w.status
			}
		},
		get: func() (int, string) {
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, get(path))
			return w.Code, w.Body.String()
		},
		serve: func(l net.Listener) error { return http.Serve(l, handler) },
		close: stop,
	}
}

// onFastHTTP returns an instance whose requests reuse one context, as in fasthttp's server.
func onFastHTTP(handler fasthttp.RequestHandler, path string) *instance {
	newContext := func() *fasthttp.RequestCtx {
		c := &fasthttp.RequestCtx{}
		c.Request.Header.SetMethod(http.MethodGet)
		c.Request.SetRequestURI(path)
		return c
	}
	return &instance{
		path: path,
		asker: func() func() int {
			c := newContext()
			return func() int {
				c.Response.Reset()
				handler(c)
				return c.Response.StatusCode()
			}
		},
		get: func() (int, string) {
			c := newContext()
			handler(c)
			return c.Response.StatusCode(), string(c.Response.Body())
		},
		serve: func(l net.Listener) error { return fasthttp.Serve(l, handler) },
		close: noClose,
	}
}

// openWell opens a library and waits until it answers 200. go-sundheit answers 200 only after its schedule
// has run the checks.
func openWell(lib library, s settings) (*instance, error) {
	i, err := lib.open(s)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", lib.name, err)
	}
	ask := i.asker()
	for range 1000 {
		if ask() == http.StatusOK {
			return i, nil
		}
		time.Sleep(time.Millisecond)
	}
	i.close()
	return nil, fmt.Errorf("%s: its checks are well, and it does not answer 200", lib.name)
}
