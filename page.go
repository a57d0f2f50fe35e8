package echohealth

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/echo-probes/echohealth/internal/page"
	"github.com/echo-probes/echohealth/internal/snapshot"
)

// WithPage answers the prefix itself with a status page for clients that prefer text/html, as browsers do.
// All other clients still get JSON. WithPage also answers /badge.svg, and turns WithHistory on. The page
// requests /detailed/ and /history/, which must be public if Index is public. With BearerToken a browser asks
// for a user name and a password, and the password is the token. Without this option there is no page.
// Repeated use has no further effect.
func WithPage() Option {
	return func(c *config) error {
		if !c.has(Badge) {
			c.rules = append(c.rules, func(map[string]bool) []error { return []error{c.validatePage()} })
		}
		c.addFeature(Badge, func(m *monitor, r *router, _ *notifier) any {
			p := &statusPage{
				monitor: m, prefix: r.prefix, components: m.components(), page: page.New(pageComponents(m)),
				policy: []string{page.Policy()},
			}
			r.index = p.route
			r.routes[""] = p.route(r.routes[""].answerer)
			r.add("/badge.svg", &route{endpoint: Badge, answerer: badgeAnswer(m, p.components)})
			return nil
		})
		return WithHistory()(c)
	}
}

func (c *config) validatePage() error {
	if c.isPublic(Index) && (!c.isPublic(Detailed) || !c.isPublic(History)) {
		return errors.New("WithPublic: the page of WithPage, which is at Index, needs Detailed and History")
	}
	return nil
}

// statusPage makes the page.
type statusPage struct {
	monitor    *monitor
	prefix     string
	components []snapshot.Component
	page       *page.Page
	policy     []string
}

var (
	textHTML = []string{"text/html; charset=utf-8"}
	imageSVG = []string{"image/svg+xml"}
)

// route returns the route of the prefix. It answers with the page if the client prefers HTML, and with json
// otherwise.
func (p *statusPage) route(json answerer) *route {
	return &route{endpoint: Index, answerer: json, varies: true, choose: func(r *http.Request) answerer {
		if !prefers(r.Header["Accept"], "text/html", "application/json") {
			return json
		}
		return responder(func(ctx context.Context) *answer { return p.answer(ctx, r.URL.Path) })
	}}
}

func (p *statusPage) answer(ctx context.Context, path string) *answer {
	m := p.monitor
	results := m.look(ctx, m.checks).Results
	s := m.snapshot(p.components, m.phase(), results, m.metrics())
	base := relative(strings.TrimSuffix(path, "/")+"/", p.prefix+"/")
	a := newAnswer(http.StatusOK, p.page.Append(nil, s, base))
	a.contentType, a.policy = textHTML, p.policy
	return a
}

// relative returns the relative path from one path to another. Both end with a slash. An absolute path would
// be wrong behind a proxy that strips or adds a part of the path.
func relative(from, to string) string {
	dirs, target := strings.Split(from, "/"), strings.Split(to, "/")
	common := 0
	for common < min(len(dirs), len(target))-1 && dirs[common] == target[common] {
		common++
	}
	way := strings.Repeat("../", len(dirs)-1-common) + strings.Join(target[common:], "/")
	if way == "" {
		return "./"
	}
	return way
}

// pageComponents returns the settings that the page shows of the checks and metrics that have any.
func pageComponents(m *monitor) map[string]page.Component {
	components := map[string]page.Component{}
	for _, d := range m.dependencies {
		if !d.gating || d.isSwitch {
			components[d.Name] = page.Component{Apart: !d.gating, Switch: d.isSwitch}
		}
	}
	for i, name := range m.metricNames() {
		component := page.Component{System: true}
		if l := m.system.percentages(i); l != nil {
			component.Warning, component.Critical = mark(l.warning), mark(l.critical)
		}
		components[name] = component
	}
	return components
}

// mark returns a threshold for the page, which uses 0 for Never.
func mark(threshold float64) float64 {
	if threshold == Never {
		return 0
	}
	return threshold
}

// badgeAnswer shows the state of the service as a whole.
func badgeAnswer(m *monitor, components []snapshot.Component) answerer {
	return &cachedAnswer{monitor: m, checks: m.checks, metrics: true, write: func(v view) *answer {
		s := m.snapshot(components, v.phase, v.results, v.metrics)
		a := newAnswer(http.StatusOK, page.AppendBadge(nil, s))
		a.contentType = imageSVG
		return a
	}}
}
