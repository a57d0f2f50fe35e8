package echohealth

import (
	"context"
	"net/http"
	"strings"
)

// router finds the answer to a request by its path, and asks the guards.
type router struct {
	prefix  string
	aliases map[string]Endpoint // by paths without a trailing slash, so "/" is ""
	public  func(Endpoint) bool
	guards  []Guard
	routes  map[string]*route // by paths below the prefix, without a trailing slash
	added   []string          // the keys of routes that options added

	live, ready *route // the routes of /live and /ready

	// index is set by WithPage. It returns the route of the prefix itself, which answers with the page or with
	// json.
	index func(json answerer) *route

	guardPanicked func(error)
}

// route is one path below the prefix.
type route struct {
	endpoint Endpoint
	answerer answerer
	refused  answerer // the answer to a request that a guard refuses; nil: 401 or 403
	open     bool     // no guard applies

	// choose, if not nil, returns the answerer for a request. It is used instead of answerer.
	choose func(*http.Request) answerer

	withErrors *route // the route of Private with ShowErrors; nil: this one
	varies     bool   // choose looks at the Accept header
}

func newRouter(c *config, m *monitor, guardPanicked func(error)) *router {
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

// makeRoutes returns the routes that need no option. If errors is true, the answers show the checks' errors.
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

// below returns the part of path after the prefix. For an alias it returns the part that the endpoint has,
// such as "/ready". It also reports whether path belongs to the health endpoints: /api/healthy does not.
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

// route returns the route of a path below the prefix, or nil. The two most frequent ones are found without
// hashing.
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

// serve checks the guards first, then the path, then the method. Live and startup ask no guard, because a
// guard that hangs would make these probes fail, and Kubernetes would restart the service.
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

// refusal returns nil if all guards allow the request. It returns 401 if every guard that refuses accepts a
// token, and otherwise 403. It does not depend on the path, so that a refused client can't find out which
// paths exist.
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
