package echohealth

import (
	"bufio"
	"cmp"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
)

// TryServe answers r if its path is the prefix, below the prefix, or an alias, and reports whether it did. It
// leaves any other request to the caller, but adds the header "Connection: close" to its answer while the
// service drains. Adapters for web frameworks must call it for every request, because it also records the
// http.Server of the application's requests for Shutdown.
func (h *Health) TryServe(w http.ResponseWriter, r *http.Request) bool {
	if h.answers(w, r) {
		return true
	}
	if h.unknownServer(r) {
		h.serving.note(r)
	}
	return false
}

// answers does the same as TryServe, but does not record the http.Server for Shutdown.
func (h *Health) answers(w http.ResponseWriter, r *http.Request) bool {
	path, ok := h.router.below(r.URL.Path)
	h.announceDrain(w, r, ok)
	if ok {
		h.adviseOnServer(r, &h.asked)
		h.router.serve(w, r, path)
	}
	return ok
}

// adviseOnServer logs the advice on the server of the first health request. asked records that there was one.
func (h *Health) adviseOnServer(r *http.Request, asked *atomic.Bool) {
	if asked.Load() || !asked.CompareAndSwap(false, true) {
		return
	}
	if line := writeTimeoutAdvice(r, h.config.longestTimeout()); line != "" {
		h.notifier.log(slog.LevelWarn, "health check advice", slog.String("advice", line))
	}
}

// Handles reports whether TryServe would answer r. Use it to exempt such requests from logging,
// authentication and rate limits in any framework. For Echo there is Skipper.
func (h *Health) Handles(r *http.Request) bool {
	_, ok := h.router.below(r.URL.Path)
	return ok
}

// Shows reports whether the middleware would show endpoint e to a client that sends r. It ignores which
// endpoint the path of r belongs to. The endpoint must exist and be public (see WithPublic), and the guards
// of WithGuard must allow r. No guard is asked for Live, Ready and Startup. Checks stands for all checks, and
// Groups for all groups.
//
// Shows is for adapters to other protocols, which make r from what they know of their client. r must not be
// nil. Shows runs no check and may be called from any goroutine.
func (h *Health) Shows(e Endpoint, r *http.Request) bool {
	if !h.config.offers(e) || !h.config.isPublic(e) {
		return false
	}
	return e == Live || e == Ready || e == Startup || h.router.refusal(r) == nil
}

// concerns reports whether TryServe must be called for a request. It is small enough to be inlined, so that
// an application's own request costs no function call.
func (h *Health) concerns(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, h.prefix) || h.aliased || h.unknownServer(r)
}

// unknownServer reports whether the server of an application's request must be recorded for Shutdown. This
// holds for the first request, for each request during the drain, and for each request over HTTP/2 without
// TLS.
func (h *Health) unknownServer(r *http.Request) bool {
	return h.serving.looks.Load() || r.ProtoMajor == 2 && r.TLS == nil
}

// announceDrain asks the client of a draining service to close its kept-alive connection, so that its next
// request reaches another instance. For an application's own request to upgrade the connection, upgradeWriter
// does this, because an upgrade must not get the header.
func (h *Health) announceDrain(w http.ResponseWriter, r *http.Request, ours bool) {
	if h.monitor.draining.Load() && (ours || !upgrades(r)) {
		w.Header()["Connection"] = connectionClose
	}
}

// upgrades reports whether the request asks for another protocol on its connection. It is false for h2c,
// which net/http does not upgrade to.
func upgrades(r *http.Request) bool {
	to := r.Header["Upgrade"]
	return len(to) > 0 && !strings.EqualFold(to[0], "h2c")
}

// closesUnlessUpgraded reports whether a drain runs and r requests a protocol upgrade. The answer then gets
// "Connection: close", unless its status is 101.
func (h *Health) closesUnlessUpgraded(r *http.Request) bool {
	return h.monitor.draining.Load() && upgrades(r)
}

// ServeHTTP answers the health endpoints, and every other request with 404. Use it for a separate port.
// WithGuard and WithPublic apply. For a port that only trusted clients reach, see Private.
func (h *Health) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !h.answers(w, r) {
		notFound.write(w, r)
	}
}

// PrivateOption configures the handler of Private.
type PrivateOption func(*private)

// ShowErrors adds the member "error" to each check and metric that is not ok and has an error. Its text is
// that of the log, with passwords masked, cut to 1 KiB. The text may name hosts, users, databases and paths.
// So only clients that may read the log must be able to reach the port.
func ShowErrors() PrivateOption {
	return func(p *private) { p.errors = true }
}

// private answers all endpoints without a guard.
type private struct {
	health *Health
	errors bool
	routes map[string]*route
	asked  atomic.Bool // this handler has got a request
}

// Private returns a handler that answers all endpoints, regardless of WithGuard and WithPublic, and every
// other request with 404. Use it for a port that only trusted clients reach. A nil option has no effect.
func (h *Health) Private(opts ...PrivateOption) http.Handler {
	p := &private{health: h, routes: h.router.routes}
	for _, opt := range opts {
		if opt != nil {
			opt(p)
		}
	}
	if p.errors {
		p.routes = makeRoutes(h.monitor, true)
		for _, path := range h.router.added {
			route := h.router.routes[path]
			p.routes[path] = cmp.Or(route.withErrors, route)
		}
		if h.router.index != nil {
			p.routes[""] = h.router.index(p.routes[""].answerer)
		}
	}
	return p
}

func (p *private) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.health.announceDrain(w, r, true)
	p.health.adviseOnServer(r, &p.asked)
	path, ok := p.health.router.below(r.URL.Path)
	if route := p.routes[strings.TrimSuffix(path, "/")]; ok && route != nil {
		route.serve(w, r)
		return
	}
	notFound.write(w, r)
}

// Wrap returns a handler that answers the health endpoints and passes every other request on to next. Use it
// with any router of net/http handlers. It panics if next is nil.
func (h *Health) Wrap(next http.Handler) http.Handler {
	if next == nil {
		panic("echohealth: Wrap(nil): the handler must not be nil; a Health is a handler by itself")
	}
	return &wrapped{health: h, next: next}
}

type wrapped struct {
	health *Health
	next   http.Handler
}

func (h *wrapped) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.health.concerns(r) {
		if h.health.TryServe(w, r) {
			return
		}
		if h.health.closesUnlessUpgraded(r) {
			w = &upgradeWriter{ResponseWriter: w}
		}
	}
	h.next.ServeHTTP(w, r)
}

// upgradeWriter adds "Connection: close" to an answer that is not a protocol upgrade. It has Hijack and Flush
// for handlers that do not use http.ResponseController.
type upgradeWriter struct {
	http.ResponseWriter
	wrote bool
}

func (u *upgradeWriter) WriteHeader(status int) {
	if !u.wrote && (status >= 200 || status == http.StatusSwitchingProtocols) {
		u.wrote = true
		if status != http.StatusSwitchingProtocols {
			u.Header()["Connection"] = connectionClose
		}
	}
	u.ResponseWriter.WriteHeader(status)
}

func (u *upgradeWriter) Write(b []byte) (int, error) {
	if !u.wrote {
		u.WriteHeader(http.StatusOK)
	}
	return u.ResponseWriter.Write(b)
}

func (u *upgradeWriter) Unwrap() http.ResponseWriter { return u.ResponseWriter }

func (u *upgradeWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(u.ResponseWriter).Hijack()
}

func (u *upgradeWriter) Flush() {
	if !u.wrote {
		u.WriteHeader(http.StatusOK)
	}
	_ = http.NewResponseController(u.ResponseWriter).Flush()
}
