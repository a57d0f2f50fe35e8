package sysmetrics

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
)

// fuzzed has the contents of a control group's files, whatever their names in the version are. All levels
// have the same contents.
type fuzzed struct {
	memoryMax, memoryHigh, memoryUsage, memoryStat, memoryEvents, cpuQuota, cpuPeriod, cpuStat, cpuUsage string
}

func (z fuzzed) write(files fstest.MapFS, levels ...string) {
	for _, dir := range levels {
		for name, content := range map[string]string{
			"memory.max": z.memoryMax, "memory.limit_in_bytes": z.memoryMax, "memory.high": z.memoryHigh,
			"memory.current": z.memoryUsage, "memory.usage_in_bytes": z.memoryUsage,
			"memory.stat":   z.memoryStat,
			"memory.events": z.memoryEvents, "memory.oom_control": z.memoryEvents,
			"cpu.max": z.cpuQuota, "cpu.cfs_quota_us": z.cpuQuota, "cpu.cfs_period_us": z.cpuPeriod,
			"cpu.stat": z.cpuStat, "cpuacct.usage": z.cpuUsage,
		} {
			set(files, path.Join(dir, name), content)
		}
	}
}

// FuzzCgroup verifies that a figure is in its range with any content of the files, and absent if it depends
// on garbage.
func FuzzCgroup(f *testing.F) {
	const (
		v1Stat   = "cache 9\ninactive_file 1\ntotal_cache 9\ntotal_inactive_file 20971520\n"
		v2Stat   = "anon 1\nfile 2\ninactive_anon 7\ninactive_file 20971520\nactive_file 5\n"
		v1Events = "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"
		v2Events = "low 0\nhigh 0\nmax 5\noom 4\noom_kill 3\noom_group_kill 0\n"
		v1CPU    = "nr_periods 10\nnr_throttled 4\nthrottled_time 5\n"
		v2CPU    = "usage_usec 100\nuser_usec 60\nsystem_usec 40\nnr_periods 10\nnr_throttled 4\nthrottled_usec 5\n"
		usage    = "104857600\n"
	)
	v1Web, unmounted := fmt.Sprintf(v1Members, "/web"), strings.Replace(v2Mount, " / ", " /../.. ", 1)
	f.Add("0::/web\n", v2Mount, "134217728\n", "max\n", usage, v2Stat, v2Events, halfCPU, "", v2CPU, "", "usage_usec 500100\nnr_periods 30\nnr_throttled 9\n", "")
	f.Add("0::/pod/web\n", v2Mount, "max\n", "125829120\n", usage, v2Stat, v2Events, "max 100000\n", "", v2CPU, "", v2CPU, "")
	f.Add(v1Web, memoryMount+cpuMount, "134217728\n", "", usage, v1Stat, v1Events, "50000\n", "100000\n", v1CPU, "1000000\n", v1CPU, "900000000\n")
	f.Add(v1Web, memoryMount+cpuMount, v1None, "", usage, v1Stat, v1Events, "-1\n", "100000\n", v1CPU, "0\n", v1CPU, "0\n")
	f.Add("2:cpu,cpuacct:/web\n0::/web\n", cpuMount+v2Mount, "134217728\n", "1\n", usage, v2Stat, v2Events, "50000\n", "100000\n", v1CPU, "5\n", v1CPU, "4\n")
	f.Add("4:cpuacct:/else\n2:cpu:/web\n", strings.Replace(cpuMount, "cpu,cpuacct", "cpu", 2), "", "", "", "", "", "50000\n", "100000\n", v1CPU, "", v1CPU, "")
	f.Add("0::/../..\n1:memory,cpu:/a/../b\n", strings.Replace(v2Mount, " / ", ` /\04 `, 1), "max", "0", "", "", "", "max", "", "", "", "", "")
	f.Add("0::/", unmounted, "0", "0", "0", "inactive_file 2", "oom_kill 1", "0 0", "0", "usage_usec 1", "1", "usage_usec 0", "0")
	f.Add("0::/x", "1 2 3 / // rw - cgroup2 x y", "18446744073709551615", "18446744073709551615", "18446744073709551615",
		"inactive_file -1", "oom_kill 18446744073709551615", "18446744073709551615 1", "", "usage_usec 18446744073709551615\nnr_periods -1", "", "", "")

	f.Fuzz(func(t *testing.T, memberships, mountinfo, memoryMax, memoryHigh, memoryUsage, memoryStat, memoryEvents, cpuQuota, cpuPeriod,
		cpuStat, cpuUsage, cpuStatLater, cpuUsageLater string) {
		if len(memberships)+len(mountinfo) > 4<<10 {
			t.Skip("the kernel has no paths as long as that")
		}
		if !utf8.ValidString(memberships + mountinfo) {
			t.Skip("no fs.FS has such names: MapFS says that they do not exist, rootFS that they are invalid")
		}
		files := proc(memberships, mountinfo)
		found, err := findCgroup(files)
		if err != nil {
			t.Fatalf("no file is missing: %v", err)
		}
		z := fuzzed{memoryMax, memoryHigh, memoryUsage, memoryStat, memoryEvents, cpuQuota, cpuPeriod, cpuStat, cpuUsage}
		levels := append(append(found.memory.levels, found.cpu.levels...), found.cpuacct.levels...)
		z.write(files, levels...)
		synctest.Test(t, func(t *testing.T) {
			s := sampler(t, fakeHost(files))
			checkCgroup(t, s.Sample(), found, z)
			time.Sleep(2 * time.Second)
			z.cpuStat, z.cpuUsage = cpuStatLater, cpuUsageLater
			z.write(files, levels...)
			checkCgroup(t, s.Sample(), found, z)
		})
	})
}

func checkCgroup(t *testing.T, s *Sample, g cgroup, z fuzzed) {
	checkMemory(t, s.Memory)
	checkCPU(t, s.CPU)
	if len(g.memory.levels) > 0 && (!limitIn(z.memoryMax) || g.memory.v2 && !highIn(z.memoryHigh)) {
		checkAbsent(t, "memory", s.Memory.Err)
	}
	if kills := s.Memory.OOMKills; kills.Err != nil {
		checkErr(t, "oom_kills", kills.Err)
	} else {
		assert.LessOrEqual(t, kills.Value, uint64(math.MaxInt64))
		assert.Contains(t, z.memoryEvents, fmt.Sprint(kills.Value))
	}
	if len(g.cpu.levels) > 0 && !quotaIn(g.cpu.v2, z) {
		checkAbsent(t, "cpu", s.CPU.Err)
		assert.Zero(t, s.CPU.LimitCPUs)
	}
}

// limitIn, highIn and quotaIn parse the files in another way than the code, to decide what is garbage.
func limitIn(memoryMax string) bool {
	text := strings.TrimSpace(memoryMax)
	limit, err := strconv.ParseInt(text, 10, 64)
	return text == "max" || err == nil && limit > 0
}

func highIn(memoryHigh string) bool {
	n, err := strconv.ParseInt(strings.TrimSpace(memoryHigh), 10, 64)
	return limitIn(memoryHigh) || err == nil && n == 0
}

func quotaIn(v2 bool, z fuzzed) bool {
	positive := func(text string) bool {
		n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		return err == nil && n > 0
	}
	quota, period, _ := strings.Cut(strings.TrimSpace(z.cpuQuota), " ")
	if !v2 {
		period = z.cpuPeriod
	}
	return quota == "max" || quota == "-1" || positive(quota) && positive(period)
}

func checkMemory(t *testing.T, m Memory) {
	if m.Err != nil {
		checkErr(t, "memory", m.Err)
		assert.Equal(t, Memory{Err: m.Err, OOMKills: m.OOMKills}, m)
		return
	}
	checkShare(t, "memory", m.Percent, 100)
	assert.LessOrEqual(t, m.AvailableBytes, m.TotalBytes)
	assert.LessOrEqual(t, m.TotalBytes, uint64(gib), "the host has no more")
	assert.Positive(t, m.TotalBytes)
	assert.Equal(t, m.TotalBytes < gib, m.Source == Cgroup)
}

func checkCPU(t *testing.T, c CPU) {
	assert.Positive(t, c.Count)
	assert.False(t, math.IsNaN(c.LimitCPUs) || math.IsInf(c.LimitCPUs, 0) || c.LimitCPUs < 0, "%v", c.LimitCPUs)
	if c.Err != nil {
		checkErr(t, "cpu", c.Err)
		assert.Zero(t, c.Percent)
		assert.Zero(t, c.Window)
	} else {
		checkShare(t, "cpu", c.Percent, 100)
		assert.GreaterOrEqual(t, c.Window, cpuMinWindow)
		assert.Equal(t, c.LimitCPUs > 0, c.Source == Cgroup)
	}
	if err := c.ThrottledRatio.Err; err != nil {
		checkErr(t, "throttling", err)
		assert.Zero(t, c.ThrottledRatio.Value)
	} else {
		checkShare(t, "throttling", c.ThrottledRatio.Value, 1)
	}
}

func checkShare(t *testing.T, what string, v, whole float64) {
	assert.True(t, v >= 0 && v <= whole, "%s: %v", what, v) // this also excludes NaN
}

// checkErr requires that an error has a text, and that it quotes only a part of what may be garbage.
func checkErr(t *testing.T, what string, err error) {
	assert.NotEmpty(t, err.Error(), what)
	assert.Less(t, len(err.Error()), 8<<10, what) // paths, and 40 bytes of the content
}

// checkAbsent requires that garbage causes an error that is neither ErrPending nor ErrUnsupported.
func checkAbsent(t *testing.T, what string, err error) {
	if err == nil || errors.Is(err, ErrPending) || errors.Is(err, ErrUnsupported) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s was made from garbage: %v", what, err)
	}
}
