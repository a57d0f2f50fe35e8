package page_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/echo-probes/echohealth/internal/page"
	"github.com/echo-probes/echohealth/internal/snapshot"
	"github.com/echo-probes/echohealth/probes"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var since = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// document returns the page of a service with a failing Redis and a name that must be escaped.
func document() string {
	p := page.New(map[string]page.Component{
		"redis": {}, "cpu": {System: true, Warning: 90}, "</script>": {Gating: true},
	})
	return string(p.Append(nil, &snapshot.Snapshot{
		Status: "unhealthy", Phase: "running", Version: "<b>1.2</b>",
		Components: []snapshot.Component{{Name: "a<b"}, {Name: "redis"}, {Name: "cpu", System: true}},
		States: []snapshot.State{
			{Status: probes.OK},
			{Status: probes.Error, Reason: probes.ReasonTimeout, Since: since},
			{},
		},
	}, `./"</script>`))
}

// Without JavaScript the page shows which check fails, and since when.
func TestTheFirstPaint(t *testing.T) {
	d := document()
	visible, _, _ := strings.Cut(d, `<script id="config"`)
	for _, text := range []string{
		"<title>✕ redis timeout – health</title>", "✕ Unhealthy", "redis: timeout since 2026-11-28T12:00:00Z",
		"timeout: no answer in time", "a&lt;b", "✓ ok", "✕ unknown", "Version &lt;b&gt;1.2&lt;/b&gt;.",
	} {
		assert.Contains(t, visible, text)
	}
	assert.Less(t, strings.Index(visible, "<h3>redis"), strings.Index(visible, "<h3>a&lt;b"), "the worst is first")
}

// The page shows each group's state with links to the group's checks. Without groups it shows nothing of
// them.
func TestTheFirstPaintOfGroups(t *testing.T) {
	paint := func(groups ...snapshot.Group) string {
		return string(page.New(nil).Append(nil, &snapshot.Snapshot{
			Status: "healthy", Phase: "running", Groups: groups,
			Components: []snapshot.Component{{Name: "a.b"}}, States: []snapshot.State{{Status: probes.OK}},
		}, "./"))
	}
	d := paint(snapshot.Group{Name: "x", Ready: true, Checks: []string{"a.b"}},
		snapshot.Group{Name: "y", Checks: []string{"a.b", "c"}})
	for _, text := range []string{
		`<section aria-labelledby="h-groups"><h2`, `id="check-a.b"`,
		`<li class="s-ok"><strong>x</strong> <span class="word">✓ ready</span>: <a href="#check-a.b">a.b</a></li>`,
		`<li class="s-error"><strong>y</strong> <span class="word">✕ not ready</span>: <a href="#check-a.b">a.b</a>, `,
	} {
		assert.Contains(t, d, text)
	}
	assert.Contains(t, paint(), `<section aria-labelledby="h-groups" hidden>`)
}

// If the service is unhealthy only because the application has switched a component off, the page shows the
// service as switched off.
func TestTheFirstPaintOfASwitch(t *testing.T) {
	off := snapshot.State{Status: probes.Error, Reason: "maintenance", Since: since}
	stale := snapshot.State{Status: probes.Error, Reason: probes.ReasonStale, Since: since}
	ok := snapshot.State{Status: probes.OK}
	slow := snapshot.State{Status: probes.Warning, Reason: probes.ReasonSlow, Since: since}
	down := snapshot.State{Status: probes.Error, Reason: probes.ReasonTimeout, Since: since}
	for name, test := range map[string]struct {
		status, phase   string
		rotation, redis snapshot.State
		banner, card    string
	}{
		"off":                 {"unhealthy", "running", off, ok, `banner s-off"><h1 id="status">○ Switched off</h1>`, "○ switched off"},
		"off, and a warning":  {"unhealthy", "running", off, slow, `banner s-off"><h1 id="status">○ Switched off</h1>`, "○ switched off"},
		"off, and Redis down": {"unhealthy", "running", off, down, `banner s-unhealthy"><h1 id="status">✕ Unhealthy</h1>`, "○ switched off"},
		"on, and Redis down":  {"unhealthy", "running", ok, down, `banner s-unhealthy"><h1 id="status">✕ Unhealthy</h1>`, "✓ ok"},
		"optional":            {"degraded", "running", off, ok, `banner s-degraded"><h1 id="status">! Degraded</h1>`, "○ switched off"},
		"off while it drains": {"unhealthy", "draining", off, ok, `banner s-off"><h1 id="status">○ Switched off</h1>`, "○ switched off"},
		"closed":              {"unhealthy", "", stale, stale, `banner s-off"><h1 id="status">✕ Unhealthy</h1>`, "✕ error"},
	} {
		d := string(page.New(nil).Append(nil, &snapshot.Snapshot{
			Status: test.status, Phase: test.phase,
			Components: []snapshot.Component{{Name: "rotation", Switch: true}, {Name: "redis"}},
			States:     []snapshot.State{test.rotation, test.redis},
		}, "./"))
		assert.Contains(t, d, test.banner, name)
		assert.Contains(t, d, `<h3>rotation</h3><span class="word">`+test.card, name)
		if test.rotation.Reason != "" {
			assert.Contains(t, d, "rotation: "+string(test.rotation.Reason)+" since ", name)
		}
	}
}

// The policy must allow the style and the script of the document, and nothing else.
func TestThePolicy(t *testing.T) {
	d := document()
	for _, element := range []string{"style", "script"} {
		content := regexp.MustCompile(`(?s)<` + element + `>(.*?)</` + element + `>`).FindStringSubmatch(d)
		require.Len(t, content, 2)
		sum := sha256.Sum256([]byte(content[1]))
		assert.Contains(t, page.Policy(), element+"-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
	}
	assert.NotRegexp(t, `<[^>]+\sstyle=`, d, "the policy allows no style attribute")
	assert.NotRegexp(t, `<[^>]+\son[a-z]+=`, d)
}

// Text from outside the program must not end the script or an element.
func TestTheConfiguration(t *testing.T) {
	config := regexp.MustCompile(`(?s)<script id="config" type="application/json">(.*?)</script>`).FindStringSubmatch(document())
	require.Len(t, config, 2)
	var got struct {
		Base       string
		Components map[string]page.Component
		Reasons    map[string]string
	}
	require.NoError(t, json.Unmarshal([]byte(config[1]), &got))
	assert.Equal(t, `./"</script>`, got.Base)
	assert.Equal(t, page.Component{System: true, Warning: 90}, got.Components["cpu"])
	assert.True(t, got.Components["</script>"].Gating)
}

// Every reason of package probes must have a meaning.
func TestMeanings(t *testing.T) {
	source, err := os.ReadFile("../../probes/reason.go")
	require.NoError(t, err)
	d := document()
	for _, match := range regexp.MustCompile(`Reason = "([a-z_]+)"`).FindAllStringSubmatch(string(source), -1) {
		assert.Contains(t, d, `"`+match[1]+`":"`, "the page must say what it means")
	}
}

func TestTheSize(t *testing.T) {
	t.Logf("%d bytes", len(document()))
	assert.LessOrEqual(t, len(document()), 40<<10)
}

func TestBadge(t *testing.T) {
	for status, colour := range map[string]string{"healthy": "#116329", "unhealthy": "#b3161b", "?": "#57606a"} {
		svg := string(page.AppendBadge(nil, status))
		assert.Contains(t, svg, `aria-label="health: `+status+`"`)
		assert.Contains(t, svg, colour)
	}
}
