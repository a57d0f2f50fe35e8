package echohealth

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"testing"
	"time"

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

func object(check Check) string { return string(appendCheck(nil, check, false)) }

// fine is a sample in which nothing is remarkable.
func fine() *sysmetrics.Sample {
	return &sysmetrics.Sample{
		At:          time.Now(),
		CPU:         sysmetrics.CPU{Percent: 25.49, Count: 4, Window: time.Second},
		Memory:      sysmetrics.Memory{Percent: 60.21, AvailableBytes: 2048<<20 + 5, TotalBytes: 8192 << 20},
		Disks:       []sysmetrics.Disk{{Name: "disk", Path: "/", Percent: 45.75, FreeBytes: 50000 << 20, TotalBytes: 100000 << 20}},
		Connections: sysmetrics.Connections{Active: 42},
	}
}

func TestMetricsAsTheContractWritesThem(t *testing.T) {
	checks := judged(t, fine())
	assert.Equal(t, `{"status":"ok","percent":25.5,"count":4}`, object(checks["cpu"]))
	assert.Equal(t, `{"status":"ok","percent":60.2,"available_mb":2048,"total_mb":8192}`, object(checks["memory"]))
	assert.Equal(t, `{"status":"ok","percent":45.8,"free_mb":50000,"total_mb":100000}`, object(checks["disk"]))
	assert.Equal(t, `{"status":"ok","active_connections":42}`, object(checks["connections"]))
}

func TestThresholdsAreCrossedByMoreThanThem(t *testing.T) {
	tests := []struct {
		percent float64
		status  probes.Status
	}{{90, probes.OK}, {90.01, probes.Warning}, {95, probes.Warning}, {95.01, probes.Error}, {100, probes.Error}}
	for _, test := range tests {
		sample := fine()
		sample.CPU.Percent, sample.Memory.Percent, sample.Disks[0].Percent, sample.Connections.Active = test.percent, test.percent, test.percent, int(test.percent*100)
		checks := judged(t, sample, WithCPUThreshold(90, 95), WithMemoryThreshold(90, 95), WithDiskThreshold(90, 95), WithConnectionsThreshold(9000, 9500))
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

func TestMetricsThatAreNotThere(t *testing.T) {
	sample := fine()
	sample.CPU = sysmetrics.CPU{Count: 4, Err: sysmetrics.ErrPending}
	sample.Memory = sysmetrics.Memory{Err: fs.ErrPermission}
	sample.Disks[0] = sysmetrics.Disk{Name: "disk", Path: "/data", Err: &fs.PathError{Op: "statfs", Path: "/data", Err: fs.ErrNotExist}}
	sample.Connections = sysmetrics.Connections{Err: sysmetrics.ErrUnsupported}
	checks := judged(t, sample)
	assert.Equal(t, `{"status":"ok","count":4}`, object(checks["cpu"]), "not measured yet")
	assert.Equal(t, `{"status":"warning","reason":"permission_denied"}`, object(checks["memory"]))
	assert.Equal(t, `{"status":"warning","reason":"not_found"}`, object(checks["disk"]))
	assert.Equal(t, `{"status":"ok"}`, object(checks["connections"]), "not on this system")
}

func TestAStuckDisk(t *testing.T) {
	sample := fine()
	sample.Disks[0].Stuck = true
	assert.Equal(t, `{"status":"warning","reason":"stuck","percent":45.8,"free_mb":50000,"total_mb":100000}`, object(judged(t, sample)["disk"]))
	sample.Disks[0].Percent = 99
	assert.Equal(t, probes.Error, judged(t, sample, WithDiskThreshold(90, 95))["disk"].Status, "what it said last is bad enough")
}

func TestOverall(t *testing.T) {
	tests := []struct {
		checks []probes.Status // the second is optional
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
		status := Healthy
		for i, check := range test.checks {
			status = worse(status, check, i == 1)
		}
		assert.Equal(t, test.want, worse(status, test.metric, false), "%v", test)
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
	s := &system{config: h.config, changed: h.metricsChanged}
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
	assert.Equal(t, `level=WARN msg="health check changed" check=memory from=ok to=warning lasted=1m20s reason=above_threshold error="95 is more than 90"
level=INFO msg="health check changed" check=memory from=warning to=ok lasted=1m20s
level=WARN msg="health check changed" check=memory from=ok to=warning lasted=40s reason=failed error="open /proc/meminfo: too strange"
`, log.String())
}
