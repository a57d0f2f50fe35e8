package sysmetrics

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"
	"strings"
	"time"
)

// In this file, a missing file is not an error. The root group of version 2 has no limits, and a group has no
// files for a controller that is not enabled in it.

// A memoryLimit is the memory that the limits of all levels together allow, in bytes.
type memoryLimit struct {
	total uint64
	room  uint64 // the smallest difference between a limit and its group's usage
}

// tightestMemory combines the machine's memory total with the limits of all levels. It compares each limit
// with the usage of the same level's group, because this usage includes all groups below.
func (g cgroup) tightestMemory(total uint64) (memoryLimit, error) {
	tightest := memoryLimit{total: total, room: math.MaxUint64}
	for _, dir := range g.memory.levels {
		limit, err := g.memoryLimit(dir)
		if err != nil {
			return memoryLimit{}, err
		}
		// Version 1 writes a huge number if there is no limit.
		if limit >= total {
			continue
		}
		used, err := g.workingSet(dir)
		if err != nil {
			return memoryLimit{}, err
		}
		tightest.total = min(tightest.total, limit)
		tightest.room = min(tightest.room, limit-min(used, limit))
	}
	return tightest, nil
}

// memoryLimit returns the lower of a group's two limits, or math.MaxUint64 if it has none. The second limit,
// memory.high, exists only in version 2. It counts as a limit, because above it the kernel slows the group
// down so much that the group seldom reaches memory.max.
func (g cgroup) memoryLimit(dir string) (uint64, error) {
	name := path.Join(dir, g.memory.file("memory.max", "memory.limit_in_bytes"))
	limit, err := readLimit(g.files, name)
	if err == nil && limit == 0 {
		err = fmt.Errorf("%s: the memory limit must not be 0 bytes", name)
	}
	if err != nil || !g.memory.v2 {
		return limit, err
	}
	high, err := readLimit(g.files, path.Join(dir, "memory.high"))
	// A manager of control groups may write 0 for a moment to make the kernel reclaim memory.
	if err != nil || high == 0 {
		return limit, err
	}
	return min(limit, high), nil
}

// readLimit reads a number of bytes. It returns math.MaxUint64 if there is no limit.
func readLimit(files fs.FS, name string) (uint64, error) {
	text, err := readFile(files, name)
	if errors.Is(err, fs.ErrNotExist) || strings.TrimSpace(text) == "max" {
		return math.MaxUint64, nil
	}
	if err != nil {
		return 0, err
	}
	return parseCount(name, text)
}

// workingSet returns a group's memory usage minus inactive_file, the page cache that the kernel frees first.
// This cache grows until it reaches the limit, so the usage with it does not show how much memory the group
// needs. If memory.stat is missing, as in a sandbox that emulates control groups, workingSet returns the
// whole usage.
func (g cgroup) workingSet(dir string) (uint64, error) {
	usage, err := readCount(g.files, path.Join(dir, g.memory.file("memory.current", "memory.usage_in_bytes")))
	if err != nil {
		return 0, err
	}
	key := g.memory.file("inactive_file", "total_inactive_file")
	cache, err := readKeyed(g.files, path.Join(dir, "memory.stat"), key)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	return usage - min(cache, usage), nil
}

// oomKills returns how many processes of this process's own group the out-of-memory killer has ended.
func (g cgroup) oomKills() (uint64, error) {
	if len(g.memory.levels) == 0 {
		return 0, ErrUnsupported
	}
	name := path.Join(g.memory.levels[0], g.memory.file("memory.events", "memory.oom_control"))
	kills, err := readKeyed(g.files, name, "oom_kill")
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNoKey) {
		return 0, ErrUnsupported // the root group, or a kernel before 4.13
	}
	return kills, err
}

// A quota is a limit on processor time. The zero value means no quota.
type quota struct {
	cpus  float64
	level string // the directory of the group that has the quota
}

// tightestQuota returns the smallest quota of all levels.
func (g cgroup) tightestQuota() (quota, error) {
	var tightest quota
	for _, dir := range g.cpu.levels {
		cpus, err := g.cpuMax(dir)
		if err != nil {
			return quota{}, err
		}
		if cpus > 0 && (tightest.cpus == 0 || cpus < tightest.cpus) {
			tightest = quota{cpus: cpus, level: dir}
		}
	}
	return tightest, nil
}

// cpuMax returns a group's quota in processors, or 0 if the group has none. In version 2 the file contains
// "QUOTA PERIOD". In version 1 the period is in a second file. The quota "max" in version 2, or -1 in version
// 1, means no quota.
func (g cgroup) cpuMax(dir string) (float64, error) {
	name := path.Join(dir, g.cpu.file("cpu.max", "cpu.cfs_quota_us"))
	text, err := readFile(g.files, name)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	quota, period, _ := strings.Cut(strings.TrimSpace(text), " ")
	if quota == "max" || quota == "-1" {
		return 0, nil
	}
	if g.cpu.v2 {
		return ratio(name, quota, name, period)
	}
	periodName := path.Join(dir, "cpu.cfs_period_us")
	if period, err = readFile(g.files, periodName); err != nil {
		return 0, err
	}
	return ratio(name, quota, periodName, period)
}

func ratio(quotaName, quotaText, periodName, periodText string) (float64, error) {
	quota, err := parseCount(quotaName, quotaText)
	if err != nil {
		return 0, err
	}
	period, err := parseCount(periodName, periodText)
	if err != nil {
		return 0, err
	}
	if quota == 0 || period == 0 {
		return 0, fmt.Errorf("%s: the quota %d and the period %d must be above 0", quotaName, quota, period)
	}
	return float64(quota) / float64(period), nil
}

// readCPU reads the counters of the group that has the quota limit. The counters of a group below would not
// do, because they count neither the quota's periods nor the processor time of the other groups that share
// the quota.
func (g cgroup) readCPU(limit quota) cpuReading {
	name := path.Join(limit.level, "cpu.stat")
	stat, err := readFile(g.files, name)
	now := cpuReading{at: time.Now(), quota: limit, throttlingErr: err}
	if err == nil {
		now.throttling, now.throttlingErr = parseThrottling(name, stat)
	}
	switch {
	case !g.cpu.v2:
		now.times.busy, now.timesErr = g.cpuacctUsage(limit.level)
		now.at = time.Now()
	case err != nil:
		now.timesErr = err
	default:
		usage, err := keyed(name, stat, "usage_usec")
		now.times.busy, now.timesErr = float64(usage)/1e6, err
	}
	return now
}

func parseThrottling(name, stat string) (throttling, error) {
	periods, err := keyed(name, stat, "nr_periods")
	if err != nil {
		return throttling{}, err
	}
	throttled, err := keyed(name, stat, "nr_throttled")
	return throttling{periods: float64(periods), throttled: float64(throttled)}, err
}

// cpuacctUsage returns the processor time, in seconds, of the group whose quota is in the directory level. In
// version 1, this time is in the hierarchy cpuacct, which may be mounted elsewhere than cpu or not at all.
func (g cgroup) cpuacctUsage(level string) (float64, error) {
	for i, dir := range g.cpu.levels {
		if dir == level && i < len(g.cpuacct.levels) {
			usage, err := readCount(g.files, path.Join(g.cpuacct.levels[i], "cpuacct.usage"))
			return float64(usage) / 1e9, err
		}
	}
	return 0, fmt.Errorf("%s has a CPU quota, but this process can't see a cpuacct directory for it", level)
}

// file returns v2 or v1, the names of a file in version 2 and version 1.
func (h hierarchy) file(v2, v1 string) string {
	if h.v2 {
		return v2
	}
	return v1
}
