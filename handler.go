package echohealth

import (
	"net/http"
	"strings"
)

var (
	notFound         = newDocument(http.StatusNotFound, []byte(`{"error":"not_found"}`))
	methodNotAllowed = newDocument(http.StatusMethodNotAllowed, []byte(`{"error":"method_not_allowed"}`))
	unauthorized     = newDocument(http.StatusUnauthorized, []byte(`{"error":"unauthorized"}`))
	forbidden        = newDocument(http.StatusForbidden, []byte(`{"error":"forbidden"}`))
)

// The values of the headers, shared by all answers: whoever adds to one of these makes a copy.
var (
	applicationJSON = []string{"application/json"}
	noStore         = []string{"no-store"}
	noSniff         = []string{"nosniff"}
	allowed         = []string{"GET, HEAD"}
	challenges      = []string{`Bearer realm="health"`, `Basic realm="health", charset="UTF-8"`} // the second is for browsers
	closeIt         = []string{"close"}
)

// TryServe answers r if its path is the prefix, or below it, or an alias, and reports whether it did. What it leaves alone it has
// not touched, but for the header "Connection: close" while the service is draining. It is what every adapter to a web
// framework calls.
func (h *Health) TryServe(w http.ResponseWriter, r *http.Request) bool {
	path, ok := h.below(r.URL.Path)
	h.announceDrain(w, r, ok)
	if ok {
		h.serve(w, r, path)
	}
	return ok
}

// Handles reports whether TryServe would answer r: for what has to leave such requests alone, such as loggers, authentication and
// rate limiters of any framework. Echo's have Skipper.
func (h *Health) Handles(r *http.Request) bool {
	_, ok := h.below(r.URL.Path)
	return ok
}

// concerns reports whether TryServe could have anything to do for a path. It is small enough to be inlined, so that an application's own
// request calls nothing.
func (h *Health) concerns(path string) bool {
	return strings.HasPrefix(path, h.prefix) || h.aliased || h.draining.Load()
}

// announceDrain tells a client whose connection is kept alive to make a new one, which then leads elsewhere. An application's own request for
// another protocol has another use for the header.
func (h *Health) announceDrain(w http.ResponseWriter, r *http.Request, ours bool) {
	if h.draining.Load() && (ours || !upgrades(r)) {
		w.Header()["Connection"] = closeIt
	}
}

// upgrades reports whether a request may make its connection one of another protocol. HTTP/2 is none that a server of net/http changes to.
func upgrades(r *http.Request) bool {
	to := r.Header["Upgrade"]
	return len(to) > 0 && !strings.EqualFold(to[0], "h2c")
}

// ServeHTTP answers the health endpoints below the prefix, and everything else with 404: for a port of their own. Guards and WithPublic
// hold there too; see Private for a port that only the right people reach.
func (h *Health) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !h.TryServe(w, r) {
		answer(w, r, notFound)
	}
}

// Private answers all endpoints, whatever WithGuard and WithPublic say, and everything else with 404: for a port that only the right
// people reach.
func (h *Health) Private() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.announceDrain(w, r, true)
		path, ok := h.below(r.URL.Path)
		if route := h.route(strings.TrimSuffix(path, "/")); ok && route != nil {
			serveSource(w, r, route.source)
			return
		}
		answer(w, r, notFound)
	})
}

// Wrap answers the health endpoints, and passes every other request on to next: for any stack of net/http. It panics
// if next is nil.
func (h *Health) Wrap(next http.Handler) http.Handler {
	if next == nil {
		panic("echohealth: Wrap(nil): a handler is not nil; a Health is one by itself, that answers 404 to everything else")
	}
	return &wrapped{health: h, next: next}
}

type wrapped struct {
	health *Health
	next   http.Handler
}

func (h *wrapped) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !h.health.concerns(r.URL.Path) || !h.health.TryServe(w, r) {
		h.next.ServeHTTP(w, r)
	}
}

// serve answers in the order of the contract: guard, path, method. Live and startup ask no guard, so that one that hangs can't have a
// service restarted.
func (h *Health) serve(w http.ResponseWriter, r *http.Request, path string) {
	route := h.route(strings.TrimSuffix(path, "/"))
	var refusal *document
	if route == nil || !route.open {
		refusal = h.refusal(r)
	}
	if route != nil && !h.config.isPublic(route.endpoint) {
		route = nil
	}
	switch {
	case refusal == nil && route != nil:
		serveSource(w, r, route.source)
	case refusal == nil:
		answer(w, r, notFound)
	case route != nil && route.refused != nil:
		serveSource(w, r, route.refused)
	default:
		if refusal == unauthorized {
			w.Header()["Www-Authenticate"] = challenges
		}
		answer(w, r, refusal)
	}
}

// route finds what is at a path below the prefix, without its trailing slash; nil: nothing. The two that are asked all day are found
// without hashing.
func (h *Health) route(path string) *route {
	switch path {
	case "/live":
		return h.liveRoute
	case "/ready":
		return h.readyRoute
	}
	return h.routes[path]
}

func serveSource(w http.ResponseWriter, r *http.Request, source source) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header()["Allow"] = allowed
		answer(w, r, methodNotAllowed)
		return
	}
	answer(w, r, source.read(r.Context()))
}

func answer(w http.ResponseWriter, r *http.Request, d *document) {
	header := w.Header()
	header["Content-Type"] = applicationJSON
	header["Content-Length"] = d.length
	header["Cache-Control"] = noStore
	header["X-Content-Type-Options"] = noSniff
	w.WriteHeader(d.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(d.body) // a client that has gone away is nobody's fault
	}
}
