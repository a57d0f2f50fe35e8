package history

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/echo-probes/echohealth/internal/snapshot"
	"github.com/echo-probes/echohealth/probes"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var begin = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// after returns the time d after begin, without a monotonic reading.
func after(d time.Duration) time.Time { return begin.Add(d) }

func components(n int) []snapshot.Component {
	of := make([]snapshot.Component, n)
	for i := range of {
		of[i] = snapshot.Component{Name: fmt.Sprint("check", i), Interval: time.Second}
	}
	return of
}

// run returns a run of the first component.
func run(at time.Duration, status probes.Status, reason probes.Reason) snapshot.Run {
	return snapshot.Run{Status: status, Reason: reason, Took: 10 * time.Millisecond, At: after(at)}
}

// letters returns the columns of the i-th component in the form of the JSON.
func letters(r Report, i int) string {
	var b strings.Builder
	for _, column := range r.Components[i].Columns {
		b.WriteByte(letter(column.Status))
	}
	return b.String()
}

func TestMinuteBySeconds(t *testing.T) {
	h := New(components(1), begin)
	h.Record(run(2*time.Second, probes.OK, ""))
	h.Record(run(5*time.Second, probes.Warning, probes.ReasonSlow))
	h.Record(run(6*time.Second, probes.Error, probes.ReasonTimeout))
	h.Record(run(6*time.Second+time.Millisecond, probes.OK, "")) // the worst status of a second counts
	r := h.Report(time.Minute, "", after(9*time.Second))
	assert.Equal(t, time.Second, r.Step)
	assert.Equal(t, begin, r.Since)
	assert.Equal(t, begin.Add(-50*time.Second), r.From)
	assert.Equal(t, strings.Repeat("-", 50)+"--oo-wee--", letters(r, 0), "a result serves a second, and no longer")
	c := r.Components[0]
	assert.Equal(t, snapshot.Known(0.75), c.Availability)
	assert.Equal(t, 1, c.Incidents)
	assert.InEpsilon(t, 10, c.Columns[52].AvgMS.Value, .12)
	assert.Equal(t, []Change{
		{after(5 * time.Second), "check0", probes.OK, probes.Warning, 3 * time.Second, probes.ReasonSlow},
		{after(6 * time.Second), "check0", probes.Warning, probes.Error, time.Second, probes.ReasonTimeout},
		{after(6*time.Second + time.Millisecond), "check0", probes.Error, probes.OK, time.Millisecond, ""},
	}, r.Changes)
}

func TestADayByMinutes(t *testing.T) {
	h := New(components(2), begin)
	for at := time.Duration(0); at < 30*time.Hour; at += 10 * time.Second {
		status, reason := probes.OK, probes.Reason("")
		if at >= 20*time.Hour && at < 20*time.Hour+2*time.Minute {
			status, reason = probes.Error, probes.ReasonConnectionRefused
		}
		h.Record(run(at, status, reason))
	}
	r := h.Report(24*time.Hour, "check0", after(30*time.Hour))
	require.Len(t, r.Components, 1)
	assert.Equal(t, 15*time.Minute, r.Step)
	assert.Len(t, r.Components[0].Columns, 96)
	assert.Equal(t, 1, strings.Count(letters(r, 0), "e"))
	assert.NotContains(t, letters(r, 0)[:95], "-")
	assert.InDelta(t, 1-12.0/8520, r.Components[0].Availability.Value, 1e-4)
	assert.Equal(t, snapshot.Known(10.0), r.Components[0].Columns[3].MaxMS, "a minute keeps the exact figures")
	assert.Len(t, r.Changes, 2)
	other := h.Report(24*time.Hour, "check1", after(30*time.Hour))
	assert.Equal(t, strings.Repeat("-", 96), letters(other, 0))
	assert.False(t, other.Components[0].Availability.Known)
	assert.Empty(t, other.Changes)
}

// Each result counts once, in whichever minute it is. An error in a minute with a single result must not
// weigh as much as another minute's 57 results.
func TestAvailabilityCountsResults(t *testing.T) {
	h := New(components(1), begin)
	for second := range 57 {
		h.Record(run(time.Duration(second)*time.Second, probes.OK, ""))
	}
	h.Record(run(time.Minute, probes.Error, probes.ReasonTimeout))
	for _, window := range []time.Duration{5 * time.Minute, 24 * time.Hour} {
		c := h.Report(window, "", after(61*time.Second)).Components[0]
		assert.Equal(t, snapshot.Known(57.0/58), c.Availability, window)
		assert.Equal(t, 1, c.Incidents, window)
	}
	h.Record(run(2*time.Minute, probes.Warning, probes.ReasonSlow))
	c := h.Report(time.Hour, "", after(2*time.Minute)).Components[0]
	assert.Equal(t, snapshot.Known(58.0/59), c.Availability, "a warning is available")
}

// A result counts for the check's interval. A check that runs once an hour must have no gap of 59 minutes.
func TestRareCheckHasNoGaps(t *testing.T) {
	of := components(1)
	of[0].Interval = time.Hour
	h := New(of, begin)
	for at := time.Duration(0); at <= 5*time.Hour; at += time.Hour {
		h.Record(run(at, probes.Warning, "expires_soon"))
	}
	now := after(5*time.Hour + 30*time.Minute)
	assert.NotContains(t, letters(h.Report(time.Hour, "", now), 0), "-")
	assert.NotContains(t, letters(h.Report(5*time.Hour, "", now), 0), "-")
	assert.Equal(t, 60, strings.Count(letters(h.Report(time.Minute, "", after(5*time.Hour+59*time.Minute)), 0), "w"))
	late := after(8 * time.Hour) // no run for three hours
	assert.Equal(t, strings.Repeat("-", 120), letters(h.Report(time.Hour, "", late), 0))
}

// A result from just before the window serves in its first columns.
func TestAResultBeforeTheWindow(t *testing.T) {
	of := components(1)
	of[0].Interval = 5 * time.Second
	h := New(of, begin)
	for at := time.Duration(0); at <= 2*time.Minute; at += 5 * time.Second {
		h.Record(run(at, probes.OK, ""))
	}
	for _, now := range []time.Duration{2 * time.Minute, 121 * time.Second, 124 * time.Second} {
		assert.Equal(t, strings.Repeat("o", 60), letters(h.Report(time.Minute, "", after(now)), 0), now)
	}
}

// A check that exceeds its timeout is an error from then on. A late failure replaces the reason.
func TestAHungCheck(t *testing.T) {
	h := New(components(1), begin)
	h.Record(run(0, probes.OK, ""))
	h.Record(run(2*time.Second, probes.Error, probes.ReasonTimeout))
	for at := 3 * time.Second; at < 10*time.Second; at += time.Second {
		overdue := run(at, probes.Error, probes.ReasonTimeout)
		overdue.Kind = snapshot.Overdue
		h.Record(overdue)
	}
	late := run(10*time.Second, probes.Error, probes.ReasonConnectionLost)
	late.Kind = snapshot.Late
	h.Record(late)
	h.Record(run(11*time.Second, probes.Error, probes.ReasonTimeout)) // the next run, still in progress
	late.At = after(12 * time.Second)
	h.Record(late)
	h.Record(run(13*time.Second, probes.Error, probes.ReasonReadOnly))
	r := h.Report(time.Minute, "", after(14*time.Second))
	assert.Equal(t, "ooeeeeeeeee", strings.Trim(letters(r, 0), "-")[:11])
	require.Len(t, r.Changes, 2)
	assert.Equal(t, probes.ReasonConnectionLost, r.Changes[0].Reason)
	assert.Equal(t, probes.ReasonReadOnly, r.Changes[1].Reason)
	assert.Equal(t, 1, r.Components[0].Incidents)
}

func TestOnlyTheLastChangesAreKept(t *testing.T) {
	h := New(components(1), begin)
	for i := range maxChanges + 3 {
		status := []probes.Status{probes.OK, probes.Error}[i%2]
		h.Record(run(time.Duration(i)*time.Second, status, ""))
	}
	changes := h.Report(2*time.Hour, "", after(time.Hour)).Changes
	assert.Len(t, changes, maxChanges)
	assert.Equal(t, after(3*time.Second), changes[0].At)
	assert.Equal(t, after((maxChanges+2)*time.Second), changes[maxChanges-1].At)
	late := run(time.Hour, probes.OK, "")
	late.Kind = snapshot.Late
	h.Record(late)
}

// A late failure of a component must not change a change of another component, however often the ring of
// changes was overwritten.
func TestALateFailureOfAnOldChange(t *testing.T) {
	h := New(components(2), begin)
	h.Record(run(0, probes.Error, probes.ReasonTimeout))
	for i := range maxChanges {
		status := []probes.Status{probes.Error, probes.OK}[i%2]
		h.Record(snapshot.Run{Component: 1, Status: status, At: after(time.Duration(i) * time.Second)})
	}
	late := run(time.Hour, probes.Error, "its_reason")
	late.Kind = snapshot.Late
	h.Record(late)
	for _, change := range h.Report(24*time.Hour, "check1", after(time.Hour)).Changes {
		assert.Empty(t, change.Reason)
	}
}

// If the machine was suspended or its clock was set forward, that time has no data. If the clock was set
// back, only the times in the report change.
func TestClockChanges(t *testing.T) {
	start := time.Now()
	c := clock{last: start}
	assert.Equal(t, time.Second, c.advance(start.Add(time.Second)))
	back := start.Add(2 * time.Second)
	assert.Equal(t, 2*time.Second, c.advance(back))
	assert.Equal(t, 2*time.Second, c.advance(start), "runs of two checks may come in the other order")
	assert.Equal(t, time.Hour, c.advance(start.Round(0).Add(time.Hour)), "without a monotonic reading")
	assert.Equal(t, time.Hour, c.advance(start.Round(0)), "never back")

	h := New(components(1), begin)
	h.Record(run(10*time.Hour, probes.OK, ""))
	h.Record(run(time.Hour, probes.Error, probes.ReasonTimeout)) // the wall clock was set back by nine hours
	r := h.Report(24*time.Hour, "", after(time.Hour))
	assert.Equal(t, after(-9*time.Hour), r.Since)
	assert.Equal(t, "e", strings.Trim(letters(r, 0), "-"))
	assert.Equal(t, after(time.Hour), r.Changes[0].At)
}

func TestSecond(t *testing.T) {
	assert.Equal(t, uintptr(1), unsafe.Sizeof(second(0)))
	assert.Equal(t, uintptr(16), unsafe.Sizeof(minute{}))
	for _, ms := range []float32{.05, .1, 1, 12.5, 800, 59_000} {
		for i, status := range statuses {
			s := newSecond(status, ms)
			assert.Equal(t, i+1, s.code())
			assert.InEpsilon(t, ms, s.ms(), .13)
		}
	}
	assert.Zero(t, newSecond(probes.OK, 0).ms())
	assert.InEpsilon(t, 60_000, newSecond(probes.OK, 1e9).ms(), .2)
	assert.Equal(t, newSecond(probes.Error, 800), newSecond(probes.Error, 1).worse(newSecond(probes.OK, 800)))
}

// New allocates all memory: 41 KB for the changes, and 27 KB for each component. A service with eight checks
// has thirteen components, because there are five system metrics by default.
func TestMemory(t *testing.T) {
	const promised, systemMetrics = 400 << 10, 5
	of := components(8 + systemMetrics)
	var h *History
	all := measure(func() { h = New(of, begin) })
	perCheck := (measure(func() { New(components(113), begin) }) - measure(func() { New(components(13), begin) })) / 100
	t.Logf("%d B for 8 checks and %d system metrics, %d B for each further check", all, systemMetrics, perCheck)
	assert.LessOrEqual(t, all, uint64(promised))
	assert.InDelta(t, 27_200, perCheck, 300, "the figure of docs/endpoints.md")
	at := time.Duration(0)
	assert.Zero(t, testing.AllocsPerRun(2000, func() {
		at += 41 * time.Second
		r := run(at, []probes.Status{probes.OK, probes.Error}[int(at/time.Second)%2], "")
		r.Component = int(at/time.Second) % len(of)
		h.Record(r)
	}))
}

// measure returns how many bytes f allocates, including what the allocator rounds up.
func measure(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// model is a simple history that keeps every run.
type model struct {
	clock clock
	runs  []modelRun
}

type modelRun struct {
	at time.Duration
	snapshot.Run
}

// column returns the code of the worst status between from and to.
func (m *model) column(from, to time.Duration) (code int) {
	for _, r := range m.runs {
		if r.at >= from && r.at < to {
			code = max(code, slicesIndex(r.Status)+1)
		}
	}
	return code
}

// availability returns the share of the results since the minute of from that were no error, and how often
// the status changed to an error in that time.
func (m *model) availability(from time.Duration) (share Figure, incidents int) {
	well, all := 0, 0
	for i, r := range m.runs {
		if r.at < from.Truncate(time.Minute) {
			continue
		}
		all++
		if r.Status != probes.Error {
			well++
		} else if i == 0 || m.runs[i-1].Status != probes.Error {
			incidents++
		}
	}
	if all > 0 {
		share = snapshot.Known(float64(well) / float64(all))
	}
	return share, incidents
}

func slicesIndex(status probes.Status) int {
	for i, s := range statuses {
		if s == status {
			return i
		}
	}
	return -1
}

// check records runs at random times, some of them earlier than the run before, and compares the report of
// every window with the model.
func check(t *testing.T, seed uint64, moves []byte) {
	of := components(1)
	of[0].Interval = time.Nanosecond // so that a slot without a run has no data
	h, m := New(of, begin), &model{clock: clock{last: begin}}
	random := rand.New(rand.NewPCG(seed, 1))
	at := time.Duration(0)
	for _, move := range moves {
		switch {
		case move < 10: // the clock is set back
			at -= time.Duration(random.Int64N(int64(time.Hour)))
		case move < 15: // the machine is suspended
			at += time.Duration(random.Int64N(int64(30 * time.Hour)))
		default:
			at += time.Duration(move) * 100 * time.Millisecond
		}
		r := run(at, statuses[random.IntN(3)], "")
		h.Record(r)
		m.runs = append(m.runs, modelRun{m.clock.advance(r.At), r})
	}
	for _, window := range []time.Duration{time.Minute, 10 * time.Minute, time.Hour, 3 * time.Hour, 24 * time.Hour} {
		report := h.Report(window, "", after(at))
		now := m.clock.advance(after(at))
		p := newPlan(window, now)
		for i, column := range report.Components[0].Columns {
			from := p.from() + time.Duration(i)*p.step()
			want := m.column(from, from+p.step())
			got := slicesIndex(column.Status) + 1
			require.Equal(t, want, got, "window %s, column %d", window, i)
		}
		share, incidents := m.availability(p.from())
		require.Equal(t, share, report.Components[0].Availability, "window %s", window)
		require.Equal(t, incidents, report.Components[0].Incidents, "window %s", window)
		for i, c := range report.Changes {
			if i > 0 {
				require.False(t, c.At.Before(report.Changes[i-1].At))
			}
		}
		require.True(t, json.Valid(report.Append(nil)))
	}
}

func TestAgainstAModel(t *testing.T) {
	for seed := range uint64(40) {
		moves := make([]byte, 300)
		random := rand.New(rand.NewPCG(seed, 2))
		for i := range moves {
			moves[i] = byte(random.UintN(256))
		}
		check(t, seed, moves)
	}
}

func FuzzHistory(f *testing.F) {
	f.Add(uint64(1), []byte{20, 30, 5, 12, 200, 255})
	f.Fuzz(func(t *testing.T, seed uint64, moves []byte) {
		check(t, seed, moves[:min(len(moves), 200)])
	})
}

func TestJSON(t *testing.T) {
	h := New(components(1), begin)
	h.Record(run(0, probes.OK, ""))
	h.Record(run(61*time.Second, probes.Error, probes.ReasonTimeout))
	got := string(h.Report(2*time.Hour, "", after(61*time.Second)).Append(nil))
	var document map[string]any
	require.NoError(t, json.Unmarshal([]byte(got), &document))
	assert.Contains(t, got, `{"instance":"","generated_at":"2026-11-28T12:01:01Z","since":"2026-11-28T12:00:00Z",`+
		`"window_seconds":7200,"step_seconds":60,"from":"2026-11-28T10:02:00Z","status_codes":`)
	assert.Contains(t, got, `oe","avg_ms":[null,`)
	assert.Contains(t, got, `,10,10],"availability":0.5,"incidents":1}]`)
	assert.True(t, strings.HasSuffix(got, `"transitions":[{"at":"2026-11-28T12:01:01Z","component":"check0",`+
		`"from":"ok","to":"error","after_seconds":61,"reason":"timeout"}]}`), got)
}

func BenchmarkADayOf8Checks(b *testing.B) {
	h := New(components(8), begin)
	for at := time.Duration(0); at < 24*time.Hour; at += 5 * time.Second {
		for i := range 8 {
			r := run(at, probes.OK, "")
			r.Component = i
			h.Record(r)
		}
	}
	var body []byte
	for b.Loop() {
		body = h.Report(24*time.Hour, "", after(24*time.Hour)).Append(body[:0])
	}
	b.ReportMetric(float64(len(body)), "bytes")
}
