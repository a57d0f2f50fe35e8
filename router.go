package echohealth

import (
	"context"
	"net/http"
	"strings"
)

// router finds the answer to a request: below the prefix or at an alias, behind the guards.
type router struct {
	prefix  string
	aliases map[string]Endpoint // by paths without a trailing slash: that of "/" is empty
	public  func(Endpoint) bool
	guards  []Guard
	routes  map[string]*route // by paths below the prefix, without a trailing slash
	added   []string          // those paths of routes that features added

	live, ready *route // of routes

	// index, if it is not nil, returns the route of the prefix itself, which answers as json does or with
	// the page.
	index func(json answerer) *route

	guardPanicked func(any)
}

// route is one path below the prefix.
type route struct {
	endpoint Endpoint
	answerer answerer
	refused  answerer // the answer to a request that a guard refuses; nil: 401 or 403
	open     bool     // no guard is asked

	// choose, if it is not nil, returns who answers a request instead.
	choose func(*http.Request) answerer

	withErrors *route // what Private has here instead with ShowErrors; nil: the same
	varies     bool   // choose looks at the Accept header
}

func newRouter(c *config, m *monitor, guardPanicked func(any)) *router {
	r := &router{
		prefix: c.prefix, aliases: make(map[string]Endpoint), public: c.isPublic, guards: c.guards,
		routes: makeRoutes(m, false), guardPanicked: guardPanicked,
	}
	for path, endpoint := range c.aliases {
		r.aliases[strings.TrimSuffix(path, "/")] = endpoint
	}
	r.live, r.ready = r.routes["/live"], r.routes["/ready"]
	return r
}

// add adds a route of a feature. It is called before the first request.
func (r *router) add(path string, route *route) {
	r.routes[path] = route
	r.added = append(r.added, path)
}

// makeRoutes returns what is below the prefix; with errors the answers show the checks' errors.
func makeRoutes(m *monitor, errors bool) map[string]*route {
	detailed := detailedAnswer(m, errors)
	routes := map[string]*route{
		"":          {endpoint: Index, answerer: detailed},
		"/detailed": {endpoint: Detailed, answerer: detailed},
		"/live":     {endpoint: Live, answerer: liveAnswer(m), open: true},
		"/ready":    {endpoint: Ready, answerer: readyAnswer(m, m.gating, errors), refused: readyStatusAnswer(m)},
		"/startup":  {endpoint: Startup, answerer: startupAnswer(m), open: true},
	}
	for _, check := range m.checks {
		routes["/checks/"+check.Name] = &route{endpoint: Checks, answerer: checkAnswer(m, check, errors)}
	}
	for i, name := range m.metricNames() {
		routes["/checks/"+name] = &route{endpoint: Checks, answerer: metricAnswer(m, i, errors)}
	}
	return routes
}

// below returns what follows the prefix in path, or stands for an alias, and whether the path is ours:
// /api/healthy is not.
func (r *router) below(path string) (string, bool) {
	if rest, ok := strings.CutPrefix(path, r.prefix); ok && (rest == "" || rest[0] == '/') {
		return rest, true
	}
	if len(r.aliases) == 0 || path == "" {
		return "", false
	}
	endpoint, ok := r.aliases[strings.TrimSuffix(path, "/")]
	if endpoint == Index {
		return "", ok
	}
	return "/" + string(endpoint), ok
}

// route finds what is at a path below the prefix; nil: nothing. The two that are asked all day are found
// without hashing.
func (r *router) route(path string) *route {
	path = strings.TrimSuffix(path, "/")
	switch path {
	case "/live":
		return r.live
	case "/ready":
		return r.ready
	}
	return r.routes[path]
}

// serve answers in the order of the contract: guard, path, method. Live and startup ask no guard, so that
// one that hangs can't have a service restarted.
func (r *router) serve(w http.ResponseWriter, request *http.Request, path string) {
	route := r.route(path)
	var refusal *answer
	if route == nil || !route.open {
		refusal = r.refusal(request)
	}
	if route != nil && !r.public(route.endpoint) {
		route = nil
	}
	switch {
	case refusal == nil && route != nil:
		route.serve(w, request)
	case refusal == nil:
		notFound.write(w, request)
	case route != nil && route.refused != nil:
		serve(w, request, route.refused)
	default:
		if refusal == unauthorized {
			w.Header()["Www-Authenticate"] = challenges
		}
		refusal.write(w, request)
	}
}

// refusal returns the answer for a request that a guard refuses, or nil: 401 if a token would open all guards
// that refuse, else 403. It is the same for what exists and what doesn't.
func (r *router) refusal(request *http.Request) (refusal *answer) {
	for _, guard := range r.guards {
		allowed, panicked := ask(guard, request)
		if panicked != nil {
			r.guardPanicked(panicked)
		}
		switch {
		case allowed:
		case takesToken(guard):
			refusal = unauthorized
		default:
			return forbidden
		}
	}
	return refusal
}

// responder answers one request.
type responder func(context.Context) *answer

func (r responder) answer(ctx context.Context) *answer { return r(ctx) }

func (r *route) serve(w http.ResponseWriter, request *http.Request) {
	answerer := r.answerer
	if r.choose != nil {
		answerer = r.choose(request)
	}
	if r.varies {
		w.Header()["Vary"] = varyAccept
	}
	serve(w, request, answerer)
}

func serve(w http.ResponseWriter, r *http.Request, answerer answerer) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header()["Allow"] = allowed
		methodNotAllowed.write(w, r)
		return
	}
	answerer.answer(r.Context()).write(w, r)
}
