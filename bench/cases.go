package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/promhealth"
	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// group is a set of subjects that are measured together and compared.
type group struct {
	name     string // the name in the raw output
	subjects []subject
	close    func()
}

// These are the names of the subjects that other files refer to.
const (
	noOpUse   = "no-op middleware, e.Use"
	noOpPre   = "no-op middleware, e.Pre"
	noOpNet   = "no-op middleware, net/http"
	oursUse   = "echohealth, e.Use"
	oursPre   = "echohealth, e.Pre"
	oursWrap  = "echohealth, Wrap"
	oursAlone = "echohealth, ServeHTTP"
	limitUse  = "static, e.Use"
	limitNet  = "static, net/http"
	sleeps    = "three sleeps side by side"
)

// newHealth returns a Health as in a typical service, with three checks that are ok and the system metrics.
func newHealth() (*echohealth.Health, error) {
	i, err := openEchohealth(settings{checks: three(well)})
	if err != nil {
		return nil, err
	}
	return i.health, nil
}

func three(c check) []check { return []check{c, c, c} }

func well(context.Context) error { return nil }

const pause = 2 * time.Millisecond

func slow(context.Context) error {
	time.Sleep(pause)
	return nil
}

func serving(handler http.Handler, path string) func() {
	ask := onlyHandler(handler, path).asker()
	return func() { ask() }
}

// passThrough measures what the middleware costs a request of the application, on a route that does nothing.
func passThrough() (*group, error) {
	h, err := newHealth()
	if err != nil {
		return nil, err
	}
	var nothing http.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	routed := func(add func(*echo.Echo)) func() { return serving(application(add), appPath) }
	return &group{
		name: "PassThrough",
		subjects: []subject{
			{name: "Echo alone", op: routed(func(*echo.Echo) {})},
			{name: noOpUse, op: routed(use(noOp))},
			{name: oursUse, op: routed(use(h.Middleware)), against: noOpUse},
			{name: noOpPre, op: routed(pre(noOp))},
			{name: oursPre, op: routed(pre(h.Middleware)), against: noOpPre},
			{name: "a handler alone, net/http", op: serving(nothing, appPath)},
			{name: noOpNet, op: serving(noOpWrap(nothing), appPath)},
			{name: oursWrap, op: serving(h.Wrap(nothing), appPath), against: noOpNet},
		},
		close: func() { _ = h.Close() },
	}, nil
}

// answers compares an endpoint of echohealth with the limits, and with the answers of the other libraries
// under the same settings.
func answers(name, path string, s settings, note func(library) string) (*group, error) {
	h, err := newHealth()
	if err != nil {
		return nil, err
	}
	_, body := onlyHandler(h, path).get()
	limit := newStatic(body)
	g := &group{
		name: name,
		subjects: []subject{
			{name: limitNet, note: "the same headers and body, made once", op: serving(limit, path)},
			{
				name:    "static with Header().Set, net/http",
				note:    "as most would write it",
				op:      serving(http.HandlerFunc(limit.byHand), path),
				against: limitNet,
			},
			{
				name: limitUse,
				note: "the same in a middleware that looks at the path",
				op:   serving(application(use(limit.middleware)), path),
			},
			{name: oursUse, op: serving(application(use(h.Middleware)), path), against: limitUse},
			{name: oursAlone, op: serving(h, path), against: limitNet, note: note(libraries[0])},
		},
		close: func() { _ = h.Close() },
	}
	return g, g.add(libraries[1:], s, oursAlone, note)
}

// add opens libraries with the settings s and adds them to the group. Their times are divided by those of the
// subject against.
func (g *group) add(libs []library, s settings, against string, note func(library) string) error {
	for _, lib := range libs {
		i, err := openWell(lib, s)
		if err != nil {
			g.close()
			return err
		}
		ask, closeBefore := i.asker(), g.close
		g.close = func() { i.close(); closeBefore() }
		g.subjects = append(
			g.subjects,
			subject{name: lib.name, note: note(lib), against: against, op: func() { ask() }},
		)
	}
	return nil
}

func live() (*group, error) {
	return answers("Live", livePath, settings{live: true}, func(l library) string { return l.live })
}

func ready() (*group, error) {
	return answers("Ready", readyPath, settings{checks: three(well)}, func(l library) string { return l.does })
}

// detailed measures only echohealth, because no other library has such an endpoint.
func detailed() (*group, error) {
	h, err := newHealth()
	if err != nil {
		return nil, err
	}
	_, body := onlyHandler(h, detailedPath).get()
	return &group{
		name: "Detailed",
		subjects: []subject{
			{name: limitNet, note: "the same headers and body, made once", op: serving(newStatic(body), detailedPath)},
			{
				name:    oursAlone,
				op:      serving(h, detailedPath),
				against: limitNet,
				note:    "3 checks and the system metrics, all of the last second",
			},
		},
		close: func() { _ = h.Close() },
	}, nil
}

// metrics measures the metrics of 3 checks and of the system, in the format that Prometheus prefers.
func metrics() (*group, error) {
	const path = "/api/health/prometheus/"
	options := []echohealth.Option{echohealth.WithPrometheus()}
	for i, c := range three(well) {
		options = append(options, echohealth.WithCheck(checkName(i), probes.Func(c)))
	}
	h, err := echohealth.New(options...)
	if err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(promhealth.NewCollector(h))
	library := promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
	_, body := onlyHandler(h, path).get()
	ask := func(handler http.Handler) func() {
		return serving(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Header = openMetrics
			handler.ServeHTTP(w, r)
		}), path)
	}
	series := fmt.Sprintf("%d series", strings.Count(body, "\n")-strings.Count(body, "# "))
	return &group{
		name: "Metrics",
		subjects: []subject{
			{name: limitNet, note: "the same headers and body, made once", op: ask(newStatic(body))},
			{name: oursAlone, op: ask(h), against: limitNet, note: series + ", all of the last second"},
			{
				name:    "promhealth in promhttp",
				op:      ask(library),
				against: oursAlone,
				note:    "the same series, gathered and encoded for each answer",
			},
		},
		close: func() { _ = h.Close() },
	}, nil
}

var openMetrics = http.Header{
	"Accept": {"application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"},
}

// due measures a readiness answer that must run its three checks, which take 2 ms each.
func due() (*group, error) {
	g := &group{
		name: "ReadyDue",
		subjects: []subject{
			{
				name: sleeps,
				note: "the limit: a goroutine for each, and nothing else",
				op:   func() { sideBySide(3, func() { time.Sleep(pause) }) },
			},
		},
		close: noClose,
	}
	note := func(l library) string { return l.due }
	if err := g.add(libraries, settings{checks: three(slow), due: true}, sleeps, note); err != nil {
		return nil, err
	}
	for i := range g.subjects {
		g.subjects[i].rest = 3 * time.Millisecond / 2 // longer than the freshness, so that each op runs the checks
	}
	return g, nil
}

// measure opens a group, measures it, and closes it.
func measure(open func() (*group, error), passes int, length time.Duration) (*measured, error) {
	g, err := open()
	if err != nil {
		return nil, err
	}
	defer g.close()
	return &measured{name: g.name, series: interleave(g.subjects, passes, length)}, nil
}

// measured is a group with its measurements.
type measured struct {
	name   string
	series []series
}

// find returns the series of a subject. It panics if there is none, because the names are constants, so that
// a missing name is a fault of this program.
func (m *measured) find(name string) series {
	for _, s := range m.series {
		if s.name == name {
			return s
		}
	}
	panic(fmt.Sprintf("bench: there is no subject %q in %s", name, m.name))
}
