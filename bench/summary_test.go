package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// made returns results with one sample for each name.
func made(names ...string) *measured {
	m := &measured{}
	for _, name := range names {
		m.series = append(m.series, series{subject{name: name}, []sample{{ops: 1, nanoseconds: 1}}})
	}
	return m
}

func madeResults() *results {
	ready := made(oursUse, oursAlone, limitUse, limitNet)
	for _, lib := range libraries[1:] {
		ready.series = append(ready.series, made(lib.name).series...)
	}
	r := &results{
		passThrough: made(oursUse, oursWrap, noOpUse), live: made(oursUse, oursAlone, limitUse, limitNet), ready: ready,
		due: made(ours, sleeps), metrics: made(oursAlone), crowd: make([]burst, 1), hung: make([]burst, 1),
	}
	for _, name := range []string{httpWith, httpWithout, httpControl} {
		r.own = append(r.own, served{name: name, perSecond: []float64{1}})
	}
	for _, w := range weights {
		r.weights = append(r.weights, weighed{weight: w})
	}
	return r
}

var firstCell = regexp.MustCompile(`(?m)^\| ([^|]*) \|`)

// The page must have the rows that the command writes, with any figures.
func TestPageHasTheSummarysRows(t *testing.T) {
	text, err := os.ReadFile("../docs/performance.md")
	require.NoError(t, err)
	_, section, _ := strings.Cut(string(text), beginMarker)
	section, _, _ = strings.Cut(section, endMarker)
	assert.Equal(t, firstCell.FindAllStringSubmatch(summary(madeResults()), -1), firstCell.FindAllStringSubmatch(section, -1),
		"cd bench && go run . -write ../docs")
}

func TestShow(t *testing.T) {
	two := []page{{"a.md", "A\n"}, {"b.md", "B\n"}}
	var out strings.Builder
	require.NoError(t, show(two, "", &out))
	assert.Equal(t, "A\nB\n", out.String())

	folder := t.TempDir()
	for _, p := range two {
		require.NoError(t, os.WriteFile(filepath.Join(folder, p.name), []byte(beginMarker+"old\n"+endMarker), 0o644))
	}
	require.NoError(t, show(two, folder, nil))
	for _, p := range two {
		text, err := os.ReadFile(filepath.Join(folder, p.name))
		require.NoError(t, err)
		assert.Equal(t, beginMarker+p.tables+endMarker, string(text))
	}
	assert.Error(t, show([]page{{"missing.md", ""}}, folder, nil))
}

// The budgets, including those of the weights, must be printed, and must not be on a page.
func TestPagesHoldNoBudgets(t *testing.T) {
	printed := budgets(madeResults())
	assert.Contains(t, printed, "**not met**")
	assert.Contains(t, printed, "| weight, stripped: "+rootWeight+" | +568 KB |")
	for _, name := range []string{"performance.md", "performance-appendix.md"} {
		text, err := os.ReadFile("../docs/" + name)
		require.NoError(t, err)
		assert.NotRegexp(t, `(?i)budget|not met`, string(text), name)
	}
}
