package page_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
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
		"redis": {}, "cpu": {System: true, Warning: 90}, "</script>": {Apart: true},
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
		`docs/troubleshooting.md#timeout">timeout</a> <small>no answer in time</small>`, "a&lt;b", "✓ ok", "✕ unknown", "Version &lt;b&gt;1.2&lt;/b&gt;.",
	} {
		assert.Contains(t, visible, text)
	}
	assert.Contains(t, visible, `<section aria-labelledby="h-journal" hidden>`, "only the script can fill it")
	assert.Less(t, strings.Index(visible, "<h3>redis"), strings.Index(visible, "<h3>a&lt;b"), "the worst is first")
}

// The banner names the worst three problems.
func TestManyProblems(t *testing.T) {
	s := state(5, strings.Repeat("n", 10), snapshot.State{Status: probes.Error, Reason: "full", Since: since})
	d := string(page.New(nil).Append(nil, s, "./"))
	assert.Contains(t, d, " · nnnnnnnnnn02: full since 2026-11-28T12:00:00Z · and 2 more</p>")
	assert.Contains(t, d, `<p class="why">full</p>`, "a reason of the application's own has no text")
}

// state returns the state of an unhealthy service with n equal checks, whose names are name and a number.
func state(n int, name string, of snapshot.State) *snapshot.Snapshot {
	s := &snapshot.Snapshot{Status: "unhealthy", Phase: "running", Version: "1.2.3"}
	for i := range n {
		s.Components = append(s.Components, snapshot.Component{Name: fmt.Sprintf("%s%02d", name, i)})
		s.States = append(s.States, of)
	}
	return s
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
	grey := map[string]bool{"switched off": true, "draining": true, "closed": true}
	for name, test := range map[string]struct {
		status, phase   string
		rotation, redis snapshot.State
		banner, card    string
		icon, badge     string
	}{
		"off":                 {"unhealthy", "running", off, ok, `banner s-off"><h1 id="status">○ Switched off</h1>`, "○ switched off", "6e7781", "switched off"},
		"off, and a warning":  {"unhealthy", "running", off, slow, `banner s-off"><h1 id="status">○ Switched off</h1>`, "○ switched off", "6e7781", "switched off"},
		"off, and Redis down": {"unhealthy", "running", off, down, `banner s-unhealthy"><h1 id="status">✕ Unhealthy</h1>`, "○ switched off", "cf222e", "unhealthy"},
		"on, and Redis down":  {"unhealthy", "running", ok, down, `banner s-unhealthy"><h1 id="status">✕ Unhealthy</h1>`, "✓ ok", "cf222e", "unhealthy"},
		"optional":            {"degraded", "running", off, ok, `banner s-degraded"><h1 id="status">! Degraded</h1>`, "○ switched off", "bf8700", "degraded"},
		"off while it drains": {"unhealthy", "draining", off, ok, `banner s-off"><h1 id="status">○ Switched off</h1>`, "○ switched off", "6e7781", "draining"},
		"closed":              {"unhealthy", "", stale, stale, `banner s-off"><h1 id="status">✕ Unhealthy</h1>`, "✕ error", "6e7781", "closed"},
	} {
		s := &snapshot.Snapshot{
			Status: test.status, Phase: test.phase,
			Components: []snapshot.Component{{Name: "rotation", Switch: true}, {Name: "redis"}},
			States:     []snapshot.State{test.rotation, test.redis},
		}
		d := string(page.New(nil).Append(nil, s, "./"))
		assert.Contains(t, d, "fill='%23"+test.icon+"'", name)
		badge := string(page.AppendBadge(nil, s))
		assert.Contains(t, badge, `aria-label="health: `+test.badge+`"`, name)
		assert.Equal(t, grey[test.badge], strings.Contains(badge, `fill="#57606a"`), name)
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
	assert.True(t, got.Components["</script>"].Apart)
}

// Every reason of package probes must have a meaning.
func TestMeanings(t *testing.T) {
	source, err := os.ReadFile("../../probes/reason.go")
	require.NoError(t, err)
	d := document()
	for _, match := range regexp.MustCompile(`Reason = "([a-z_]+)"`).FindAllStringSubmatch(string(source), -1) {
		assert.Contains(t, d, `"`+match[1]+`":"`, "the page must have a meaning for it")
	}
}

// The document has at most 40 KB, also with 30 checks that have the longest names, and when all of them fail.
func TestSize(t *testing.T) {
	for name, of := range map[string]snapshot.State{
		"ok":      {Status: probes.OK},
		"failing": {Status: probes.Error, Reason: probes.ReasonCertificateExpiresSoon, Since: since},
	} {
		s := state(30, strings.Repeat("n", 62), of)
		settings := map[string]page.Component{}
		for _, metric := range []string{"cpu", "memory", "disk", "connections", "process"} {
			s.Components = append(s.Components, snapshot.Component{Name: metric, System: true})
			s.States = append(s.States, snapshot.State{Status: probes.OK})
			settings[metric] = page.Component{System: true, Warning: 90, Critical: 99.5}
		}
		size := len(page.New(settings).Append(nil, s, "./"))
		t.Logf("%s: %d bytes; of 3 components: %d", name, size, len(document()))
		assert.LessOrEqual(t, size, 40<<10, name)
	}
}

func TestBadge(t *testing.T) {
	for _, test := range []struct{ status, phase, word, colour string }{
		{"healthy", "running", "healthy", "#116329"},
		{"degraded", "running", "degraded", "#8a5700"},
		{"unhealthy", "running", "unhealthy", "#b3161b"},
		{"healthy", "starting", "starting", "#57606a"},
		{"unhealthy", "draining", "draining", "#57606a"},
		{"unhealthy", "", "closed", "#57606a"},
	} {
		svg := string(page.AppendBadge(nil, &snapshot.Snapshot{Status: test.status, Phase: test.phase}))
		assert.Contains(t, svg, `aria-label="health: `+test.word+`"`)
		assert.Contains(t, svg, `<text x="86" y="14">`+test.word+`</text>`)
		assert.Contains(t, svg, test.colour)
	}
}
