package main

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func samples(nanoseconds ...float64) series {
	var s series
	for _, ns := range nanoseconds {
		s.samples = append(s.samples, sample{ops: 1, nanoseconds: ns})
	}
	return s
}

func TestRatiosAreOfPairs(t *testing.T) {
	// In the second pass the machine was ten times slower for both subjects.
	a, b := samples(10, 100, 12), samples(20, 200, 24)
	assert.InDelta(t, 2, b.ratio(a), 1e-9)
	assert.InDelta(t, 12, a.median(), 1e-9)
	assert.InDelta(t, 10, a.minimum(), 1e-9)
	assert.InDelta(t, 2, b.ratioOfMinima(a), 1e-9)
	assert.InDelta(t, 3, comparison{2, 3}.worse(), 0, "both have to keep to a budget")
	assert.InDelta(t, 11, median([]float64{10, 12}), 1e-9)
}

func TestInterleaveMeasuresEachSubjectInEachPass(t *testing.T) {
	var seen []string
	op := func(name string) func() {
		return func() {
			if len(seen) == 0 || seen[len(seen)-1] != name {
				seen = append(seen, name)
			}
			time.Sleep(time.Millisecond)
		}
	}
	all := interleave([]subject{{name: "a", op: op("a")}, {name: "b", op: op("b")}}, 4, 3*time.Millisecond)
	for _, s := range all {
		assert.Len(t, s.samples, 4)
		assert.Greater(t, s.minimum(), 1e6)
	}
	assert.Equal(t, []string{"a", "b", "a", "b", "a", "b", "a", "b"}, seen, "calibration, then a b, b a, b a, a b")
}

func TestOrderRotates(t *testing.T) {
	assert.Equal(t, []int{0, 1, 2}, order(0, 3))
	assert.Equal(t, []int{2, 1, 0}, order(1, 3))
	assert.Equal(t, []int{1, 2, 0}, order(2, 3))
	assert.Equal(t, []int{0, 2, 1}, order(3, 3))
	assert.Equal(t, []int{2, 0, 1}, order(4, 3))
}

func TestLoadCountsOnlyAnswersOf200(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	go func() { _ = http.Serve(listener, greeter(func(*echo.Echo) {})) }()
	perSecond, err := load(listener.Addr().String(), appPath, 20*time.Millisecond)
	require.NoError(t, err)
	assert.Greater(t, perSecond, 0.0)
	_, err = load(listener.Addr().String(), "/nowhere", 20*time.Millisecond)
	assert.ErrorContains(t, err, "404")
}

func TestReplaceTables(t *testing.T) {
	page := filepath.Join(t.TempDir(), "page.md")
	write := func(text string) { require.NoError(t, os.WriteFile(page, []byte(text), 0o644)) }
	write("before\n" + beginMarker + "old\n" + endMarker + "after\n")
	require.NoError(t, replaceTables(page, "new\n"))
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	assert.Equal(t, "before\n"+beginMarker+"new\n"+endMarker+"after\n", string(text))

	write("no markers\n")
	assert.ErrorContains(t, replaceTables(page, "new\n"), "bench:begin")
	write(beginMarker + "no end\n")
	assert.ErrorContains(t, replaceTables(page, "new\n"), "bench:end")
}

func TestRawNamesAreThoseOfBenchmarks(t *testing.T) {
	assert.Regexp(t, `^BenchmarkReady/static_e\.Use-\d+$`, rawName("Ready", limitUse))
	assert.Regexp(t, `^BenchmarkLive/AppsFlyer-go-sundheit_0\.6\.0-\d+$`, rawName("Live", libraries[3].name))
}

func TestFigures(t *testing.T) {
	for want, got := range map[string]string{
		"999": figure(999), "1,000": figure(1000), "12,345,678": figure(12345678),
		"61.9 ns": nanoseconds(61.93), "1.20 µs": nanoseconds(1200), "2.23 ms": nanoseconds(2.23e6), "1.50 s": duration(1500 * time.Millisecond),
		"1.04 ×": times(1.04), "32 ×": times(31.8), "0.0040 ×": times(0.004),
	} {
		assert.Equal(t, want, got)
	}
}
