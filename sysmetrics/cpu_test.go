package sysmetrics

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// loadedHost is a machine whose processors are busy for the given share of the time.
func loadedHost(share float64) machine {
	m := fakeHost(nil)
	boot := time.Now().Add(-time.Hour)
	m.cpu = func() (cpuTimes, error) {
		ticks := 200 * time.Since(boot).Seconds() // two processors
		return cpuTimes{busy: share * ticks, total: ticks}, nil
	}
	return m
}

func TestCPUHasNoFigureBeforeASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sampler(t, loadedHost(0.25))

		time.Sleep(500 * time.Millisecond)
		early := s.Sample().CPU
		assert.Equal(t, CPU{Count: runtime.NumCPU(), Err: ErrPending, ThrottledRatio: Figure[float64]{Err: ErrUnsupported}}, early)

		time.Sleep(time.Second)
		cpu := s.Sample().CPU
		require.NoError(t, cpu.Err)
		assert.Equal(t, 1500*time.Millisecond, cpu.Window, "since New")
		assert.InDelta(t, 25, cpu.Percent, 1e-6)
		assert.Equal(t, Host, cpu.Source)
		assert.Zero(t, cpu.LimitCPUs)
	})
}

// At any steady rate of samples, the window must be long enough for a figure, and must not grow without
// limit.
func TestCPUWindowUnderSteadySampling(t *testing.T) {
	for _, every := range []time.Duration{10 * time.Millisecond, 700 * time.Millisecond, time.Second, 3 * time.Second, 4900 * time.Millisecond} {
		t.Run(every.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := sampler(t, loadedHost(0.25))
				begin := time.Now()
				for time.Since(begin) < 5*time.Minute {
					time.Sleep(every)
					cpu := s.Sample().CPU
					if time.Since(begin) < 2*time.Second && cpu.Err != nil {
						continue
					}
					require.NoError(t, cpu.Err)
					require.InDelta(t, 25, cpu.Percent, 1e-6)
					require.GreaterOrEqual(t, cpu.Window, cpuMinWindow)
					require.LessOrEqual(t, cpu.Window, cpuMaxWindow)
					if time.Since(begin) > cpuMaxWindow {
						require.GreaterOrEqual(t, cpu.Window, cpuRotation)
					}
				}
			})
		})
	}
}

func TestCPUWindowAfterAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sampler(t, loadedHost(0.25))
		time.Sleep(10 * time.Minute)
		assert.Equal(t, 10*time.Minute, s.Sample().CPU.Window, "all there is to compare with")
		time.Sleep(time.Second)
		assert.Equal(t, time.Second, s.Sample().CPU.Window, "a second is enough again")
		time.Sleep(5 * time.Second)
		assert.Equal(t, 6*time.Second, s.Sample().CPU.Window)
	})
}

// If counters jump or go back, the figure must be from 0 to 100 or absent.
func TestCPUCountersThatMisbehave(t *testing.T) {
	tests := []struct {
		busy, total float64 // the growth of the counters in a window
		want        float64
	}{
		{25, 100, 25},
		{0, 100, 0},
		{100, 100, 100},
		{0, 0, 0},
		{-5, 100, 0},
		{-5, -100, 0},
		{5, 0, 100},
		{5, -100, 100},
		{500, 100, 100},
		{math.MaxFloat64, 1, 100},
		{1e-300, math.MaxFloat64, 0},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%g of %g", tt.busy, tt.total), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := fakeHost(nil)
				times := cpuTimes{}
				m.cpu = func() (cpuTimes, error) { return times, nil }
				s := sampler(t, m)
				time.Sleep(2 * time.Second)
				times = cpuTimes{busy: tt.busy, total: tt.total}
				cpu := s.Sample().CPU
				require.NoError(t, cpu.Err)
				assert.InDelta(t, tt.want, cpu.Percent, 1e-9)
			})
		})
	}
}

// A cpuset may change while the process runs. The difference between counters of different processors must
// not become a figure.
func TestCPUOfOtherProcessors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := fakeHost(nil)
		times := cpuTimes{busy: 1000, total: 4000, of: "cpu0cpu1"}
		m.cpu = func() (cpuTimes, error) { return times, nil }
		s := sampler(t, m)
		after := func(busy, total float64, of string) CPU {
			time.Sleep(2 * time.Second)
			times = cpuTimes{busy: busy, total: total, of: of}
			return s.Sample().CPU
		}
		assert.InDelta(t, 50, after(1100, 4200, "cpu0cpu1").Percent, 1e-9)
		assert.ErrorIs(t, after(400, 1500, "cpu1").Err, ErrPending)
		assert.InDelta(t, 100, after(500, 1600, "cpu1").Percent, 1e-9)
	})
}

// An error must be reported as long as it lasts. After that a new window must begin.
func TestCPUThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("unreadable")
		m := loadedHost(0.25)
		good, failing := m.cpu, true
		m.cpu = func() (cpuTimes, error) {
			if failing {
				return cpuTimes{}, broken
			}
			return good()
		}
		s := sampler(t, m)
		time.Sleep(2 * time.Second)
		sample := s.Sample()
		assert.Equal(t, CPU{Count: runtime.NumCPU(), Err: broken, ThrottledRatio: Figure[float64]{Err: ErrUnsupported}}, sample.CPU)
		assert.NoError(t, sample.Memory.Err, "the rest is there")

		failing = false
		time.Sleep(2 * time.Second)
		assert.ErrorIs(t, s.Sample().CPU.Err, ErrPending)
		time.Sleep(cpuMaxWindow)
		s.Sample()
		time.Sleep(cpuMinWindow)
		cpu := s.Sample().CPU
		require.NoError(t, cpu.Err)
		assert.InDelta(t, 25, cpu.Percent, 1e-6)
	})
}

// The control group has half a processor and used half of it. It was throttled in 1 of 4 periods.
func TestCPUOfAQuota(t *testing.T) {
	layouts := map[string]struct {
		files fstest.MapFS
		spend func(files fstest.MapFS, ms, periods, throttled int)
	}{
		"v2": {
			merge(proc("0::/pod/web\n", v2Mount),
				v2Group("sys/fs/cgroup/pod/web", "max\n", "max 100000\n"),
				v2Group("sys/fs/cgroup/pod", "max\n", halfCPU)),
			func(files fstest.MapFS, ms, periods, throttled int) {
				set(files, "sys/fs/cgroup/pod/cpu.stat",
					fmt.Sprintf("usage_usec %d000\nnr_periods %d\nnr_throttled %d\n", ms, periods, throttled))
			},
		},
		"v1": {
			merge(proc(fmt.Sprintf(v1Members, "/pod/web"), cpuMount),
				v1Group("none", "sys/fs/cgroup/cpu,cpuacct/pod/web", v1None, "-1\n"),
				v1Group("none", "sys/fs/cgroup/cpu,cpuacct/pod", v1None, "50000\n")),
			func(files fstest.MapFS, ms, periods, throttled int) {
				set(files, "sys/fs/cgroup/cpu,cpuacct/pod/cpu.stat", fmt.Sprintf("nr_periods %d\nnr_throttled %d\n", periods, throttled))
				set(files, "sys/fs/cgroup/cpu,cpuacct/pod/cpuacct.usage", fmt.Sprintf("%d000000\n", ms))
			},
		},
	}
	for name, layout := range layouts {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				layout.spend(layout.files, 1000, 100, 40)
				s := sampler(t, fakeHost(layout.files))
				time.Sleep(2 * time.Second)
				layout.spend(layout.files, 1500, 120, 45)

				cpu := s.Sample().CPU
				require.NoError(t, cpu.Err)
				assert.InDelta(t, 50, cpu.Percent, 1e-9)
				assert.Equal(t, Figure[float64]{Value: 0.25}, cpu.ThrottledRatio)
				assert.Equal(t, 2*time.Second, cpu.Window)
				assert.Equal(t, 0.5, cpu.LimitCPUs)
				assert.Equal(t, Cgroup, cpu.Source)

				time.Sleep(2 * time.Second)
				layout.spend(layout.files, 9000, 120, 45)
				assert.Equal(t, 100.0, s.Sample().CPU.Percent, "more than the quota, as after a burst")
				time.Sleep(2 * time.Second)
				layout.spend(layout.files, 0, 0, 0)
				cpu = s.Sample().CPU
				assert.Zero(t, cpu.Percent, "counters that went back")
				assert.Equal(t, Figure[float64]{}, cpu.ThrottledRatio)
			})
		})
	}
}

// A quota may be raised, removed or set while the process runs.
func TestCPUQuotaChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := merge(proc("0::/\n", v2Mount), v2Group("sys/fs/cgroup", "max\n", halfCPU))
		m := loadedHost(0.25)
		m.files = files
		s := sampler(t, m)
		sampleAfter := func(d time.Duration) CPU {
			time.Sleep(d)
			return s.Sample().CPU
		}
		assert.Equal(t, 0.5, sampleAfter(2*time.Second).LimitCPUs)

		set(files, "sys/fs/cgroup/cpu.max", "100000 100000\n")
		raised := sampleAfter(2 * time.Second)
		assert.NoError(t, raised.Err, "the counters are the same")
		assert.Equal(t, 1.0, raised.LimitCPUs)

		set(files, "sys/fs/cgroup/cpu.max", "max 100000\n")
		lifted := sampleAfter(2 * time.Second)
		assert.ErrorIs(t, lifted.Err, ErrPending, "the machine's counters need a window of their own")
		assert.Zero(t, lifted.LimitCPUs)
		lifted = sampleAfter(2 * time.Second)
		assert.InDelta(t, 25, lifted.Percent, 1e-6)
		assert.Equal(t, Host, lifted.Source)
		assert.ErrorIs(t, lifted.ThrottledRatio.Err, ErrUnsupported)

		set(files, "sys/fs/cgroup/cpu.max", halfCPU)
		assert.ErrorIs(t, sampleAfter(2*time.Second).ThrottledRatio.Err, ErrPending)
		assert.Equal(t, Cgroup, sampleAfter(2*time.Second).Source)
	})
}

// A quota that exceeds the processors of the machine must not be used. Otherwise the figure would hide that
// all processors are busy.
func TestCPUQuotaAboveTheMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cpus := runtime.NumCPU()
		files := merge(proc("0::/\n", v2Mount), v2Group("sys/fs/cgroup", "max\n", fmt.Sprintf("%d00000 100000\n", 4*cpus)))
		s := sampler(t, fakeHost(files))
		time.Sleep(2 * time.Second)
		set(files, "sys/fs/cgroup/cpu.stat", fmt.Sprintf("usage_usec %d\nnr_periods 20\nnr_throttled 0\n", 2_000_000*cpus))
		cpu := s.Sample().CPU
		assert.Equal(t, 100.0, cpu.Percent)
		assert.Equal(t, float64(4*cpus), cpu.LimitCPUs)
	})
}
