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

// In this file, a missing file is not an error: the root group of version 2 has no limits, and a group has no
// files of a controller that is not enabled for it.

// A memoryLimit is the memory that the limits of all levels allow, in bytes.
type memoryLimit struct {
	total uint64
	room  uint64 // the smallest rest of a limit
}

// tightestMemory applies every limit from the own group upwards to the machine's total. It compares a limit
// with the usage of the group that has the limit. This usage includes all groups below that group.
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

// memoryLimit is the lower of a group's two limits, math.MaxUint64 if there is none. Above memory.high, which
// only version 2 has, the kernel slows the group down so much that it seldom reaches memory.max.
func (g cgroup) memoryLimit(dir string) (uint64, error) {
	name := path.Join(dir, g.memory.file("memory.max", "memory.limit_in_bytes"))
	limit, err := readLimit(g.files, name)
	if err == nil && limit == 0 {
		err = fmt.Errorf("%s: no process could run within 0 bytes", name)
	}
	if err != nil || !g.memory.v2 {
		return limit, err
	}
	high, err := readLimit(g.files, path.Join(dir, "memory.high"))
	if err != nil || high == 0 { // 0 is written for a moment to have memory reclaimed
		return limit, err
	}
	return min(limit, high), nil
}

// readLimit reads a number of bytes, math.MaxUint64 if there is no limit.
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

// workingSet is a group's usage less the page cache that is dropped first. That cache grows up to every
// limit, so the usage does not show how much memory is needed. A sandbox that emulates control groups may
// have no memory.stat. Then workingSet returns the whole usage.
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

// oomKills is the count of the own group.
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
	level string // the directory of the group that has it
}

// tightestQuota is the smallest quota from the own group upwards.
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

// cpuMax is a group's quota in processors, 0 for none. The file has "QUOTA PERIOD" in version 2; version 1
// has the period in another file. No quota is "max" or -1.
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
		return 0, fmt.Errorf("%s: a quota of %d in a period of %d is none", quotaName, quota, period)
	}
	return float64(quota) / float64(period), nil
}

// readCPU reads the counters of the group that has the quota. Only its files count the quota's periods, and
// the use of all groups that share it.
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
// version 1 the time is in the cpuacct hierarchy, which may be mounted elsewhere or not at all.
func (g cgroup) cpuacctUsage(level string) (float64, error) {
	for i, dir := range g.cpu.levels {
		if dir == level && i < len(g.cpuacct.levels) {
			usage, err := readCount(g.files, path.Join(g.cpuacct.levels[i], "cpuacct.usage"))
			return float64(usage) / 1e9, err
		}
	}
	return 0, fmt.Errorf("%s has a CPU quota, but this process can't see a cpuacct directory for it", level)
}

// file returns the name that a file has in this version of the hierarchy.
func (h hierarchy) file(v2, v1 string) string {
	if h.v2 {
		return v2
	}
	return v1
}
