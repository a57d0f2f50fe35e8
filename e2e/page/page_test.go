package page

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	neturl "net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/redisprobe"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var well = probes.Func(func(context.Context) error { return nil })

// serve starts a service with a page. The thresholds make its metrics ok on a busy machine too.
func serve(t *testing.T, options ...echohealth.Option) (url string, h *echohealth.Health) {
	t.Helper()
	h, err := echohealth.New(append([]echohealth.Option{
		echohealth.WithPage(), echohealth.WithVersion("1.4.2"), echohealth.WithTimeout(5 * time.Second),
		echohealth.WithCPUThreshold(echohealth.Never, echohealth.Never),
		echohealth.WithMemoryThreshold(echohealth.Never, echohealth.Never),
		echohealth.WithDiskThreshold(echohealth.Never, echohealth.Never),
	}, options...)...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, h.Close()) })
	server := httptest.NewServer(h.Wrap(http.NotFoundHandler()))
	t.Cleanup(server.Close)
	return server.URL + "/api/health/", h
}

func withRedis(t *testing.T, server *testserver.Redis) echohealth.Option {
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), ContextTimeoutEnabled: true})
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	return echohealth.WithRedis(redisprobe.New(client))
}

// In an outage the banner, the card, the title, the favicon and the journal must change without a reload.
func TestAnOutage(t *testing.T) {
	server := testserver.NewRedis(t)
	url, _ := serve(t, echohealth.WithDatabase(well), withRedis(t, server), echohealth.WithBackground(time.Second))
	b := newBrowser(t)
	began := time.Now()
	b.open(t, url, 1200)
	t.Logf("open → the script's state: %s", time.Since(began).Round(time.Millisecond))
	paint := eval[float64](t, b, `new Promise((done) => new PerformanceObserver((list) => done(list.getEntries()[0].startTime)).observe({type: "paint", buffered: true}))`)
	t.Logf("first paint after %.0f ms", paint)
	eval[int](t, b, `window.notReloaded = 1`)
	b.becomes(t, `document.getElementById("status").textContent === "✓ Healthy"`)
	icon := eval[string](t, b, `document.getElementById("icon").href`)

	server.Kill(t)
	b.becomes(t, `document.getElementById("status").textContent === "✕ Unhealthy"`)
	assert.Contains(t, eval[string](t, b, `document.getElementById("why").textContent`), "redis: connection_refused for ")
	assert.Equal(t, "✕ redis connection_refused – health", eval[string](t, b, `document.title`))
	assert.NotEqual(t, icon, eval[string](t, b, `document.getElementById("icon").href`))
	assert.Equal(t, "redis✕ error", eval[string](t, b, `document.querySelector("#dependencies .card header").textContent`), "the worst is first")
	assert.Contains(t, eval[string](t, b, `document.querySelector("#dependencies .why a").href`), "docs/troubleshooting.md#connection_refused")
	b.becomes(t, `document.querySelector("#journal li").textContent.startsWith("redis error (connection_refused): since")`)
	assert.Contains(t, eval[string](t, b, `document.getElementById("live").textContent`), "Now unhealthy: redis connection_refused")
	why := eval[string](t, b, `(() => { const input = document.querySelector("#dependencies input"); input.value = input.max;
		input.dispatchEvent(new Event("input")); return input.getAttribute("aria-valuetext"); })()`)
	assert.Contains(t, why, "error, connection_refused")

	server.Start(t)
	b.becomes(t, `document.getElementById("status").textContent === "✓ Healthy"`)
	b.becomes(t, `/redis error \(connection_refused\): .* to /.test(document.querySelector("#journal li").textContent)`)
	assert.Equal(t, 1, eval[int](t, b, `window.notReloaded`))
	b.isClean(t, strings.TrimSuffix(url, "api/health/"))
}

// If the service has ended, the page must say that its data are old, and must send requests less and less
// often. It must recover when the service is back. A screen reader must get each change once.
func TestServiceHasEnded(t *testing.T) {
	h, err := echohealth.New(echohealth.WithPage(), echohealth.WithoutSystemMetrics(), echohealth.WithDatabase(well))
	require.NoError(t, err)
	defer h.Close()
	web := httptest.NewServer(h)
	defer web.Close()
	proxy := testserver.NewProxy(t, strings.TrimPrefix(web.URL, "http://"))
	b := newBrowser(t)
	b.hurry(t)
	b.open(t, "http://"+proxy.Addr()+"/api/health/", 1200)
	proxy.Refuse()
	b.becomes(t, `!document.getElementById("stale").hidden`)
	b.becomes(t, `document.getElementById("live").textContent === "The service can't be reached"`)
	const pauses = `window.delays.filter((ms) => ms >= 5000)` // the others are of this test's browser
	b.becomes(t, pauses+`.slice(-2).join() === "60000,60000"`)
	assert.Equal(t, "5000,10000,20000,40000,60000", eval[string](t, b, `[...new Set(`+pauses+`)].join()`))
	proxy.Pass()
	b.becomes(t, `document.getElementById("stale").hidden`)
	b.becomes(t, `document.getElementById("live").textContent === "Now healthy"`)
	b.becomes(t, pauses+`.at(-1) === 5000`)
}

// axe-core must report nothing, in every state of the page.
func TestAccessibility(t *testing.T) {
	rotation := probes.NewSwitch()
	rotation.Off("maintenance")
	url, _ := serve(t, echohealth.WithDatabase(well),
		echohealth.WithRedis(probes.Func(func(context.Context) error { return probes.Fail(probes.ReasonTimeout, errors.New("no")) })),
		echohealth.WithCelery(probes.Func(func(context.Context) error { return probes.Warn(probes.ReasonBacklog, errors.New("no")) }), echohealth.Optional()),
		echohealth.WithCheck("rotation", rotation), echohealth.WithGroup("payment", "database"), echohealth.WithGroup("cart", "redis", "database"))
	b := newBrowser(t)
	for _, look := range [][]string{
		{"prefers-color-scheme", "light"}, {"prefers-color-scheme", "dark"}, {"forced-colors", "active"},
		{"forced-colors", "active", "prefers-color-scheme", "dark"}, {"prefers-reduced-motion", "reduce"},
	} {
		b.media(t, look...)
		for _, width := range []int64{1200, 360} {
			b.open(t, url, width)
			b.axe(t, fmt.Sprint(look, width))
		}
	}
}

// The first tab stop must be a link to the checks. The keyboard must reach every control, and the arrow keys
// must choose a step of the history.
func TestTheKeyboard(t *testing.T) {
	url, _ := serve(t, echohealth.WithDatabase(well))
	b := newBrowser(t)
	b.open(t, url, 1200)
	focused := `document.activeElement.id || document.activeElement.className || document.activeElement.dataset.focus || ""`
	b.do(t, chromedp.KeyEvent(kb.Tab))
	assert.Equal(t, "skip", eval[string](t, b, focused))
	seen := map[string]bool{}
	for range 15 {
		b.do(t, chromedp.KeyEvent(kb.Tab))
		seen[eval[string](t, b, focused)] = true
	}
	for _, control := range []string{"window", "theme", "problems", "pause", "copy", "past-database"} {
		assert.True(t, seen[control], "%s: %v", control, seen)
	}
	const past = `document.querySelector("[data-focus=past-database]")`
	before := eval[string](t, b, `(`+past+`.focus(), `+past+`.getAttribute("aria-valuetext"))`)
	b.do(t, chromedp.KeyEvent(kb.ArrowLeft))
	assert.NotEqual(t, before, eval[string](t, b, past+`.getAttribute("aria-valuetext")`))
	eval[bool](t, b, `(document.getElementById("problems").focus(), true)`)
	b.do(t, chromedp.KeyEvent(kb.Enter))
	b.becomes(t, `document.querySelector("#dependencies").textContent === "Nothing."`)
}

// Many checks and a long name must need no horizontal scrolling, even on a small screen.
func TestThirtyChecks(t *testing.T) {
	options := []echohealth.Option{echohealth.WithCheck(strings.Repeat("n", 64), well)}
	for i := range 29 {
		options = append(options, echohealth.WithCheck(fmt.Sprint("check-", i), well))
	}
	url, _ := serve(t, options...)
	b := newBrowser(t)
	for _, width := range []int64{360, 768, 1600} {
		b.open(t, url, width)
		b.becomes(t, `document.querySelectorAll("#dependencies .card").length === 30`)
		assert.LessOrEqual(t, eval[int64](t, b, `document.documentElement.scrollWidth`), width)
	}
	b.isClean(t, strings.TrimSuffix(url, "api/health/"))
}

// Without JavaScript the page must show the state.
func TestWithoutScript(t *testing.T) {
	rotation := probes.NewSwitch()
	rotation.Off("")
	url, _ := serve(t, echohealth.WithRedis(probes.Func(func(context.Context) error {
		return probes.Fail(probes.ReasonReadOnly, errors.New("no"))
	})), echohealth.WithCheck("rotation", rotation), echohealth.WithGroup("cart", "redis"))
	b := newBrowser(t)
	b.do(t, call(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}),
		chromedp.Navigate(url))
	text := ask(t, b, chromedp.Text("body"))
	for _, part := range []string{
		"Unhealthy", "redis", "read_only", "it accepts no writes", "rotation", "○ switched off", "the application turned it off",
		"cart ✕ not ready: redis",
	} {
		assert.Contains(t, text, part)
	}
	assert.NotContains(t, text, "Journal", "only the script can fill it")
}

// A browser must prompt, and must get access with the token as the password, and its script too. Neither an
// address nor the page may contain the token.
func TestAToken(t *testing.T) {
	url, _ := serve(t, echohealth.WithDatabase(well), echohealth.WithGuard(echohealth.BearerToken("s3cret")))
	b := newBrowser(t)
	prompts := b.answerPrompts(t, "any", "s3cret")
	b.open(t, url, 1200)
	b.becomes(t, `document.getElementById("status").textContent.endsWith("Healthy")`)
	b.pollsMore(t, 1)
	assert.True(t, eval[bool](t, b, `document.getElementById("stale").hidden`))
	assert.Positive(t, prompts.Load(), "without the token there is no page")
	assert.Equal(t, url, eval[string](t, b, `location.href`))
	assert.NotContains(t, eval[string](t, b, `document.documentElement.outerHTML`), "s3cret")
	b.mu.Lock()
	assert.NotContains(t, strings.Join(b.requests, " "), "s3cret")
	b.mu.Unlock()
	b.isClean(t, strings.TrimSuffix(url, "api/health/"))
}

// The page must work behind a proxy that removes or adds a part of the path, and that may remove the slash at
// its end.
func TestBehindAProxy(t *testing.T) {
	upstream, _ := serve(t, echohealth.WithDatabase(well))
	upstream = strings.TrimSuffix(upstream, "/api/health/")
	b := newBrowser(t)
	for _, test := range []struct {
		name, public, upstream string // the proxy replaces public with upstream
		open                   string
	}{
		{"strips", "/svc", "", "/svc/api/health/"},
		{"strips, without the slash", "/svc", "", "/svc/api/health"},
		{"adds", "/health", "/api/health", "/health/"},
		{"adds, without the slash", "/health", "/api/health", "/health"},
		{"exactly", "/status", "/api/health/", "/status"},
		{"a slash more", "/status/", "/api/health/", "/status/"},
		{"the whole origin", "/", "/api/health/", "/"},
		{"the whole origin, without the slash", "/", "/api/health", "/"},
	} {
		t.Run(test.name, func(t *testing.T) {
			origin := newReverseProxy(t, upstream, test.public, test.upstream)
			b.open(t, origin+test.open, 1200)
			b.becomes(t, `document.getElementById("status").textContent.endsWith("Healthy")`)
			assert.True(t, eval[bool](t, b, `document.getElementById("stale").hidden`))
			b.isClean(t, origin+test.public)
			b.mu.Lock()
			b.requests = nil
			b.mu.Unlock()
		})
	}
}

// newReverseProxy starts a proxy that replaces the prefix public of the path, and returns 404 for all other
// paths. It returns the proxy's origin.
func newReverseProxy(t *testing.T, upstream, public, replacement string) (origin string) {
	t.Helper()
	target, err := neturl.Parse(upstream)
	require.NoError(t, err)
	rewrite := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		rest, _ := strings.CutPrefix(r.In.URL.Path, public)
		path := replacement + rest
		if strings.HasSuffix(replacement, "/") || public == "/" && rest != "" {
			path = strings.TrimSuffix(replacement, "/") + "/" + strings.TrimPrefix(rest, "/")
		}
		r.Out.URL.Path, r.Out.URL.RawPath = path, ""
	}}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, public) {
			http.NotFound(w, r)
			return
		}
		rewrite.ServeHTTP(w, r)
	}))
	t.Cleanup(proxy.Close)
	return proxy.URL
}

// Behind a load balancer each request may reach another instance. The page must show the number of instances.
// It comes from the first instance, which has no groups, and must show the groups of the second.
func TestTwoInstances(t *testing.T) {
	var handlers []http.Handler
	for _, more := range [][]echohealth.Option{nil, {echohealth.WithGroup("payment", "database")}} {
		h, err := echohealth.New(append(more, echohealth.WithPage(), echohealth.WithDatabase(well))...)
		require.NoError(t, err)
		defer h.Close()
		handlers = append(handlers, h)
	}
	turn := make(chan int, 1)
	turn <- 0
	balancer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i := <-turn
		turn <- i + 1
		handlers[i/3%2].ServeHTTP(w, r)
	}))
	defer balancer.Close()
	b := newBrowser(t)
	b.hurry(t)
	b.open(t, balancer.URL+"/api/health/", 1200)
	b.becomes(t, `document.getElementById("met").textContent.startsWith("2 instances have answered so far: ")`)
	assert.False(t, eval[bool](t, b, `document.getElementById("replica").hidden`))
	assert.Equal(t, 3, eval[int](t, b, `document.getElementById("instance").options.length`))
	const groups = `document.getElementById("groups")`
	b.becomes(t, groups+`.innerText === "payment ✓ ready: database"`)
	b.becomes(t, groups+`.parentNode.hidden`)
	// The instance that was chosen stays, whichever answers.
	ids := eval[[]string](t, b, `[...document.getElementById("instance").options].map((o) => o.value)`)
	for i, keys := range []string{kb.ArrowDown, kb.ArrowDown} {
		b.press(t, "#instance", keys)
		shows := `document.getElementById("which").textContent === "Instance ` + ids[i+1] + `."`
		b.becomes(t, shows)
		eval[bool](t, b, `(window.others = 0, window.watch?.disconnect(), window.watch = new MutationObserver(() => { if (!(`+shows+`)) window.others++; }),
			window.watch.observe(document.getElementById("which"), {childList: true}), true)`)
		b.pollsMore(t, 6)
		assert.Zero(t, eval[int](t, b, `window.others`))
	}
	b.isClean(t, balancer.URL)
}

// A check that the application has switched off must be shown as off and not as down. A check that has failed
// at the same time must be shown as down. A service with an optional switch that is off is degraded.
func TestASwitch(t *testing.T) {
	rotation, optional := probes.NewSwitch(), probes.NewSwitch()
	var down atomic.Bool
	database := probes.Func(func(context.Context) error {
		if down.Load() {
			return probes.Fail(probes.ReasonTimeout, errors.New("no"))
		}
		return nil
	})
	url, _ := serve(t, echohealth.WithDatabase(database), echohealth.WithCheck("rotation", rotation),
		echohealth.WithCheck("leader", optional, echohealth.Optional()))
	rotation.Off("maintenance")
	b := newBrowser(t)
	b.open(t, url, 1200)
	b.becomes(t, `document.getElementById("banner").className === "banner s-off"`)
	assert.Equal(t, "○ Switched off", eval[string](t, b, `document.getElementById("status").textContent`))
	assert.Contains(t, eval[string](t, b, `document.getElementById("why").textContent`), "rotation: maintenance for ")
	assert.Equal(t, "○ rotation maintenance – health", eval[string](t, b, `document.title`))
	assert.Equal(t, "rotation○ switched off", eval[string](t, b, `document.querySelector("#check-rotation header").textContent`))
	assert.Equal(t, "card s-off", eval[string](t, b, `document.getElementById("check-rotation").className`))
	b.axe(t, "switched off")

	down.Store(true)
	b.becomes(t, `document.getElementById("status").textContent === "✕ Unhealthy"`)
	assert.Equal(t, "card s-off", eval[string](t, b, `document.getElementById("check-rotation").className`))
	down.Store(false)
	rotation.On()
	b.becomes(t, `document.getElementById("status").textContent === "✓ Healthy"`)
	assert.Contains(t, eval[string](t, b, `document.querySelector("#journal").textContent`), "rotation error (maintenance)")

	optional.Off("not_leader")
	b.becomes(t, `document.getElementById("status").textContent === "! Degraded"`)
	assert.Equal(t, "leader○ switched off", eval[string](t, b, `document.querySelector("#check-leader header").textContent`))
	b.isClean(t, strings.TrimSuffix(url, "api/health/"))
}

// Each group must be shown with its state, which must change without a reload, and must link to its checks.
func TestGroups(t *testing.T) {
	server := testserver.NewRedis(t)
	url, _ := serve(t, echohealth.WithDatabase(well), withRedis(t, server),
		echohealth.WithGroup("payment", "database"), echohealth.WithGroup("cart", "redis", "database"))
	b := newBrowser(t)
	b.open(t, url, 360)
	const groups = `document.getElementById("groups").innerText`
	b.becomes(t, groups+` === "payment ✓ ready: database\ncart ✓ ready: redis, database"`)
	server.Kill(t)
	b.becomes(t, groups+` === "payment ✓ ready: database\ncart ✕ not ready: redis, database"`)
	b.axe(t, "groups")
	assert.Equal(t, "redis", eval[string](t, b, `(() => { const link = document.querySelector("#groups li:last-child a");
		return document.querySelector(link.getAttribute("href")).querySelector("h3").textContent; })()`))
	assert.LessOrEqual(t, eval[int](t, b, `document.documentElement.scrollWidth`), 360)
	b.isClean(t, strings.TrimSuffix(url, "api/health/"))
}

// A service that drains must not be shown as down.
func TestDraining(t *testing.T) {
	url, h := serve(t, echohealth.WithDatabase(well), echohealth.WithDrainDelay(0))
	b := newBrowser(t)
	b.open(t, url, 1200)
	require.NoError(t, h.Drain(t.Context()))
	b.becomes(t, `document.getElementById("banner").className === "banner s-off"`)
	assert.Contains(t, eval[string](t, b, `document.getElementById("why").textContent`), "Draining")
}
