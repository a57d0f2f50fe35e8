// Package page writes the status page, which is one HTML document that requests nothing from another origin.
// The HTML shows the state without JavaScript. The page's script then requests the health endpoints to keep
// the state current. The package does not depend on Health.
package page

import (
	"crypto/sha256"
	_ "embed" // for the files in assets
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/echo-probes/echohealth/internal/snapshot"
	"github.com/echo-probes/echohealth/probes"
)

//go:embed assets/page.css
var style string

//go:embed assets/page.js
var source string

// script returns the page's script: source without indentation, and without the lines that are comments. It
// would be 3 KB larger with them. No string in source may contain a line break.
func script() string {
	lines := strings.Split(source, "\n")
	kept := lines[:0]
	for _, line := range lines {
		if line = strings.TrimLeft(line, " "); line != "" && !strings.HasPrefix(line, "//") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}

// Policy returns the value of the header Content-Security-Policy. It allows only the page's style and script,
// and requests to the page's own origin. Policy is not a variable, because every program would compute that
// at its start.
func Policy() string {
	return "default-src 'none'; script-src '" + hash(script()) + "'; style-src '" + hash(style) + "'; " +
		"img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
}

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// Component holds the settings of a check or a system metric that the page shows.
type Component struct {
	System   bool    `json:"system,omitempty"`
	Switch   bool    `json:"switch,omitempty"`   // the application switches it on and off
	Apart    bool    `json:"apart,omitempty"`    // it is a check that readiness does not depend on
	Warning  float64 `json:"warning,omitempty"`  // the threshold of a warning in percent; 0: none
	Critical float64 `json:"critical,omitempty"` // the threshold of an error in percent; 0: none
}

// Page is the status page of a service. It is never changed.
type Page struct{ tail string }

// New returns the page of a service with these components. The keys are the components' names. A component
// without settings may be left out, because the script knows it from the answers.
func New(components map[string]Component) *Page {
	config, _ := json.Marshal(map[string]any{ // it cannot fail for these types
		"components": components, "reasons": meanings, "base": "BASE", "troubleshooting": troubleshooting,
	})
	return &Page{tail: `<script id="config" type="application/json">` + string(config) + "</script>\n" +
		"<script>" + script() + "</script>\n"}
}

// Append appends the document for the state s. base is the path of the endpoints, relative to the page's
// address with a slash at its end.
func (p *Page) Append(b []byte, s *snapshot.Snapshot, base string) []byte {
	w := document{b}
	bad := problems(s)
	_, _, colour := summary(s)
	w.add("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n" +
		`<meta name="viewport" content="width=device-width,initial-scale=1">` +
		`<meta name="referrer" content="no-referrer">` + "\n<title>")
	w.add(escape(title(s, bad)), "</title>\n")
	// The icon is a dot. The script replaces its colour.
	w.add(`<link id="icon" rel="icon" href="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' `+
		`viewBox='0 0 16 16'%3E%3Ccircle cx='8' cy='8' r='7' fill='%23`, colour, `'/%3E%3C/svg%3E">`+"\n")
	w.add("<style>", style, "</style>\n</head>\n<body>\n")
	w.add(`<a class="skip" href="#main">Skip to the checks</a>` + "\n<div class=\"wrap\">\n")
	w.add(`<div id="stale" class="stale" hidden></div>` + "\n")
	writeBanner(&w, s, bad)
	w.add(tools)
	w.add("<main id=\"main\" tabindex=\"-1\">\n")
	writeGroups(&w, s.Groups)
	writeCards(&w, "dependencies", "Dependencies", s, false)
	writeCards(&w, "system", "System", s, true)
	w.add(`<section aria-labelledby="h-journal" hidden><h2 id="h-journal">Journal</h2>` + // the script fills it
		`<ol id="journal" class="journal"></ol></section>` + "\n")
	w.add("</main>\n<footer><p id=\"which\">")
	if s.Version != "" {
		w.add("Version ", escape(s.Version), ".")
	}
	w.add(`</p><p id="met"></p><p id="when">As of `, time.Now().UTC().Format(time.RFC3339),
		`.</p><p id="since"></p></footer>`+"\n</div>\n"+
			`<div id="live" class="sr" role="status" aria-live="polite"></div>`+"\n")
	encoded, _ := json.Marshal(base)
	w.add(strings.Replace(p.tail, `"BASE"`, string(encoded), 1), "</body>\n</html>\n")
	return w.text
}

// document collects the text of the page.
type document struct{ text []byte }

func (d *document) add(parts ...string) {
	for _, part := range parts {
		d.text = append(d.text, part...)
	}
}

// tools is hidden until the script shows it, because it does not work without the script.
const tools = `<section id="tools" class="tools" aria-label="Controls" hidden>
<label>Window <select id="window">
<option value="10m">10 minutes</option><option value="1h">1 hour</option>
<option value="24h">24 hours</option></select></label>
<label>Theme <select id="theme">
<option value="system">system</option><option value="light">light</option><option value="dark">dark</option>
</select></label>
<button id="problems" type="button" aria-pressed="false">Problems only</button>
<button id="pause" type="button" aria-pressed="false">Pause</button>
<button id="copy" type="button">Copy a report</button>
<label id="replica" hidden>Instance <select id="instance"><option value=""></option></select></label>
</section>
`

// escape returns text escaped for an element or an attribute. It does not use package html, whose table of
// 2,000 named characters would make every program 65 KB larger.
func escape(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;").Replace(text)
}

// problem is a component that is not ok.
type problem struct {
	name   string
	reason probes.Reason
	since  time.Time
	status probes.Status
}

// problems returns the components that are not ok, errors first.
func problems(s *snapshot.Snapshot) []problem {
	var errs, warnings []problem
	for i, c := range s.Components {
		state := s.States[i]
		p := problem{c.Name, state.Reason, state.Since, state.Status}
		switch state.Status {
		case probes.Error:
			errs = append(errs, p)
		case probes.Warning:
			warnings = append(warnings, p)
		}
	}
	return append(errs, warnings...)
}

// isOff reports whether the application has switched the component off. After the Health was closed it
// returns false, because the state is not known then.
func isOff(c snapshot.Component, state snapshot.State) bool {
	return c.Switch && state.Status == probes.Error && state.Reason != probes.ReasonStale
}

// switchedOff reports whether the service is unhealthy only because the application has switched components
// off. It returns false if these are all optional, because then the service is degraded.
func switchedOff(s *snapshot.Snapshot) bool {
	off := false
	for i, c := range s.Components {
		if s.States[i].Status == probes.Error {
			if !isOff(c, s.States[i]) {
				return false
			}
			off = true
		}
	}
	return off && s.Status == "unhealthy"
}

func title(s *snapshot.Snapshot, bad []problem) string {
	if len(bad) == 0 {
		return glyph(s.Status) + " " + s.Status + " – health"
	}
	mark := glyph(s.Status)
	if switchedOff(s) {
		mark = offGlyph
	}
	return mark + " " + bad[0].name + " " + string(bad[0].reason) + " – health"
}

// offGlyph marks a component or service that is switched off.
const offGlyph = "○"

func glyph(status string) string {
	switch status {
	case "ok", "healthy":
		return "✓"
	case "warning", "degraded":
		return "!"
	}
	return "✕"
}

// maxNamed is how many problems the banner names.
const maxNamed = 3

func writeBanner(w *document, s *snapshot.Snapshot, bad []problem) {
	class, word := s.Status, glyph(s.Status)+" "+strings.ToUpper(s.Status[:1])+s.Status[1:]
	if switchedOff(s) {
		class, word = "off", offGlyph+" Switched off"
	}
	if s.Phase != "running" {
		class = "off"
	}
	w.add(`<header id="banner" class="banner s-`, class, `"><h1 id="status">`, word, `</h1><p id="why">`)
	var parts []string
	switch s.Phase {
	case "running":
	case "":
		parts = append(parts, "This instance is closed")
	default:
		parts = append(parts, "This instance is "+s.Phase)
	}
	for _, p := range bad[:min(len(bad), maxNamed)] {
		parts = append(parts, p.name+": "+string(p.reason)+" since "+p.since.UTC().Format(time.RFC3339))
	}
	if len(bad) > maxNamed {
		parts = append(parts, "and "+strconv.Itoa(len(bad)-maxNamed)+" more")
	}
	if len(parts) == 0 {
		parts = []string{"Every check is ok."}
	}
	w.add(escape(strings.Join(parts, " · ")), "</p></header>\n")
}

// writeGroups writes the groups with links to the cards of their checks. If there are none, the section is
// written but hidden, because the script may get groups from another instance of the service.
func writeGroups(w *document, groups []snapshot.Group) {
	hidden := ""
	if len(groups) == 0 {
		hidden = " hidden"
	}
	w.add(`<section aria-labelledby="h-groups"`, hidden, `><h2 id="h-groups">Groups</h2>`+
		`<ul id="groups" class="groups">`+"\n")
	for _, group := range groups {
		class, word := "error", "✕ not ready"
		if group.Ready {
			class, word = "ok", "✓ ready"
		}
		w.add(`<li class="s-`, class, `"><strong>`, escape(group.Name), `</strong> <span class="word">`, word,
			"</span>: ")
		for i, check := range group.Checks {
			if i > 0 {
				w.add(", ")
			}
			w.add(`<a href="#check-`, escape(check), `">`, escape(check), "</a>")
		}
		w.add("</li>\n")
	}
	w.add("</ul></section>\n")
}

// writeCards writes the cards of the dependencies, or those of the system, ordered from error to ok.
func writeCards(w *document, id, heading string, s *snapshot.Snapshot, system bool) {
	w.add(`<section aria-labelledby="h-`, id, `"><h2 id="h-`, id, `">`, heading, `</h2><ul id="`, id,
		`" class="cards">`, "\n")
	for _, status := range []probes.Status{probes.Error, probes.Warning, probes.OK, ""} {
		for i, c := range s.Components {
			if c.System == system && s.States[i].Status == status {
				writeCard(w, c, s.States[i])
			}
		}
	}
	w.add("</ul></section>\n")
}

func writeCard(w *document, c snapshot.Component, state snapshot.State) {
	class := string(state.Status)
	if class == "" {
		class = "unknown"
	}
	word := glyph(class) + " " + class
	if isOff(c, state) {
		class, word = "off", offGlyph+" switched off"
	}
	w.add(`<li class="card s-`, class, `" id="check-`, escape(c.Name), `"><header><h3>`, escape(c.Name),
		`</h3><span class="word">`, word, "</span></header>")
	if reason := string(state.Reason); reason != "" {
		w.add(`<p class="why">`)
		if meaning := meanings[state.Reason]; meaning != "" {
			w.add(`<a href="`, troubleshooting, reason, `">`, reason, "</a> <small>", escape(meaning), "</small>")
		} else {
			w.add(escape(reason))
		}
		w.add("</p>")
	}
	w.add("</li>\n")
}
