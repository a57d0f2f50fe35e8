package page

import (
	"bytes"
	"flag"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes/httpprobe"
	"github.com/echo-probes/echohealth/probes/redisprobe"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var write = flag.Bool("write", false, "take the screenshots of docs/img anew, which takes five minutes")

// TestScreenshots takes the screenshots of docs/img: of a service that is healthy, with an outage in its past, and of
// the same service while Redis is down. Without -write it takes them after a shorter time, and keeps none.
func TestScreenshots(t *testing.T) {
	server, second := testserver.NewRedis(t), testserver.NewRedis(t)
	sessions := redis.NewClient(&redis.Options{Addr: second.Addr(), ContextTimeoutEnabled: true})
	t.Cleanup(func() { assert.NoError(t, sessions.Close()) })
	search := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(search.Close)
	url, _ := serve(t, withRedis(t, server), echohealth.WithCheck("sessions", redisprobe.New(sessions)),
		echohealth.WithCheck("search", httpprobe.New(search.URL), echohealth.Optional()),
		echohealth.WithGroup("checkout", "redis", "sessions"), echohealth.WithGroup("login", "sessions"),
		echohealth.WithBackground(time.Second))
	b := newBrowser(t)
	// Without motion no screenshot shows a half of a transition from one colour to another.
	b.media(t, "prefers-color-scheme", "light", "prefers-reduced-motion", "reduce")
	b.do(t, call(emulation.SetScrollbarsHidden, emulation.SetScrollbarsHiddenParams{Hidden: true}))
	b.open(t, url, 1200)
	b.press(t, "#window", kb.ArrowUp) // ten minutes, so that the bars have more than the last column
	b.do(t, chromedp.Blur("#window"))

	wait(100 * time.Second)
	server.Kill(t)
	b.becomes(t, `document.getElementById("status").textContent === "✕ Unhealthy"`)
	wait(25 * time.Second)
	server.Start(t)
	b.becomes(t, `document.getElementById("status").textContent === "✓ Healthy"`)
	wait(120 * time.Second)
	b.shoot(t, "page-light", 1200, 1000, "light", "rgb(218, 251, 225)")
	b.shoot(t, "page-dark", 1200, 1000, "dark", "rgb(18, 56, 31)")
	b.shoot(t, "page-mobile", 360, 780, "dark", "rgb(18, 56, 31)")

	server.Kill(t)
	b.becomes(t, `document.getElementById("status").textContent === "✕ Unhealthy"`)
	wait(20 * time.Second)
	b.shoot(t, "page-failing", 1200, 1000, "light", "rgb(255, 225, 224)")
	b.isClean(t, strings.TrimSuffix(url, "api/health/"))
}

// wait gives the bars of the screenshots more columns.
func wait(d time.Duration) {
	if *write {
		time.Sleep(d)
	}
}

// shoot takes a screenshot with a banner of this colour, and writes it with -write.
func (b *browser) shoot(t *testing.T, name string, width, height int64, scheme, banner string) {
	t.Helper()
	b.media(t, "prefers-color-scheme", scheme, "prefers-reduced-motion", "reduce")
	b.do(t, chromedp.EmulateViewport(width, height))
	assert.Equal(t, banner, eval[string](t, b, `getComputedStyle(document.getElementById("banner")).backgroundColor`), name)
	image := ask(t, b, chromedp.CaptureScreenshot())
	size, err := png.DecodeConfig(bytes.NewReader(image))
	require.NoError(t, err)
	assert.Equal(t, []int64{width, height}, []int64{int64(size.Width), int64(size.Height)}, name)
	if *write {
		require.NoError(t, os.WriteFile("../../docs/img/"+name+".png", image, 0o644))
	}
}
