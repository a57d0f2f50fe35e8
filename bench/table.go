package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

const (
	beginMarker = "<!-- bench:begin -->\n"
	endMarker   = "<!-- bench:end -->"
)

// replaceTables replaces the text between the markers of a page by the tables.
func replaceTables(page, tables string) error {
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	before, rest, ok := bytes.Cut(text, []byte(beginMarker))
	if !ok {
		return fmt.Errorf("%s: there is no line %q", page, strings.TrimSpace(beginMarker))
	}
	_, after, ok := bytes.Cut(rest, []byte(endMarker))
	if !ok {
		return fmt.Errorf("%s: there is no line %q after %q", page, endMarker, strings.TrimSpace(beginMarker))
	}
	return os.WriteFile(page, []byte(string(before)+beginMarker+tables+endMarker+string(after)), 0o644)
}

// table builds tables in Markdown.
type table struct{ strings.Builder }

func (t *table) section(title, text string, columns ...string) {
	fmt.Fprintf(t, "\n### %s\n\n", title)
	if text != "" {
		t.WriteString(text + "\n\n")
	}
	t.row(columns...)
	t.row(slices.Repeat([]string{"---"}, len(columns))...)
}

func (t *table) row(cells ...string) {
	t.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

// page is the name of a file in docs, and the text to put between its markers.
type page struct{ name, tables string }

func pages(r *results) []page {
	return []page{{"performance.md", summary(r)}, {"performance-appendix.md", tables(r)}}
}

// measuredOn writes the date, the machine and the number of the measurements.
func (t *table) measuredOn(r *results) {
	fmt.Fprintf(
		t,
		"Measured on %s with %s, %s/%s, %s, %d CPUs, %s. %d interleaved passes of %s, %d rounds of %s over HTTP; "+
			"all of it took %s.\n",
		time.Now().UTC().Format(time.DateOnly),
		runtime.Version(),
		runtime.GOOS,
		runtime.GOARCH,
		processor(),
		runtime.NumCPU(),
		r.busy,
		r.passes,
		r.length,
		r.rounds,
		r.roundLength,
		r.took.Round(time.Second),
	)
}

// tables returns the tables of docs/performance-appendix.md.
func tables(r *results) string {
	t := &table{}
	t.measuredOn(r)
	t.series(
		"Your own requests",
		"A routed request whose handler does nothing, through a middleware. The alternatives are handlers on a "+
			"route of their own, and cost other requests nothing.",
		r.passThrough,
	)
	t.series("Liveness", "", r.live)
	t.series(
		"Readiness of 3 checks, with fresh results",
		"What each library does for an answer differs, and the last column says how.",
		r.ready,
	)
	t.series("Detailed, with fresh results", "", r.detailed)
	t.series("Metrics for Prometheus, with fresh results", "", r.metrics)
	t.series(
		"Readiness of 3 checks of 2 ms each, none fresh",
		"The time of one request, while no other is made.",
		r.due,
	)
	t.crowd(r.crowd)
	t.hung(r.hung)
	t.http(r)
	t.series(
		"Growth by checks",
		fmt.Sprintf(
			"Readiness with checks that do nothing. What is fresh is a finished document, whatever it shows. "+
				"A check keeps %s B in memory, its result and its part of the answers included.",
			figure(float64(r.memoryPerCheck)),
		),
		r.checks,
	)
	t.series("Growth by routes", "A request on the last of so many routes.", r.routes)
	t.weights(r.weights)
	return t.String()
}

func (t *table) series(title, text string, m *measured) {
	t.section(title, text, "", "median", "minimum", "B/op", "allocs/op", "pass by pass", "")
	for _, s := range m.series {
		ratio := ""
		if s.against != "" {
			ratio = times(s.ratio(m.find(s.against))) + " " + s.against
		}
		t.row(
			s.name,
			nanoseconds(s.median()),
			nanoseconds(s.minimum()),
			figure(s.bytes()),
			figure(s.allocations()),
			ratio,
			s.note,
		)
	}
}

func (t *table) crowd(bursts []burst) {
	t.section(
		"64 requests at once, 3 checks of 2 ms, results just too old",
		"",
		"",
		"runs of checks",
		"last answer",
	)
	for n, b := range bursts {
		t.row(libraries[n].name, fmt.Sprint(b.runs), duration(b.last))
	}
}

func (t *table) hung(bursts []burst) {
	t.section(
		fmt.Sprintf("200 requests at once, one check that never returns, deadline %s", hungDeadline),
		fmt.Sprintf(
			"Answers are waited for %s; gofiber's healthcheck has no deadline. "+
				"go-sundheit answers from its schedule, and is 503 here because the check has not run yet; "+
				"one that hangs later leaves it at 200.",
			hungPatience,
		),
		"",
		"answers",
		"last answer",
		"runs that hang",
		"the next request's answer",
	)
	for n, b := range bursts {
		t.row(libraries[n].name, b.answers(), duration(b.last), fmt.Sprint(b.hanging), nextAnswer(b.next))
	}
}

func (b burst) answers() string {
	var parts []string
	for status, n := range b.statuses {
		parts = append(parts, fmt.Sprintf("%d × %d", status, n))
	}
	if b.unanswered > 0 {
		parts = append(parts, fmt.Sprintf("none × %d", b.unanswered))
	}
	return strings.Join(parts, ", ")
}

func nextAnswer(d time.Duration) string {
	if d < 0 {
		return "none in " + (hungPatience / 2).String()
	}
	return duration(d)
}

func (t *table) http(r *results) {
	text := fmt.Sprintf(
		"Requests a second over HTTP on the loopback, %d connections kept busy by a client in the same process.",
		clients,
	)
	for _, part := range []struct {
		title string
		all   []served
	}{{"Over HTTP: your own route", r.own}, {"Over HTTP: readiness of 3 checks", r.readiness}} {
		t.section(part.title, text, "", "requests/s, median", "round by round", "")
		for _, s := range part.all {
			ratio := ""
			if s.against != "" {
				ratio = fmt.Sprintf("%.3f × %s", s.ratio(findServed(part.all, s.against)), s.against)
			}
			t.row(s.name, figure(s.median()), ratio, s.note)
		}
	}
}

func findServed(all []served, name string) served {
	for _, s := range all {
		if s.name == name {
			return s
		}
	}
	panic(fmt.Sprintf("bench: nothing serves %q", name))
}

func (t *table) weights(all []weighed) {
	t.section(
		"Weight of a stripped program",
		"By how much it grows, where the service links the driver anyway, and where it doesn't.",
		"",
		"growth",
		"with the driver",
		"spent on",
	)
	for _, w := range all {
		alone := ""
		if w.alone != "" {
			alone = fmt.Sprintf("+%d KB", w.grownAlone)
		}
		t.row(w.name, fmt.Sprintf("+%d KB", w.grown), alone, w.reason)
	}
}

func nanoseconds(ns float64) string {
	if ns < 1000 {
		return fmt.Sprintf("%.1f ns", ns)
	}
	return duration(time.Duration(ns))
}

func duration(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%.2f µs", float64(d)/float64(time.Microsecond))
	case d < time.Second:
		return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

func times(ratio float64) string {
	switch {
	case ratio < 0.1:
		return fmt.Sprintf("%.4f ×", ratio)
	case ratio < 10:
		return fmt.Sprintf("%.2f ×", ratio)
	}
	return fmt.Sprintf("%.0f ×", ratio)
}

// figure formats a number with separators, such as 12,345.
func figure(f float64) string {
	digits := fmt.Sprintf("%.0f", f)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// busy describes the load of the machine before the measurements.
func busy() string {
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "load unknown"
	}
	first, _, _ := strings.Cut(string(load), " ")
	return "load average " + first + " at the beginning"
}

// processor returns the name of the CPU, or "unknown CPU".
func processor() string {
	file, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return "unknown CPU"
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if name, ok := strings.CutPrefix(lines.Text(), "model name"); ok {
			return strings.TrimLeft(name, "\t :")
		}
	}
	return "unknown CPU"
}
