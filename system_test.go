package echohealth

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/echo-probes/echohealth/internal/engine"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/sysmetrics"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func judged(t *testing.T, sample *sysmetrics.Sample, opts ...Option) map[string]Check {
	t.Helper()
	c, err := configure(opts)
	require.NoError(t, err)
	checks := map[string]Check{}
	for _, check := range (&system{config: c}).judge(sample).checks {
		checks[check.Name] = check
	}
	return checks
}

func object(check Check) string { return string(check.append(nil, nil)) }

// fine returns a sample of a container in which every metric is OK.
func fine() *sysmetrics.Sample {
	return &sysmetrics.Sample{
		At: time.Now(),
		CPU: sysmetrics.CPU{Percent: 25.49, Count: 4, Window: 5040 * time.Millisecond, LimitCPUs: 1.5,
			ThrottledRatio: sysmetrics.Figure[float64]{Value: 0.123}},
		Memory: sysmetrics.Memory{Percent: 60.21, AvailableBytes: 2048<<20 + 5, TotalBytes: 8192 << 20, Source: sysmetrics.Cgroup,
			OOMKills: sysmetrics.Figure[uint64]{Value: 2}},
		Disks: []sysmetrics.Disk{{Name: "disk", Path: "/", Percent: 45.75, FreeBytes: 50000 << 20, TotalBytes: 100000 << 20,
			InodesPercent: sysmetrics.Figure[float64]{Value: 3.52}, Age: time.Millisecond}},
		Connections: sysmetrics.Connections{Active: 42},
		Process: sysmetrics.Process{Goroutines: 12, Uptime: 90061 * time.Millisecond, HeapBytes: sysmetrics.Figure[uint64]{Value: 3 << 19},
			OpenFiles: sysmetrics.Figure[int]{Value: 20}, MaxOpenFiles: sysmetrics.Figure[int]{Value: 1024}},
	}
}

// machine returns a sample of a machine without a container, and without the figures that some systems do not
// have.
func machine() *sysmetrics.Sample {
	sample := fine()
	sample.CPU.LimitCPUs = 0
	sample.CPU.ThrottledRatio.Err = sysmetrics.ErrUnsupported
	sample.Memory.Source = sysmetrics.Host
	sample.Memory.OOMKills.Err = sysmetrics.ErrUnsupported
	sample.Disks[0].InodesPercent.Err = sysmetrics.ErrUnsupported
	sample.Process.HeapBytes.Err = sysmetrics.ErrUnsupported
	sample.Process.OpenFiles.Err = sysmetrics.ErrUnsupported
	sample.Process.MaxOpenFiles.Err = sysmetrics.ErrUnsupported
	return sample
}

func TestMetricsAsTheContractWritesThem(t *testing.T) {
	checks := judged(t, machine())
	assert.Equal(t, `{"status":"ok","percent":25.5,"count":4,"window_seconds":5}`, object(checks["cpu"]))
	assert.Equal(t, `{"status":"ok","percent":60.2,"available_mb":2048,"total_mb":8192,"source":"host"}`, object(checks["memory"]))
	assert.Equal(t, `{"status":"ok","percent":45.8,"free_mb":50000,"total_mb":100000}`, object(checks["disk"]))
	assert.Equal(t, `{"status":"ok","active_connections":42}`, object(checks["connections"]))
	assert.Equal(t, `{"status":"ok","goroutines":12,"uptime_seconds":90.1}`, object(checks["process"]))

	checks = judged(t, fine())
	assert.Equal(t, `{"status":"ok","percent":25.5,"count":4,"limit_cpus":1.5,"window_seconds":5,"throttled_percent":12.3}`, object(checks["cpu"]))
	assert.Equal(t, `{"status":"ok","percent":60.2,"available_mb":2048,"total_mb":8192,"source":"cgroup","oom_kills":2}`, object(checks["memory"]))
	assert.Equal(t, `{"status":"ok","percent":45.8,"free_mb":50000,"total_mb":100000,"inodes_percent":3.5}`, object(checks["disk"]))
	assert.Equal(t, `{"status":"ok","goroutines":12,"uptime_seconds":90.1,"heap_mb":1.5,"open_files":20,"max_open_files":1024}`, object(checks["process"]))
}

func TestOpenFilesNearTheirLimit(t *testing.T) {
	sample := fine()
	sample.Process.OpenFiles.Value, sample.Process.MaxOpenFiles.Value = 80, 100
	assert.Equal(t, probes.OK, judged(t, sample)["process"].Status)
	sample.Process.OpenFiles.Value = 81
	assert.Equal(t, probes.Warning, judged(t, sample)["process"].Status)
	assert.Equal(t, probes.ReasonAboveThreshold, judged(t, sample)["process"].Reason)
	sample.Process.MaxOpenFiles = sysmetrics.Figure[int]{Err: sysmetrics.ErrUnsupported}
	assert.Equal(t, probes.OK, judged(t, sample)["process"].Status, "without a limit")
}

func TestThresholdErrors(t *testing.T) {
	sample := fine()
	sample.CPU.Percent, sample.Memory.Percent, sample.Disks[0].Percent, sample.Connections.Active = 91.26, 95.04, 90.001, 1001
	sample.Process.OpenFiles.Value, sample.Process.MaxOpenFiles.Value = 90, 100
	c, err := configure([]Option{WithMemoryThreshold(90, 95), WithConnectionsThreshold(1000, Never)})
	require.NoError(t, err)
	var texts []string
	for _, err := range (&system{config: c}).judge(sample).errs {
		texts = append(texts, err.Error())
	}
	assert.Equal(t, []string{
		"91.3% of the CPU is in use, more than the warning threshold of 90%",
		"95.04% of the memory is in use, more than the critical threshold of 95%",
		"90.001% of the file system of / is in use, more than the warning threshold of 90%",
		"1001 TCP connections are established, more than the warning threshold of 1000",
		"90% of the open files that the process may have are in use, more than the warning threshold of 80%",
	}, texts)
	assert.EqualError(t, figure{1_234_567, "", "TCP connections are established"}.above("warning", 1_000_000),
		"1234567 TCP connections are established, more than the warning threshold of 1000000")
}

// A look that does not show the metrics still starts their measurement, and does not wait for it.
func TestEveryLookMeasuresTheMetrics(t *testing.T) {
	if testing.Short() {
		t.Skip("metrics serve for a second")
	}
	h, err := New(WithLogger(slog.New(slog.DiscardHandler)))
	require.NoError(t, err)
	look := func(path string) *metrics {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, nil))
		h.monitor.system.background.Wait()
		h.monitor.system.mu.Lock()
		defer h.monitor.system.mu.Unlock()
		return h.monitor.system.last
	}
	assert.Nil(t, look("/api/health/live/"))
	assert.Nil(t, look("/api/health/startup/"))
	first := look("/api/health/ready/")
	assert.NotNil(t, first)
	require.Eventually(t, func() bool { return look("/api/health/ready/") != first }, 10*time.Second, 100*time.Millisecond)
	require.NoError(t, h.Close())
	closed := look("/api/health/ready/")
	time.Sleep(1100 * time.Millisecond)
	assert.Same(t, closed, look("/api/health/ready/"), "nothing is measured after Close")
}

// A process that starts keeps a CPU busy for a moment, which is no warning. Later each window is compared
// with the threshold: the windows after a pause in sampling are short, too.
func TestCPUOfTheStartIsNoWarning(t *testing.T) {
	c, err := configure([]Option{WithCPUThreshold(80, 90)})
	require.NoError(t, err)
	s := &system{config: c}
	statuses := []probes.Status{}
	for _, window := range []time.Duration{time.Second, 4990 * time.Millisecond, 5 * time.Second, time.Second, time.Minute} {
		sample := fine()
		sample.CPU.Percent, sample.CPU.Window = 100, window
		statuses = append(statuses, s.judge(sample).checks[0].Status)
	}
	assert.Equal(t, []probes.Status{probes.OK, probes.OK, probes.Error, probes.Error, probes.Error}, statuses)
}

func TestValueAtAThresholdDoesNotCrossIt(t *testing.T) {
	tests := []struct {
		percent float64
		status  probes.Status
	}{{90, probes.OK}, {90.01, probes.Warning}, {95, probes.Warning}, {95.01, probes.Error}, {100, probes.Error}}
	for _, test := range tests {
		sample := fine()
		sample.CPU.Percent, sample.Memory.Percent, sample.Disks[0].Percent, sample.Connections.Active = test.percent, test.percent, test.percent, int(test.percent*100)
		checks := judged(t, sample, WithCPUThreshold(90, 95), WithMemoryThreshold(90, 95), WithDiskThreshold(90, 95), WithConnectionsThreshold(9000, 9500))
		delete(checks, "process")
		for name, check := range checks {
			assert.Equal(t, test.status, check.Status, "%s at %v", name, test.percent)
			if test.status != probes.OK {
				assert.Equal(t, probes.ReasonAboveThreshold, check.Reason)
			}
		}
	}
	sample := fine()
	sample.CPU.Percent, sample.Memory.Percent, sample.Connections.Active = 100, 90.001, 1<<31-1
	checks := judged(t, sample)
	assert.Equal(t, probes.Warning, checks["cpu"].Status, "by default 90 and Never")
	assert.Equal(t, probes.Warning, checks["memory"].Status, "on the unrounded value")
	assert.Equal(t, probes.OK, checks["connections"].Status, "by default Never and Never")
	sample.Disks[0].Percent = 96
	assert.Equal(t, probes.Error, judged(t, sample, WithDiskThreshold(Never, 95))["disk"].Status, "without a warning level")
}

// A disk is judged by its blocks and its inodes. The worse of the two counts.
func TestInodesCountLikeBlocks(t *testing.T) {
	for _, test := range []struct {
		percent, inodes float64
		status          probes.Status
		text            string
	}{
		{90, 90, probes.OK, ""},
		{10, 90.5, probes.Warning, "90.5% of the inodes of the file system of / are in use, more than the warning threshold of 90%"},
		{90.5, 92, probes.Warning, "90.5% of the file system of / is in use, more than the warning threshold of 90%"},
		{92, 95.5, probes.Error, "95.5% of the inodes of the file system of / are in use, more than the critical threshold of 95%"},
		{99, 92, probes.Error, "99% of the file system of / is in use, more than the critical threshold of 95%"},
	} {
		sample := fine()
		sample.Disks[0].Percent, sample.Disks[0].InodesPercent.Value = test.percent, test.inodes
		c, err := configure([]Option{WithDiskThreshold(90, 95)})
		require.NoError(t, err)
		m := (&system{config: c}).judge(sample)
		assert.Equal(t, test.status, m.checks[2].Status, "%+v", test)
		if test.text == "" {
			assert.NoError(t, m.errs[2])
		} else {
			assert.EqualError(t, m.errs[2], test.text)
		}
	}
	sample := fine()
	sample.Disks[0].InodesPercent = sysmetrics.Figure[float64]{Err: sysmetrics.ErrUnsupported}
	assert.Equal(t, probes.OK, judged(t, sample, WithDiskThreshold(50, Never))["disk"].Status, "it has no table of inodes")
}

func TestADiskThatCannotBeWrittenTo(t *testing.T) {
	sample := machine()
	disk := &sample.Disks[0]
	disk.ReadOnly = true
	assert.Equal(t, `{"status":"ok","percent":45.8,"free_mb":50000,"total_mb":100000}`, object(judged(t, sample)["disk"]))
	disk.Percent = 91
	assert.Equal(t, probes.ReasonAboveThreshold, judged(t, sample)["disk"].Reason, "other users may write to it")
	disk.BecameReadOnly = true
	assert.Equal(t, `{"status":"warning","reason":"read_only","percent":91,"free_mb":50000,"total_mb":100000}`,
		object(judged(t, sample)["disk"]))
	assert.Equal(t, probes.Error, judged(t, sample, WithDiskThreshold(80, 90))["disk"].Status)

	disk.FreeBytes, disk.Percent, disk.BecameReadOnly = 0, 100, false
	disk.InodesPercent = sysmetrics.Figure[float64]{Value: 100}
	assert.Equal(t, `{"status":"ok","percent":100,"free_mb":0,"total_mb":100000,"inodes_percent":100}`,
		object(judged(t, sample, WithDiskThreshold(80, 90))["disk"]), "an image")

	sample.Disks[0] = sysmetrics.Disk{Name: "disk", Path: "/data", Err: fmt.Errorf("/data: %w", sysmetrics.ErrUnmounted)}
	assert.Equal(t, `{"status":"warning","reason":"unmounted"}`, object(judged(t, sample)["disk"]))
}

func TestMissingMetrics(t *testing.T) {
	sample := fine()
	sample.CPU = sysmetrics.CPU{Count: 4, Err: sysmetrics.ErrPending, ThrottledRatio: sysmetrics.Figure[float64]{Err: sysmetrics.ErrPending}}
	sample.Memory = sysmetrics.Memory{Err: fs.ErrPermission, OOMKills: sysmetrics.Figure[uint64]{Err: fs.ErrPermission}}
	sample.Disks[0] = sysmetrics.Disk{Name: "disk", Path: "/data", Err: &fs.PathError{Op: "statfs", Path: "/data", Err: fs.ErrNotExist}}
	sample.Connections = sysmetrics.Connections{Err: sysmetrics.ErrUnsupported}
	checks := judged(t, sample)
	assert.Equal(t, `{"status":"ok","count":4}`, object(checks["cpu"]), "not measured yet")
	assert.Equal(t, `{"status":"warning","reason":"permission_denied"}`, object(checks["memory"]))
	assert.Equal(t, `{"status":"warning","reason":"not_found"}`, object(checks["disk"]))
	assert.Equal(t, `{"status":"ok"}`, object(checks["connections"]), "not on this system")
}

func TestAStuckDisk(t *testing.T) {
	sample := machine()
	sample.Disks[0].Stuck, sample.Disks[0].Age = true, time.Minute
	assert.Equal(t, `{"status":"warning","reason":"stuck","percent":45.8,"free_mb":50000,"total_mb":100000,"age_seconds":60}`, object(judged(t, sample)["disk"]))
	sample.Disks[0].Percent = 99
	assert.Equal(t, probes.Error, judged(t, sample, WithDiskThreshold(90, 95))["disk"].Status, "the last figure is above the threshold")
}

// If /proc or the control groups do not answer, every metric is stuck.
func TestAStuckSystem(t *testing.T) {
	sample := machine()
	sample.Stuck, sample.Age = true, 12340*time.Millisecond
	sample.Disks[0].Stuck, sample.Disks[0].Age = true, 13*time.Second
	checks := judged(t, sample)
	assert.Equal(t, `{"status":"warning","reason":"stuck","percent":25.5,"count":4,"window_seconds":5,"age_seconds":12.3}`, object(checks["cpu"]))
	assert.Equal(t, `{"status":"warning","reason":"stuck","percent":60.2,"available_mb":2048,"total_mb":8192,"source":"host","age_seconds":12.3}`, object(checks["memory"]))
	assert.Equal(t, `{"status":"warning","reason":"stuck","percent":45.8,"free_mb":50000,"total_mb":100000,"age_seconds":13}`, object(checks["disk"]))
	assert.Equal(t, `{"status":"warning","reason":"stuck","active_connections":42,"age_seconds":12.3}`, object(checks["connections"]))
	assert.Equal(t, `{"status":"warning","reason":"stuck","goroutines":12,"uptime_seconds":90.1,"age_seconds":12.3}`, object(checks["process"]))

	sample.Memory.Percent = 99
	assert.Equal(t, probes.Error, judged(t, sample, WithMemoryThreshold(90, 95))["memory"].Status, "the last figure is above the threshold")
}

// Old figures show their age, but are not a warning, because perhaps there were just no looks.
func TestOldFigures(t *testing.T) {
	sample := machine()
	sample.Age = 30040 * time.Millisecond
	sample.Disks[0].Age = sample.Age
	checks := judged(t, sample)
	assert.Equal(t, `{"status":"ok","percent":25.5,"count":4,"window_seconds":5,"age_seconds":30}`, object(checks["cpu"]))
	assert.Equal(t, `{"status":"ok","percent":60.2,"available_mb":2048,"total_mb":8192,"source":"host","age_seconds":30}`, object(checks["memory"]))
	assert.Equal(t, `{"status":"ok","percent":45.8,"free_mb":50000,"total_mb":100000,"age_seconds":30}`, object(checks["disk"]))
	assert.Equal(t, `{"status":"ok","active_connections":42,"age_seconds":30}`, object(checks["connections"]))
	assert.Equal(t, `{"status":"ok","goroutines":12,"uptime_seconds":90.1,"age_seconds":30}`, object(checks["process"]))

	sample.Memory.Percent = 99
	assert.Equal(t, probes.ReasonAboveThreshold, judged(t, sample, WithMemoryThreshold(90, 95))["memory"].Reason)

	sample = machine()
	sample.Disks[0].Age = oldAge - 1
	assert.NotContains(t, object(judged(t, sample)["disk"]), "age_seconds")
	sample.Disks[0].Age = oldAge
	assert.Equal(t, `{"status":"ok","percent":45.8,"free_mb":50000,"total_mb":100000,"age_seconds":5}`, object(judged(t, sample)["disk"]), "only the disk is late")
}

func TestAgeOfAFigure(t *testing.T) {
	for _, test := range []struct {
		details []slog.Attr
		stuck   bool
		age     time.Duration
		shown   bool
	}{
		{nil, true, time.Hour, false},
		{details{slog.Int("count", 1)}, false, oldAge, true},
		{details{slog.Int("count", 1)}, false, oldAge - 1, false},
		{details{slog.Int("count", 1)}, true, 0, false},
		{details{slog.Int("count", 1)}, true, time.Second, true},
	} {
		m := &metrics{}
		m.add("cpu", test.details, levels{90, Never}, nil, figure{})
		m.markStale(test.stuck, test.age)
		assert.Equal(t, test.shown, len(m.checks[0].Details) > len(test.details), "%+v", test)
		assert.Equal(t, test.stuck, m.checks[0].Status == probes.Warning, "%+v", test)
	}
	assert.EqualError(t, noAnswer(0), "no answer")
	assert.EqualError(t, noAnswer(time.Second+600*time.Microsecond), "no answer; the last one is 1.001s old")
}

func TestOpenFilesWithoutAFigure(t *testing.T) {
	of := func(open, limit sysmetrics.Figure[int]) float64 {
		return openFiles(sysmetrics.Process{OpenFiles: open, MaxOpenFiles: limit})
	}
	unknown := sysmetrics.Figure[int]{Value: 5, Err: sysmetrics.ErrUnsupported}
	assert.Equal(t, 50.0, of(sysmetrics.Figure[int]{Value: 5}, sysmetrics.Figure[int]{Value: 10}))
	assert.Zero(t, of(unknown, sysmetrics.Figure[int]{Value: 10}))
	assert.Zero(t, of(sysmetrics.Figure[int]{Value: 5}, unknown))
	assert.Zero(t, of(sysmetrics.Figure[int]{Value: 5}, sysmetrics.Figure[int]{}))
}

func TestLastOKOfAMetric(t *testing.T) {
	c, err := configure(nil)
	require.NoError(t, err)
	s := &system{config: c, changed: func([]engine.Change) {}}
	for _, check := range s.lastMetrics().checks {
		assert.Equal(t, `{"status":"","reason":""}`, object(check), "not measured yet")
	}
	assert.Len(t, s.lastMetrics().errs, len(s.names()))
	sample := fine()
	s.take(sample)
	later := fine()
	later.At, later.Seq, later.CPU.Err = sample.At.Add(time.Minute), 1, errors.New("gone")
	m := s.take(later)
	assert.Equal(t, sample.At, m.checks[0].LastOK)
	s.close()
	stale := s.stale(later.At)
	assert.Equal(t, sample.At, stale.checks[0].LastOK)
	assert.Equal(t, later.At, stale.checks[1].LastOK)
	assert.Len(t, stale.errs, len(s.names()))
}

func TestChangesOfMetricsComeInTheOrderOfTheChecks(t *testing.T) {
	var told []string
	h, err := New(WithLogger(slog.New(slog.DiscardHandler)), WithOnChange(func(c Change) { told = append(told, c.Check) }))
	require.NoError(t, err)
	h.monitor.system.changed([]engine.Change{{Check: "cpu", To: probes.Warning}, {Check: "disk", To: probes.Warning}})
	require.NoError(t, h.Close())
	assert.Equal(t, []string{"cpu", "disk"}, told)
}

func TestMetricsBeforeTheFirstMeasurement(t *testing.T) {
	pending := sysmetrics.ErrPending
	none := sysmetrics.Figure[float64]{Err: pending}
	sample := &sysmetrics.Sample{
		At:          time.Now(),
		CPU:         sysmetrics.CPU{Count: 4, Err: pending, ThrottledRatio: none},
		Memory:      sysmetrics.Memory{Err: pending, OOMKills: sysmetrics.Figure[uint64]{Err: pending}},
		Disks:       []sysmetrics.Disk{{Name: "disk", Path: "/", Err: pending, InodesPercent: none}},
		Connections: sysmetrics.Connections{Err: pending},
		Process:     sysmetrics.Process{Goroutines: 12, Uptime: time.Second, OpenFiles: sysmetrics.Figure[int]{Err: pending}},
	}
	checks := judged(t, sample)
	assert.Equal(t, `{"status":"ok","count":4}`, object(checks["cpu"]))
	for _, name := range []string{"memory", "disk", "connections"} {
		assert.Equal(t, `{"status":"ok"}`, object(checks[name]), name)
	}
	assert.Equal(t, `{"status":"ok","goroutines":12,"uptime_seconds":1,"heap_mb":0,"max_open_files":0}`, object(checks["process"]))
}

// A slow measurement begins before a sample that is returned in the meantime, but its sample is newer. A
// sample with a lower Seq that arrives late is not newer.
func TestSamplesInTheirOrder(t *testing.T) {
	var changes []engine.Change
	c, err := configure(nil)
	require.NoError(t, err)
	s := &system{config: c, changed: func(more []engine.Change) { changes = append(changes, more...) }}
	meanwhile, fresh := fine(), fine()
	meanwhile.Seq, fresh.Seq = 1, 2
	fresh.At = meanwhile.At.Add(-50 * time.Millisecond)
	fresh.Memory.Percent = 99

	s.take(meanwhile)
	changes = nil
	assert.Same(t, fresh, s.take(fresh).sample)
	require.Len(t, changes, 1)
	assert.Zero(t, changes[0].Lasted, "and not less")
	assert.Equal(t, meanwhile.At, changes[0].At)
	assert.Same(t, fresh, s.take(meanwhile).sample)
	assert.Len(t, changes, 1)
}

func TestMetricsWithoutAnyMeasurement(t *testing.T) {
	broken := errors.New("the system does not answer")
	none := sysmetrics.Figure[float64]{Err: broken}
	sample := &sysmetrics.Sample{
		At: time.Now(), Stuck: true,
		CPU:         sysmetrics.CPU{Count: 4, Err: broken, ThrottledRatio: none},
		Memory:      sysmetrics.Memory{Err: broken, OOMKills: sysmetrics.Figure[uint64]{Err: broken}},
		Disks:       []sysmetrics.Disk{{Name: "disk", Path: "/", Stuck: true, Err: broken, InodesPercent: none}},
		Connections: sysmetrics.Connections{Err: broken},
		Process: sysmetrics.Process{Goroutines: 12, Uptime: time.Second, HeapBytes: sysmetrics.Figure[uint64]{Value: 3 << 19},
			OpenFiles: sysmetrics.Figure[int]{Err: broken}, MaxOpenFiles: sysmetrics.Figure[int]{Value: 1024}},
	}
	checks := judged(t, sample)
	assert.Equal(t, `{"status":"warning","reason":"stuck","count":4}`, object(checks["cpu"]))
	for _, name := range []string{"memory", "disk", "connections"} {
		assert.Equal(t, `{"status":"warning","reason":"stuck"}`, object(checks[name]), name)
	}
	assert.Equal(t, `{"status":"warning","reason":"stuck","goroutines":12,"uptime_seconds":1,"heap_mb":1.5,"max_open_files":1024}`, object(checks["process"]))
}

func TestOverall(t *testing.T) {
	tests := []struct {
		checks []probes.Status // the second check is optional
		metric probes.Status
		want   Status
	}{
		{[]probes.Status{probes.OK, probes.OK}, probes.OK, Healthy},
		{[]probes.Status{probes.Warning, probes.OK}, probes.OK, Degraded},
		{[]probes.Status{probes.OK, probes.Error}, probes.OK, Degraded},
		{[]probes.Status{probes.Error, probes.OK}, probes.OK, Unhealthy},
		{[]probes.Status{probes.Error, probes.Error}, probes.Warning, Unhealthy},
		{[]probes.Status{probes.OK, probes.OK}, probes.Warning, Degraded},
		{[]probes.Status{probes.OK, probes.Warning}, probes.Error, Unhealthy},
	}
	for _, test := range tests {
		m := &monitor{engine: engine.New(nil, nil), dependencies: []dependency{{}, {optional: true}}}
		var checks []Check
		for _, status := range append(test.checks, probes.OK, test.metric) {
			checks = append(checks, Check{Status: status})
		}
		got := m.overall(checks, running)
		assert.Equal(t, test.want, got, "%v", test)
	}
}

func TestChangesOfMetricsAreLogged(t *testing.T) {
	var log bytes.Buffer
	h, err := New(WithLogger(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))), WithoutSystemMetrics())
	require.NoError(t, err)
	s := &system{config: h.config, changed: func(changes []engine.Change) {
		for _, change := range changes {
			h.monitor.engine.Enqueue(func() { h.notifier.Changed(change) })
		}
	}}
	began := time.Now()
	for i, percent := range []float64{10, 10, 95, 95.5, 10} {
		sample := fine()
		sample.At = began.Add(time.Duration(i) * 40 * time.Second)
		sample.Memory.Percent = percent
		s.take(sample)
	}
	sample := fine()
	sample.At = began.Add(200 * time.Second)
	sample.Memory.Err = errors.New("open /proc/meminfo: too strange")
	assert.Equal(t, sample.At, s.take(sample).checks[1].Since)
	assert.Equal(t, began, s.take(sample).checks[0].Since)
	require.NoError(t, h.Close())
	assert.Equal(t, `level=WARN msg="health check changed" check=memory from=ok to=warning lasted=1m20s reason=above_threshold error="95% of the memory is in use, more than the warning threshold of 90%"
level=INFO msg="health check changed" check=memory from=warning to=ok lasted=1m20s
level=WARN msg="health check changed" check=memory from=ok to=warning lasted=40s reason=failed error="open /proc/meminfo: too strange"
`, log.String())
}
