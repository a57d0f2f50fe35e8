package page

import (
	"context"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { testserver.Main(m) }

// browser is a tab of a Chromium that ends with the test. It records errors: console messages, and requests
// to another origin.
type browser struct {
	context.Context
	mu       sync.Mutex // guards the fields below
	messages []string
	requests []string
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	program := testserver.Program(t, "chromium", "chromium")
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("hide-scrollbars", false), chromedp.WSURLReadTimeout(time.Minute))
	allocator, stop := chromedp.NewExecAllocator(t.Context(), options...)
	tab, closeTab := chromedp.NewContext(allocator)
	b := &browser{Context: tab}
	t.Cleanup(func() {
		_ = chromedp.Cancel(tab)
		closeTab()
		stop()
	})
	require.NoError(t, chromedp.Listen(tab, b.listen))
	b.do(t, call(log.Enable, cdp.Empty{}), call(network.Enable, network.EnableParams{}), call(runtime.Enable, cdp.Empty{}))
	return b
}

func (b *browser) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *log.EventEntryAdded:
		b.messages = append(b.messages, e.Entry.Text+" "+e.Entry.URL)
	case *runtime.EventConsoleAPICalled:
		b.messages = append(b.messages, string(e.Type))
	case *runtime.EventExceptionThrown:
		b.messages = append(b.messages, e.ExceptionDetails.Text)
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	}
}

// call returns an action that sends a command of the DevTools protocol.
func call[P, R any](command cdp.Command[P, R], parameters P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, command, parameters)
		return err
	})
}

func (b *browser) do(t *testing.T, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(b, time.Minute)
	defer cancel()
	require.NoError(t, chromedp.Do(ctx, actions...))
}

// ask runs an action, and returns its value.
func ask[T any](t *testing.T, b *browser, action chromedp.Action[T]) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(b, time.Minute)
	defer cancel()
	value, err := chromedp.Run(ctx, action)
	require.NoError(t, err)
	return value
}

// eval returns the value of a JavaScript expression.
func eval[T any](t *testing.T, b *browser, expression string) T {
	t.Helper()
	return ask(t, b, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// becomes waits until an expression is true.
func (b *browser) becomes(t *testing.T, expression string) {
	t.Helper()
	require.Eventually(t, func() bool { return eval[bool](t, b, expression) }, time.Minute, 100*time.Millisecond,
		expression)
}

// isClean requires that there was no console message and no request to another origin.
func (b *browser) isClean(t *testing.T, origin string) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	assert.Empty(t, b.messages, "no message, no violation of the policy")
	assert.NotEmpty(t, b.requests)
	for _, url := range b.requests {
		assert.True(t, strings.HasPrefix(url, origin) || strings.HasPrefix(url, "data:"), url)
	}
}

func (b *browser) open(t *testing.T, url string, width int64) {
	t.Helper()
	b.do(t, chromedp.EmulateViewport(width, 900), chromedp.Navigate(url))
	b.becomes(t, `!document.getElementById("tools").hidden && document.querySelectorAll(".past").length > 0`)
}

// answerPrompts enters a user name and a password in every prompt of the browser, and counts the prompts.
func (b *browser) answerPrompts(t *testing.T, user, password string) *atomic.Int32 {
	t.Helper()
	var prompts atomic.Int32
	actions := make(chan chromedp.Action[chromedp.Void], 100) // a listener must not send commands itself
	require.NoError(t, chromedp.Listen(b, func(event any) {
		switch e := event.(type) {
		case *fetch.EventRequestPaused:
			actions <- call(fetch.ContinueRequest, fetch.ContinueRequestParams{RequestID: e.RequestID})
		case *fetch.EventAuthRequired:
			prompts.Add(1)
			actions <- call(fetch.ContinueWithAuth, fetch.ContinueWithAuthParams{
				RequestID: e.RequestID,
				AuthChallengeResponse: &fetch.AuthChallengeResponse{
					Response: fetch.AuthChallengeResponseResponseProvideCredentials, Username: user, Password: password,
				},
			})
		}
	}))
	var sending sync.WaitGroup
	ctx, cancel := context.WithCancel(b)
	sending.Go(func() {
		for {
			select {
			case action := <-actions:
				_ = chromedp.Do(ctx, action) // it fails if the browser ends
			case <-ctx.Done():
				return
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		sending.Wait()
	})
	enabled := true
	b.do(t, call(fetch.Enable, fetch.EnableParams{HandleAuthRequests: &enabled}))
	return &prompts
}

// media sets media features such as prefers-color-scheme.
func (b *browser) media(t *testing.T, features ...string) {
	t.Helper()
	var list []*emulation.MediaFeature
	for i := 0; i+1 < len(features); i += 2 {
		list = append(list, &emulation.MediaFeature{Name: features[i], Value: features[i+1]})
	}
	b.do(t, call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: list}))
}

// axe runs axe-core on the page, and requires that it reports nothing.
func (b *browser) axe(t *testing.T, state string) {
	t.Helper()
	source, err := os.ReadFile("testdata/axe.min.js")
	require.NoError(t, err)
	eval[bool](t, b, "(() => {"+string(source)+"; return true})()")
	violations := eval[[]string](t, b, `axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa",
		"best-practice"]}).then((r) => r.violations.map((v) => v.id + ": " + v.nodes.map((n) => n.html + " " + n.failureSummary).join(" | ")))`)
	assert.Empty(t, violations, state)
}
