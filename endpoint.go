package echohealth

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Endpoint is one kind of answer: for WithPublic and WithAlias.
type Endpoint string

// The endpoints.
const (
	Live     Endpoint = "live"     // /live/
	Ready    Endpoint = "ready"    // /ready/
	Startup  Endpoint = "startup"  // /startup/
	Detailed Endpoint = "detailed" // /detailed/
	Index    Endpoint = "index"    // the prefix itself
	Checks   Endpoint = "checks"   // /checks/NAME/, all of them
)

var endpoints = []Endpoint{Live, Ready, Startup, Detailed, Index, Checks}

func (e Endpoint) validate(call string) error {
	if slices.Contains(endpoints, e) {
		return nil
	}
	return fmt.Errorf("%s: %q is none of the endpoints %q", call, string(e), endpoints)
}

// source gives the present answer of one path.
type source interface {
	read(ctx context.Context) *document
}

// route is what is at one path below the prefix.
type route struct {
	endpoint Endpoint
	source   source
	refused  source // what to answer where a guard refuses; nil: nothing but the refusal
	open     bool   // no guard is asked
}

// makeRoutes returns what is below the prefix, by paths without a trailing slash.
func (h *Health) makeRoutes() map[string]*route {
	checks := h.engine.Checks()
	live := &clockPage{state: func() (int, string) { return http.StatusOK, "alive" }}
	startup := &clockPage{state: h.startupState}
	detailed := &page{health: h, checks: checks, metrics: true, write: h.writeDetailed}
	ready := &page{health: h, checks: h.readiness, restsInDrain: true, write: h.writeReady}
	readyAlone := &page{health: h, checks: h.readiness, restsInDrain: true, write: h.writeReadyAlone}
	routes := map[string]*route{
		"":          {endpoint: Index, source: detailed},
		"/detailed": {endpoint: Detailed, source: detailed},
		"/live":     {endpoint: Live, source: live, open: true},
		"/ready":    {endpoint: Ready, source: ready, refused: readyAlone},
		"/startup":  {endpoint: Startup, source: startup, open: true},
	}
	for _, check := range checks {
		routes["/checks/"+check.Name] = &route{endpoint: Checks, source: h.checkPage(check)}
	}
	for i, name := range h.metricNames() {
		routes["/checks/"+name] = &route{endpoint: Checks, source: h.metricPage(i)}
	}
	return routes
}

// below returns what follows the prefix in path, or stands for an alias, and whether the path is ours: /api/healthy is not.
func (h *Health) below(path string) (string, bool) {
	if rest, ok := strings.CutPrefix(path, h.config.prefix); ok && (rest == "" || rest[0] == '/') {
		return rest, true
	}
	if len(h.config.aliases) == 0 {
		return "", false
	}
	endpoint, ok := h.config.aliases[strings.TrimSuffix(path, "/")]
	if endpoint == Index {
		return "", ok
	}
	return "/" + string(endpoint), ok
}

// isPublic reports whether the middleware answers an endpoint.
func (c *config) isPublic(e Endpoint) bool {
	return c.public == nil || slices.Contains(c.public, e)
}
