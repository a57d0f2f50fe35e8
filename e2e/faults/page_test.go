package faults_test

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pages are the files that contain the sections.
var pages = map[string]string{
	"words":   "../../docs/reliability.md",
	"how":     "../../docs/reliability-appendix.md",
	"figures": "../../docs/reliability-appendix.md",
}

// figures are the measurements of a rig.
type figures struct {
	said                []string      // the results of the check, in their order
	word                string        // the result that lasted
	certain             bool          // the result was not caused by a busy machine
	answer              time.Duration // the slowest answer
	before, most, after usage         // the usage before, during and after the fault
	settled             time.Duration // how long the usage took to return to the first value
	green               time.Duration // how long the check took to be ok again
	works               time.Duration // how long until the application could use all of its connections again

	connections  int   // of the application, before the fault
	made         int64 // the number that the application had made before the fault
	lost, remade int   // after the fault
	taken        int   // maximum in use at the same time
}

// results are the measurements of all rigs, by fault.
type results struct {
	mu   sync.Mutex // guards rows
	rows map[string]map[column]figures
}

var measured = results{rows: make(map[string]map[column]figures)}

func (m *results) note(f fault, r *rig) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rows[f.name] == nil {
		m.rows[f.name] = make(map[column]figures)
	}
	m.rows[f.name][r.column] = r.figures
}

// complete reports whether every column of a fault was measured, on a machine that was not too busy.
func (m *results) complete(f fault) bool {
	for _, figures := range m.rows[f.name] {
		if !figures.certain {
			return false
		}
	}
	return len(m.rows[f.name]) == len(f.want)
}

// compare compares the table of words with the measurements, or writes all tables.
func (m *results) compare(t *testing.T) {
	if *write {
		require.False(t, t.Failed(), "failed measurements are not written")
		for name, table := range m.tables(t) {
			before, _, after := cutSection(t, name)
			require.NoError(t, os.WriteFile(pages[name], []byte(before+table+after), 0o644))
		}
		return
	}
	documented := documentedWords(t)
	for _, f := range faults {
		if m.complete(f) {
			assert.Equal(t, m.words(f), documented[f.name],
				"%s: %s is not what was measured: go test -C e2e -race ./faults/ -write", pages["words"], f.name)
		}
	}
}

// documentedWords returns the words in the page's table, by the name of the fault.
func documentedWords(t *testing.T) map[string]string {
	t.Helper()
	_, section, _ := cutSection(t, "words")
	documented := make(map[string]string)
	for _, row := range strings.SplitAfter(section, "\n")[2:] { // after the two lines of the head
		names, words, _ := strings.Cut(strings.TrimPrefix(row, "| "), " | ")
		for _, name := range strings.Split(names, between) {
			documented[name] = words
		}
	}
	delete(documented, "") // after the last line
	return documented
}

// cutSection reads the page of a section, and splits it at the two comments with the section's name.
func cutSection(t *testing.T, name string) (before, section, after string) {
	t.Helper()
	page, err := os.ReadFile(pages[name])
	require.NoError(t, err)
	text, begin, end := string(page), "<!-- faults:"+name+" -->\n", "<!-- /faults:"+name+" -->\n"
	from, to := strings.Index(text, begin)+len(begin), strings.Index(text, end)
	require.True(t, from >= len(begin) && to >= from, "%s has no section between %s and %s", pages[name], begin, end)
	return text[:from], text[from:to], text[to:]
}

// tables returns the sections: the words of all dependencies, the acts, and the figures of each dependency.
func (m *results) tables(t *testing.T) map[string]string {
	for _, f := range faults {
		require.True(t, m.complete(f), "%s was not measured, or the machine was busy otherwise: only a whole run is written", f.name)
	}
	figures := ""
	for _, c := range columns {
		figures += m.figures(c)
	}
	return map[string]string{"words": m.allWords(), "how": how(), "figures": figures}
}

// between separates the names of the faults that share a row.
const between = "; "

// allWords returns the table of the words of all dependencies. Faults with the same words share a row.
func (m *results) allWords() string {
	head := []string{"fault"}
	for _, c := range columns {
		head = append(head, string(c))
	}
	var rows []string
	names := make(map[string][]string)
	for _, f := range faults {
		words := m.words(f)
		if names[words] == nil {
			rows = append(rows, words)
		}
		names[words] = append(names[words], f.name)
	}
	table := header(head...)
	for _, words := range rows {
		table += "| " + strings.Join(names[words], between) + " | " + words
	}
	return table
}

// how returns the table that describes what the tests do.
func how() string {
	table := header("fault", "what the tests do")
	for _, f := range faults {
		table += line(f.name, f.how)
	}
	return table
}

func header(cells ...string) string {
	return line(cells...) + line(slices.Repeat([]string{"---"}, len(cells))...)
}

func line(cells ...string) string { return "| " + strings.Join(cells, " | ") + " |\n" }

// words returns the cells of a fault in the table of words.
func (m *results) words(f fault) string {
	var cells []string
	for _, c := range columns {
		figures, ok := m.rows[f.name][c]
		cells = append(cells, figures.shown(ok))
	}
	return strings.TrimPrefix(line(cells...), "| ")
}

// shown returns the word as the table contains it.
func (f figures) shown(ok bool) string {
	if !ok {
		return "—"
	}
	words := strings.Split(f.word, " / ")
	for i, word := range words {
		if reason, warning := strings.CutPrefix(word, "warning "); warning {
			words[i] = "*`" + reason + "`*"
		} else if word != "ok" {
			words[i] = "`" + word + "`"
		}
	}
	return strings.Join(words, ", then ")
}

// figures returns the table of one dependency.
func (m *results) figures(c column) string {
	var b strings.Builder
	b.WriteString("\n### " + string(c) + "\n\n")
	b.WriteString(header("fault", "slowest answer", "goroutines", "connections", "settled after", "green after", "application works after", "its pool"))
	for _, f := range faults {
		if figures, ok := m.rows[f.name][c]; ok {
			b.WriteString(line(append([]string{f.name}, figures.cells(f)...)...))
		}
	}
	return b.String()
}

func (f figures) cells(row fault) []string {
	app, pool := "—", "—"
	if f.connections > 0 {
		app, pool = shown(f.works), fmt.Sprintf("%d of %d in use", f.taken, f.connections)
		if row.keeps {
			pool += fmt.Sprintf(", %d lost, %d remade", f.lost, f.remade)
		}
	}
	return []string{
		shown(f.answer),
		fmt.Sprintf("%d, %d, %d", f.before.goroutines, f.most.goroutines, f.after.goroutines),
		fmt.Sprintf("%d, %d, %d", f.before.connections, f.most.connections, f.after.connections),
		shown(f.settled), shown(f.green), app, pool,
	}
}

// shown returns a duration with at most three digits.
func shown(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", d.Seconds()*1000)
	case d < time.Second:
		return fmt.Sprintf("%.0f ms", d.Seconds()*1000)
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// The pages must contain every section. The sections that need no measurement must be up to date.
func TestPagesHaveTheSections(t *testing.T) {
	for name := range pages {
		_, section, _ := cutSection(t, name)
		assert.NotEmpty(t, section, name)
	}
	var names []string
	for _, f := range faults {
		names = append(names, f.name)
	}
	assert.ElementsMatch(t, names, slices.Collect(maps.Keys(documentedWords(t))), pages["words"])
	_, section, _ := cutSection(t, "how")
	assert.Equal(t, how(), section, "%s: go test -C e2e -race ./faults/ -write", pages["how"])
	_, section, _ = cutSection(t, "figures")
	for _, c := range columns {
		assert.Contains(t, section, "\n### "+string(c)+"\n", pages["figures"])
	}
}

// The expected words must name all dependencies of exactly the kinds of servers for which there is an act.
func TestFaultsAreComplete(t *testing.T) {
	seen := make(map[string]bool)
	for _, f := range faults {
		assert.False(t, seen[f.name], "%s is there twice", f.name)
		seen[f.name] = true
		kinds := make(map[kind]bool)
		for c := range f.want {
			assert.Contains(t, columns, c, f.name)
			kinds[c.kind()] = true
		}
		assert.ElementsMatch(t, slices.Collect(maps.Keys(f.acts)), slices.Collect(maps.Keys(kinds)), f.name)
	}
}
