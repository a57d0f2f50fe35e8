package page

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/probes"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hurry makes the timers of the pages opened later 50 times faster, so that they poll every 100 ms.
// window.delays has how long the timers would have taken.
func (b *browser) hurry(t *testing.T) {
	t.Helper()
	b.do(t, call(page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
		Source: `{ const real = window.setTimeout; window.delays = [];
			window.setTimeout = (f, ms, ...rest) => { window.delays.push(ms); return real(f, ms / 50, ...rest); } }`,
	}))
}

// polls returns how often the page has requested /detailed/.
func (b *browser) polls() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, url := range b.requests {
		if strings.HasSuffix(url, "/detailed/") {
			n++
		}
	}
	return n
}

// pollsMore waits for n more polls.
func (b *browser) pollsMore(t *testing.T, n int) {
	t.Helper()
	want := b.polls() + n
	require.Eventually(t, func() bool { return b.polls() >= want }, time.Minute, 50*time.Millisecond)
}

// pollsNoMore requires that no poll begins for two seconds, in which a page in a hurry would begin 20. One
// that had begun before may still ask.
func (b *browser) pollsNoMore(t *testing.T) {
	t.Helper()
	before := b.polls()
	time.Sleep(2 * time.Second)
	assert.LessOrEqual(t, b.polls(), before+1)
}

// press focuses an element and presses keys, as a user does.
func (b *browser) press(t *testing.T, selector, keys string) {
	t.Helper()
	b.do(t, chromedp.Focus(selector), chromedp.KeyEvent(keys))
}

// switched is a probe whose result a test sets.
type switched struct{ err atomic.Pointer[error] }

func (s *switched) set(err error) { s.err.Store(&err) }

func (s *switched) probe() probes.Probe {
	return probes.Func(func(context.Context) error {
		if err := s.err.Load(); err != nil {
			return *err
		}
		return nil
	})
}

// TestWindowAndTheme: both are chosen with the keyboard, and a reload keeps them.
func TestWindowAndTheme(t *testing.T) {
	url, _ := serve(t, echohealth.WithDatabase(well))
	b := newBrowser(t)
	b.hurry(t)
	b.media(t, "prefers-color-scheme", "light")
	b.open(t, url, 1200)
	steps := func(n string) string {
		return `document.querySelectorAll("#check-database .bar i").length === ` + n
	}
	window := func(word string) string {
		return `document.querySelector("#check-database input").ariaLabel === "database, the last ` + word + `" &&
			document.querySelector("#check-database dl").textContent.includes("availability while up, ` + word + `100 %")`
	}
	b.becomes(t, window("1h"))
	b.press(t, "#window", kb.ArrowDown)
	b.becomes(t, window("24h")+" && "+steps("96"))
	b.press(t, "#window", kb.ArrowUp+kb.ArrowUp)
	b.becomes(t, window("10m")+" && "+steps("120"))
	b.press(t, "#pause", kb.Enter)
	b.press(t, "#window", kb.ArrowDown+kb.ArrowDown)
	b.becomes(t, window("24h")) // while it is paused too

	background := `getComputedStyle(document.body).backgroundColor`
	const light, dark = "rgb(246, 247, 249)", "rgb(13, 17, 23)"
	assert.Equal(t, light, eval[string](t, b, background))
	b.press(t, "#theme", kb.ArrowDown+kb.ArrowDown)
	b.becomes(t, background+` === "`+dark+`"`)
	b.open(t, url, 1200)
	assert.Equal(t, dark, eval[string](t, b, background))
	b.becomes(t, window("24h"))
	b.media(t, "prefers-color-scheme", "dark")
	b.press(t, "#theme", kb.ArrowUp)
	b.becomes(t, background+` === "`+light+`"`)
	b.press(t, "#theme", kb.ArrowUp)
	b.becomes(t, background+` === "`+dark+`"`) // as the system
	b.isClean(t, strings.TrimSuffix(url, "api/health/"))
}

// TestPauseAndAHiddenTab: the page requests nothing then, and continues.
func TestPauseAndAHiddenTab(t *testing.T) {
	url, _ := serve(t, echohealth.WithDatabase(well))
	b := newBrowser(t)
	b.hurry(t)
	b.open(t, url, 1200)
	b.pollsMore(t, 5)

	b.do(t, chromedp.Click("#pause"))
	b.becomes(t, `document.getElementById("pause").ariaPressed === "true" && document.getElementById("when").textContent.endsWith(", paused.")`)
	b.pollsNoMore(t)
	b.do(t, chromedp.Click("#pause"))
	b.pollsMore(t, 5)

	other, closeOther := chromedp.NewContext(b, chromedp.WithNewWindow(false))
	defer closeOther()
	require.NoError(t, chromedp.Do(other, chromedp.Navigate("about:blank"), call(page.BringToFront, cdp.Empty{})))
	b.becomes(t, `document.hidden`)
	b.pollsNoMore(t)
	b.do(t, call(page.BringToFront, cdp.Empty{}))
	b.becomes(t, `!document.hidden`)
	b.pollsMore(t, 5)
	b.isClean(t, strings.TrimSuffix(url, "api/health/"))
}

// TestCopyAReport: the report is in the clipboard, and without one (as without TLS) it is copied all the
// same.
func TestCopyAReport(t *testing.T) {
	url, _ := serve(t, echohealth.WithVersion("1.4.2"), echohealth.WithDatabase(well), echohealth.WithGroup("cart", "redis"),
		echohealth.WithRedis(probes.Func(func(context.Context) error { return probes.Fail(probes.ReasonReadOnly, errors.New("s3cret")) })))
	b := newBrowser(t)
	for _, permission := range []string{"clipboard-read", "clipboard-write"} {
		b.do(t, call(cdpbrowser.SetPermission, cdpbrowser.SetPermissionParams{
			Permission: &cdpbrowser.PermissionDescriptor{Name: permission}, Setting: cdpbrowser.PermissionSettingGranted,
		}))
	}
	b.open(t, url, 1200)
	eval[bool](t, b, `(window.labels = [], new MutationObserver(() => window.labels.push(document.getElementById("copy").textContent))
		.observe(document.getElementById("copy"), {childList: true}), true)`)
	b.do(t, chromedp.Click("#copy"))
	b.becomes(t, `window.labels.join() === "Copied,Copy a report"`)
	report := eval[string](t, b, `navigator.clipboard.readText()`)
	assert.Regexp(t, `^127\.0\.0\.1:\d+: unhealthy at 20\S+Z\ninstance [0-9a-f]{8}, version 1\.4\.2\n\n`, report)
	assert.Regexp(t, `\nredis: error read_only since 20\S+Z, [\d.]+ ms\n`, report)
	assert.Regexp(t, `\ndatabase: ok since 20\S+Z, last ok|\ndatabase: ok since 20\S+Z, [\d.]+ ms\n`, report)
	assert.Contains(t, report, "\ngroup cart: not_ready (redis)\n")
	assert.Regexp(t, `\nChanges:\n20\S+Z redis: unknown -> error \(read_only\)\n$`, report)

	eval[bool](t, b, `(Object.defineProperty(navigator, "clipboard", {value: undefined}),
		document.addEventListener("copy", () => { window.copied = document.activeElement.value; }), true)`)
	b.do(t, chromedp.Click("#copy"))
	b.becomes(t, `window.copied !== undefined`)
	assert.Contains(t, eval[string](t, b, `window.copied`), "\nredis: error read_only since ")
	b.isClean(t, strings.TrimSuffix(url, "api/health/"))
}

// TestAPastBar: what was wrong in the past is told where the mouse points, and where the keyboard goes, and
// stays while the page polls. Response times between gaps are painted too.
func TestAPastBar(t *testing.T) {
	var database switched
	database.set(probes.Fail(probes.ReasonReadOnly, errors.New("no")))
	url, _ := serve(t, echohealth.WithDatabase(database.probe()), echohealth.WithBackground(time.Second))
	b := newBrowser(t)
	b.hurry(t)
	b.open(t, url, 1200)
	const card = `document.querySelector("#check-database .past")`
	b.becomes(t, `document.querySelector("#check-database .s-error") !== null`)
	assert.Positive(t, eval[float64](t, b, `document.querySelector("#check-database .spark path").getTotalLength()`),
		"a single response time is painted")
	database.set(nil)
	b.press(t, "#window", kb.ArrowUp) // ten minutes, in steps of 5 s
	const past = `document.querySelector("#check-database .bar .s-error")`
	b.becomes(t, `document.querySelector("#check-database .bar .s-error ~ .s-ok") !== null`)
	const told = card + `.querySelector("output").textContent`
	require.Eventually(t, func() bool { // the bar moves by a step every 5 s
		place := eval[struct{ X, Y float64 }](t, b, `(() => { const box = `+past+`.getBoundingClientRect();
			return {x: box.left + box.width / 2, y: box.top + box.height / 2}; })()`)
		b.do(t, chromedp.MouseEvent(chromedp.MouseMoved, place.X, place.Y))
		return eval[bool](t, b, `/: error, read_only, at most [\d.]+ ms$/.test(`+told+`)`)
	}, time.Minute, 50*time.Millisecond)
	b.pollsMore(t, 3)
	assert.Contains(t, eval[string](t, b, told), ": error, read_only, at most ", "the next poll keeps it")

	b.press(t, "#check-database input", kb.End)
	b.becomes(t, `/: ok, at most [\d.]+ ms$/.test(`+told+`)`)
	b.press(t, "#check-database input", kb.Home)
	b.becomes(t, told+`.endsWith(": no data")`)
	b.pollsMore(t, 3)
	b.becomes(t, `document.activeElement.dataset.focus === "past-database"`)
	assert.Contains(t, eval[string](t, b, `document.activeElement.getAttribute("aria-valuetext")`), ": no data")
	b.isClean(t, strings.TrimSuffix(url, "api/health/"))
}

// TestTheJournal: the changes of one incident are one entry, and the next incident is another.
func TestTheJournal(t *testing.T) {
	var database switched
	url, _ := serve(t, echohealth.WithDatabase(database.probe()))
	b := newBrowser(t)
	b.hurry(t)
	b.open(t, url, 1200)
	turns := func(err error, word string) {
		database.set(err)
		b.becomes(t, `document.querySelector("#check-database .word").textContent === "`+word+`"`)
	}
	// Other entries are those of system metrics.
	const entries = `[...document.querySelectorAll("#journal > li")].filter((e) => e.querySelector("strong").textContent === "database")`
	turns(probes.Warn(probes.ReasonSlow, errors.New("no")), "! warning")
	turns(probes.Fail(probes.ReasonTimeout, errors.New("no")), "✕ error")
	b.becomes(t, entries+`.length === 1 && `+entries+`[0].className === "s-error"`)
	turns(nil, "✓ ok")
	b.becomes(t, entries+`[0].className === "s-ok"`)
	assert.Equal(t, 1, eval[int](t, b, entries+`.length`))
	text := eval[string](t, b, entries+`[0].textContent`)
	assert.Regexp(t, `^database error \(slow, timeout\): .* to .*`, text)
	assert.Equal(t, []string{"warning (slow)", "error (timeout)", "ok"}, eval[[]string](t, b,
		`[...`+entries+`[0].querySelectorAll("li")].map((e) => e.textContent.replace(/^.*?(warning|error|ok)/, "$1"))`))

	turns(probes.Fail(probes.ReasonReadOnly, errors.New("no")), "✕ error")
	b.becomes(t, entries+`.length === 2`)
	assert.Regexp(t, `^database error \(read_only\): since `, eval[string](t, b, entries+`[0].textContent`), "the newest is first")
	b.isClean(t, strings.TrimSuffix(url, "api/health/"))
}

// TestTheLiveRegion: there is one, and it says what has changed, and nothing else.
func TestTheLiveRegion(t *testing.T) {
	var database switched
	url, _ := serve(t, echohealth.WithDatabase(database.probe()))
	b := newBrowser(t)
	b.hurry(t)
	b.open(t, url, 1200)
	assert.Equal(t, 1, eval[int](t, b, `document.querySelectorAll("[aria-live]:not([aria-live=off]), [role=status], [role=alert]").length`))
	eval[bool](t, b, `(window.said = [], new MutationObserver(() => window.said.push(document.getElementById("live").textContent))
		.observe(document.getElementById("live"), {childList: true, characterData: true, subtree: true}), true)`)
	b.pollsMore(t, 4)
	assert.Empty(t, eval[[]string](t, b, `window.said`))
	database.set(probes.Fail(probes.ReasonTimeout, errors.New("no")))
	b.becomes(t, `window.said.length > 0`)
	b.pollsMore(t, 4)
	assert.Equal(t, []string{"Now unhealthy: database timeout"}, eval[[]string](t, b, `window.said`))
	b.isClean(t, strings.TrimSuffix(url, "api/health/"))
}
