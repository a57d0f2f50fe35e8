package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWeights(t *testing.T) {
	if raceEnabled || testing.Short() {
		t.Skip("two dozen programs are built; once is enough")
	}
	all, err := weighAll()
	require.NoError(t, err)
	for _, w := range all {
		t.Logf("%-32s +%d KB", w.name, w.grown)
		assert.Positive(t, w.grown, w.name)
		if w.budget > 0 {
			assert.LessOrEqual(t, w.grown, w.budget, "%s: the budget, in KB, is for %s; more of it needs a reason", w.name, w.reason)
		}
		compareWithPages(t, w)
	}
}

// compareWithPages requires that the documents have the growth, within a few KB: a linker's patch release may
// round otherwise.
func compareWithPages(t *testing.T, w weighed) {
	t.Helper()
	row := regexp.QuoteMeta("\n| "+w.name+" | ") + `\+(\d+) KB \| (?:\+(\d+) KB)? ?\|`
	documented := read(t, "performance-appendix.md", row)
	assert.InDelta(t, w.grown, documented[0], 8, "%s: go run -C bench . -write ../docs", w.name)
	if w.alone != "" {
		assert.InDelta(t, w.grownAlone, documented[1], 40, "%s, with the driver: go run -C bench . -write ../docs", w.name)
	}
	for _, other := range []struct{ weight, page, row string }{
		{rootWeight, "performance.md", `\| your program, stripped \| \+(\d+) KB`},
		{"→ + WithPrometheus", "observability.md", "`WithPrometheus\\(\\)`.*the program is (\\d+) KB larger"},
		{"→ + WithPage", "observability.md", "`WithPage\\(\\)`.*the program is (\\d+) KB larger"},
	} {
		if other.weight == w.name {
			assert.InDelta(t, w.grown, read(t, other.page, other.row)[0], 8, "%s in docs/%s", w.name, other.page)
		}
	}
}

// read returns the numbers that a pattern finds on a page. A group that matched nothing is 0.
func read(t *testing.T, page, pattern string) (numbers []int) {
	t.Helper()
	text, err := os.ReadFile("../docs/" + page)
	require.NoError(t, err)
	found := regexp.MustCompile(pattern).FindSubmatch(text)
	require.NotNil(t, found, "docs/%s must match %s", page, pattern)
	for _, number := range found[1:] {
		n, _ := strconv.Atoi(string(number))
		numbers = append(numbers, n)
	}
	return numbers
}

// A service that uses none of the options WithPrometheus, WithHistory and WithPage links nothing that they
// need, except for the initialisation of the packages.
func TestOptionsThatAreOffWeighNothing(t *testing.T) {
	if raceEnabled || testing.Short() {
		t.Skip("two programs are built; once is enough")
	}
	functions, bytes := linked(t, "slog,root")
	t.Logf("%d B", bytes)
	assert.Empty(t, functions)
	assert.Less(t, bytes, 10<<10)

	functions, bytes = linked(t, "slog,root,prometheus,history,page")
	assert.Greater(t, len(functions), 30, "the test finds what the options link")
	assert.Greater(t, bytes, 30<<10)
}

// linked returns the functions of the options' packages in a program, without their initialisation, and the
// bytes of all that is of these packages.
func linked(t *testing.T, tags string) (functions []string, bytes int) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "program")
	build := exec.Command("go", "build", "-trimpath", "-tags="+tags, "-o", program, "./weigh")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	output, err := build.CombinedOutput()
	require.NoError(t, err, "%s", output)
	output, err = exec.Command("go", "tool", "nm", "-size", program).Output()
	require.NoError(t, err)
	of := regexp.MustCompile(`echohealth/internal/(exposition|history|page)\.(\S+)`)
	for line := range strings.Lines(string(output)) {
		name := of.FindStringSubmatch(line)
		if name == nil {
			continue
		}
		fields := strings.Fields(line) // address, size, kind, name
		size, err := strconv.Atoi(fields[1])
		require.NoError(t, err, line)
		bytes += size
		if strings.EqualFold(fields[2], "t") && !regexp.MustCompile(`^init(\.\d+)?$`).MatchString(name[2]) {
			functions = append(functions, name[0])
		}
	}
	return functions, bytes
}
