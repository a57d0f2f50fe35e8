package exposition_test

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/echo-probes/echohealth/internal/exposition"
	"github.com/echo-probes/echohealth/internal/exposition/expositiontest"
	"github.com/echo-probes/echohealth/internal/snapshot"
	"github.com/echo-probes/echohealth/probes"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write testdata anew")

func TestFormats(t *testing.T) {
	for file, format := range map[string]exposition.Format{
		"text.txt": exposition.Text, "openmetrics.txt": exposition.OpenMetrics,
	} {
		got := expositiontest.Counters().Append(nil, format, expositiontest.Snapshot())
		if *update {
			require.NoError(t, os.WriteFile("testdata/"+file, got, 0o644))
		}
		want, err := os.ReadFile("testdata/" + file)
		require.NoError(t, err)
		assert.Equal(t, string(want), string(got), file)
		for _, family := range exposition.Families {
			assert.Contains(t, string(got), "\n"+family.Name, "testdata must show every family")
		}
	}
}

// An unknown value has no series, and a family without a series has no HELP and TYPE.
func TestUnknownValuesHaveNoSeries(t *testing.T) {
	s := &snapshot.Snapshot{
		Status: "unhealthy", Start: expositiontest.Noon,
		Components: []snapshot.Component{{Name: "database"}}, States: make([]snapshot.State, 1),
	}
	text := string(exposition.NewCounters(1).Append(nil, exposition.Text, s))
	for _, absent := range []string{"system_", "celery", "timestamp", "reason", "build_info"} {
		assert.NotContains(t, text, absent)
	}
	assert.Contains(t, text, `echohealth_component_status{component="database",status="error"} 0`)
	assert.Contains(t, text, `echohealth_phase{phase="running"} 0`, "a closed Health is in no phase")
}

func TestTheRulesForNames(t *testing.T) {
	seen := map[string]bool{}
	for _, family := range exposition.Families {
		assert.Regexp(t, `^echohealth_[a-z_]+$`, family.Name)
		assert.Equal(t, family.Type == exposition.TypeCounter, strings.HasSuffix(family.Name, "_total"), family.Name)
		assert.Regexp(t, `^[A-Z0-9][^\n\\]+\.$`, family.Help)
		assert.LessOrEqual(t, len(family.Labels), exposition.MaxLabels)
		assert.False(t, seen[family.Name], family.Name)
		seen[family.Name] = true
	}
}

// The number of allocations must not grow with the number of series.
func TestAllocations(t *testing.T) {
	c, s := expositiontest.Counters(), expositiontest.Snapshot()
	b := c.Append(nil, exposition.OpenMetrics, s)
	allocs := testing.AllocsPerRun(100, func() { b = c.Append(b[:0], exposition.OpenMetrics, s) })
	assert.LessOrEqual(t, allocs, 7.0)
}

func TestBounds(t *testing.T) {
	text := string(expositiontest.Counters().Append(nil, exposition.Text, expositiontest.Snapshot()))
	for _, bound := range exposition.Bounds {
		assert.Contains(t, text, `le="`+strconv.FormatFloat(bound, 'f', -1, 64)+`"`)
	}
}

func BenchmarkAppend(b *testing.B) {
	s := expositiontest.Snapshot()
	for len(s.Components) < 13 {
		s.Components = append(s.Components, snapshot.Component{Name: fmt.Sprint("check", len(s.Components))})
		s.States = append(s.States, snapshot.State{Status: probes.OK, At: expositiontest.Noon, LastOK: expositiontest.Noon})
	}
	c := exposition.NewCounters(13)
	buffer := c.Append(nil, exposition.OpenMetrics, s)
	b.ReportMetric(float64(strings.Count(string(buffer), "\n")-strings.Count(string(buffer), "\n#")), "series")
	b.ReportAllocs()
	for b.Loop() {
		buffer = c.Append(buffer[:0], exposition.OpenMetrics, s)
	}
}

// line matches a line of either format. A label's value may contain anything that is escaped.
var line = regexp.MustCompile(`^(# (HELP|TYPE) [a-z_]+ .+|# EOF|` +
	`[a-z_]+(\{([a-z]+="([^"\\\n]|\\[\\"n])*",?)+\})? ([-+0-9.e]+|\+Inf))$`)

// Any version and any name must stay inside its label, and every line must match the format.
func FuzzLabels(f *testing.F) {
	f.Add("1.0", "database", "timeout")
	f.Add("a\"b\\c\nd", "\xff\xfe", "{}")
	f.Add("# EOF", "x\"} 1\ny{z=\"", "\x00")
	f.Fuzz(func(t *testing.T, version, name, reason string) {
		s := expositiontest.Snapshot()
		s.Version, s.Components[0].Name, s.States[0].Reason = version, name, probes.Reason(reason)
		for _, format := range []exposition.Format{exposition.Text, exposition.OpenMetrics} {
			text := string(expositiontest.Counters().Append(nil, format, s))
			assert.True(t, utf8.ValidString(text))
			for l := range strings.Lines(text) {
				assert.Regexp(t, line, strings.TrimSuffix(l, "\n"))
			}
		}
	})
}
