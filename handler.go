package echohealth

import (
	"context"
	"net/http"
	"strings"
)

// source gives the present answer of one path.
type source interface {
	read(ctx context.Context) *document
}

var (
	notFound         = newDocument(http.StatusNotFound, []byte(`{"error":"not_found"}`))
	methodNotAllowed = newDocument(http.StatusMethodNotAllowed, []byte(`{"error":"method_not_allowed"}`))
)

// The values of the headers that every answer has, shared by all of them: whoever adds to one of these makes a copy.
var (
	applicationJSON = []string{"application/json"}
	noStore         = []string{"no-store"}
	noSniff         = []string{"nosniff"}
	allowed         = []string{"GET, HEAD"}
)

// routes are the paths below the prefix, without a trailing slash.
func (h *Health) routes() map[string]source {
	checks := h.engine.Checks()
	detailed := &page{health: h, checks: checks, metrics: true, write: h.writeDetailed}
	routes := map[string]source{
		"":          detailed,
		"/detailed": detailed,
		"/live":     &livePage{},
		"/ready":    &page{health: h, checks: h.readiness, write: h.writeReady},
	}
	for _, check := range checks {
		routes["/checks/"+check.Name] = h.checkPage(check)
	}
	for i, name := range h.metricNames() {
		routes["/checks/"+name] = h.metricPage(i)
	}
	return routes
}

// TryServe answers r if its path is the prefix, or below it, and reports whether it did. What it leaves alone it has not touched. It
// is what every adapter to a web framework calls.
func (h *Health) TryServe(w http.ResponseWriter, r *http.Request) bool {
	path, ok := h.below(r.URL.Path)
	if ok {
		h.serve(w, r, path)
	}
	return ok
}

// ServeHTTP answers the health endpoints below the prefix, and everything else with 404: for a port of their own.
func (h *Health) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !h.TryServe(w, r) {
		answer(w, r, notFound)
	}
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
	if !h.health.TryServe(w, r) {
		h.next.ServeHTTP(w, r)
	}
}

// below returns what follows the prefix in path, and whether the path is ours: /api/healthy is not.
func (h *Health) below(path string) (string, bool) {
	rest, ok := strings.CutPrefix(path, h.config.prefix)
	if !ok || rest != "" && rest[0] != '/' {
		return "", false
	}
	return rest, true
}

// serve answers in the order of the contract: the path is judged before the method.
func (h *Health) serve(w http.ResponseWriter, r *http.Request, path string) {
	source, ok := h.sources[strings.TrimSuffix(path, "/")]
	switch {
	case !ok:
		answer(w, r, notFound)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header()["Allow"] = allowed
		answer(w, r, methodNotAllowed)
	default:
		answer(w, r, source.read(r.Context()))
	}
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
