package exposition_test

import (
	"flag"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/echo-probes/echohealth/internal/exposition"
	"github.com/echo-probes/echohealth/internal/snapshot"
	"github.com/echo-probes/echohealth/probes"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write testdata anew")

var noon = time.Date(2026, 11, 28, 12, 0, 0, 250e6, time.UTC)

// whole returns a snapshot in which every family has a series.
func whole() *snapshot.Snapshot {
	return &snapshot.Snapshot{
		Start: noon.Add(-time.Hour), Version: "1.2.3", Status: "degraded", Ready: true, Phase: "running",
		Components: []snapshot.Component{
			{Name: "database", Critical: true, Timeout: 800 * time.Millisecond, Interval: time.Second},
			{Name: "celery", Celery: true, Timeout: 2 * time.Second, Interval: 30 * time.Second},
			{Name: "orders", Celery: true, Timeout: time.Second, Interval: time.Second},
			{Name: "certificate", Certificate: true, Timeout: time.Second, Interval: time.Hour},
			{Name: "cpu", System: true},
		},
		States: []snapshot.State{
			{Status: probes.OK, At: noon, LastOK: noon},
			{
				Status: probes.Error, Reason: probes.ReasonNoWorkers, At: noon, LastOK: noon.Add(-time.Minute),
				Details: []slog.Attr{slog.Int("pending_tasks", 7), slog.Int("workers", 0)},
			},
			{
				Status: probes.OK, At: noon, LastOK: noon,
				Details: []slog.Attr{
					slog.Int("pending_tasks", 3), slog.Int("pending_tasks.mail", 1), slog.Uint64("pending_tasks.pdf", 2),
				},
			},
			{
				Status: probes.Warning, Reason: probes.ReasonCertificateExpiresSoon, At: noon,
				Details: []slog.Attr{slog.Int64("not_after", 1796947200), slog.String("expires", "2026-12-11")},
			},
			{Status: probes.Warning, Reason: probes.ReasonAboveThreshold, At: noon},
		},
		Groups: []snapshot.Group{
			{Name: "payment", Ready: true, Checks: []string{"database"}}, {Name: "mail", Checks: []string{"celery"}},
		},
		System: snapshot.System{
			CPURatio:    snapshot.Known(0.925),
			MemoryUsed:  snapshot.Known(uint64(3 << 30)),
			MemorySize:  snapshot.Known(uint64(4 << 30)),
			Connections: snapshot.Known(42),
			Disks: []snapshot.Disk{
				{Name: "disk", Used: snapshot.Known(uint64(1 << 40)), Size: snapshot.Known(uint64(1 << 41))},
				{Name: "gone"},
			},
		},
	}
}

// counted returns counters after some runs of the components of whole.
func counted() *exposition.Counters {
	c := exposition.NewCounters(5)
	for _, run := range []snapshot.Run{
		{Component: 0, Status: probes.OK, Took: time.Millisecond},
		{Component: 0, Status: probes.Error, Took: 800 * time.Millisecond},
		{Component: 0, Status: probes.Error, Took: 800 * time.Millisecond, Kind: snapshot.Overdue},
		{Component: 0, Status: probes.Error, Took: 3 * time.Second, Kind: snapshot.Late},
		{Component: 0, Status: probes.OK, Took: 1001 * time.Microsecond},
		{Component: 1, Status: probes.Warning, Took: 7 * time.Second},
		{Component: 4, Status: probes.OK},
		{Component: 4, Status: probes.Warning},
	} {
		c.Record(run)
	}
	return c
}

func TestFormats(t *testing.T) {
	for file, format := range map[string]exposition.Format{
		"text.txt": exposition.Text, "openmetrics.txt": exposition.OpenMetrics,
	} {
		got := counted().Append(nil, format, whole())
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
func TestNothingIsKnown(t *testing.T) {
	s := &snapshot.Snapshot{
		Status: "unhealthy", Start: noon,
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
	c, s := counted(), whole()
	b := c.Append(nil, exposition.OpenMetrics, s)
	allocs := testing.AllocsPerRun(100, func() { b = c.Append(b[:0], exposition.OpenMetrics, s) })
	assert.LessOrEqual(t, allocs, 7.0)
}

func TestBounds(t *testing.T) {
	text := string(counted().Append(nil, exposition.Text, whole()))
	for _, bound := range exposition.Bounds {
		assert.Contains(t, text, `le="`+strconv.FormatFloat(bound, 'f', -1, 64)+`"`)
	}
}

func BenchmarkAppend(b *testing.B) {
	s := whole()
	for len(s.Components) < 13 {
		s.Components = append(s.Components, snapshot.Component{Name: fmt.Sprint("check", len(s.Components))})
		s.States = append(s.States, snapshot.State{Status: probes.OK, At: noon, LastOK: noon})
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
		s := whole()
		s.Version, s.Components[0].Name, s.States[0].Reason = version, name, probes.Reason(reason)
		for _, format := range []exposition.Format{exposition.Text, exposition.OpenMetrics} {
			text := string(counted().Append(nil, format, s))
			assert.True(t, utf8.ValidString(text))
			for l := range strings.Lines(text) {
				assert.Regexp(t, line, strings.TrimSuffix(l, "\n"))
			}
		}
	})
}
