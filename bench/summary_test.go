package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// made has one sample of each name.
func made(names ...string) *measured {
	m := &measured{}
	for _, name := range names {
		m.series = append(m.series, series{subject{name: name}, []sample{{ops: 1, nanoseconds: 1}}})
	}
	return m
}

func madeResults() *results {
	ready := made(oursAlone, limitNet)
	for _, lib := range libraries[1:] {
		ready.series = append(ready.series, made(lib.name).series...)
	}
	r := &results{
		passThrough: made(oursUse, noOpUse), live: made(oursAlone, limitNet), ready: ready, due: made(ours, sleeps),
		crowd: make([]burst, 1), hung: make([]burst, 1),
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

// The page has the rows that the command writes, whatever their figures.
func TestPageHasTheSummarysRows(t *testing.T) {
	text, err := os.ReadFile("../docs/performance.md")
	require.NoError(t, err)
	_, section, _ := strings.Cut(string(text), beginMarker)
	section, _, _ = strings.Cut(section, endMarker)
	assert.Equal(t, firstCell.FindAllStringSubmatch(summary(madeResults()), -1), firstCell.FindAllStringSubmatch(section, -1),
		"cd bench && go run . -write ../docs")
}

// The project's budgets are for those who work on it.
func TestPagesHoldNoBudgets(t *testing.T) {
	for _, name := range []string{"performance.md", "performance-appendix.md"} {
		text, err := os.ReadFile("../docs/" + name)
		require.NoError(t, err)
		assert.NotRegexp(t, `(?i)budget|not met`, string(text), name)
	}
}
