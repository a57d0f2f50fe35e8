package sysmetrics

import (
	"fmt"
	"io/fs"
	"maps"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// These are lines of /proc/self/mountinfo.
const (
	rootMount   = "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw\n"
	v2Mount     = "29 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
	memoryMount = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:8 - cgroup cgroup rw,memory\n"
	cpuMount    = "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n"
)

// v1None is the value with which version 1 represents no limit.
const v1None = "9223372036854771712\n"

// v1Group returns the files of one level of version 1, with a usage of 100 MiB, of which 20 MiB are cache.
func v1Group(memory, cpu, limit, quota string) fstest.MapFS {
	return fixture(
		memory+"/memory.limit_in_bytes", limit,
		memory+"/memory.usage_in_bytes", bytesOf(100*mib),
		memory+"/memory.stat", "cache 9\ninactive_file 1\ntotal_cache 9\ntotal_inactive_file "+bytesOf(20*mib),
		memory+"/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
		cpu+"/cpu.cfs_quota_us", quota,
		cpu+"/cpu.cfs_period_us", "100000\n",
		cpu+"/cpu.stat", "nr_periods 0\nnr_throttled 0\nthrottled_time 0\n",
		cpu+"/cpuacct.usage", "0\n",
	)
}

// v2Group returns the files of one level of version 2, with the same usage.
func v2Group(dir, limit, quota string) fstest.MapFS {
	return fixture(
		dir+"/memory.max", limit,
		dir+"/memory.current", bytesOf(100*mib),
		dir+"/memory.stat", "anon 1\nfile 2\ninactive_anon 7\ninactive_file "+bytesOf(20*mib)+"active_file 5\n",
		dir+"/memory.events", "low 0\nhigh 0\nmax 5\noom 4\noom_kill 3\noom_group_kill 0\n",
		dir+"/cpu.max", quota,
		dir+"/cpu.stat", "usage_usec 0\nuser_usec 0\nsystem_usec 0\nnr_periods 0\nnr_throttled 0\nthrottled_usec 0\n",
	)
}

func bytesOf(n uint64) string { return strconv.FormatUint(n, 10) + "\n" }

func merge(parts ...fstest.MapFS) fstest.MapFS {
	all := fstest.MapFS{}
	for _, p := range parts {
		maps.Copy(all, p)
	}
	return all
}

func proc(memberships, mountinfo string) fstest.MapFS {
	return fixture("proc/self/cgroup", memberships, "proc/self/mountinfo", rootMount+mountinfo)
}

const (
	v1Members = "9:name=systemd:/\n4:memory:%[1]s\n3:cpuset:/\n2:cpu,cpuacct:%[1]s\n"
	halfCPU   = "50000 100000\n"
)

// TestLayouts contains every way in which a control group can be visible. The expected usage of a limit is 80
// MiB, as v1Group and v2Group return it.
func TestLayouts(t *testing.T) {
	type want struct {
		total, available uint64 // in MiB; 0 means the host's 1024 and 800
		cpus             float64
		kills            int // -1 means that none are counted
	}
	host := want{total: 1024, available: 800, kills: -1}
	tests := []struct {
		name  string
		files fstest.MapFS
		want  want
	}{
		{"no control groups", fixture(), host},
		{"v2 leaf", merge(
			proc("0::/app.slice/web.service\n", v2Mount),
			v2Group("sys/fs/cgroup/app.slice/web.service", bytesOf(128*mib), halfCPU),
			v2Group("sys/fs/cgroup/app.slice", "max\n", "max 100000\n"),
		), want{128, 48, 0.5, 3}},
		{"v2 private namespace, as in a container", merge(
			proc("0::/\n", v2Mount),
			v2Group("sys/fs/cgroup", bytesOf(128*mib), halfCPU),
		), want{128, 48, 0.5, 3}},
		{"v2 private namespace with the host's mount left", merge(
			proc("0::/\n", strings.Replace(v2Mount, " / ", " /../.. ", 1)),
			v2Group("sys/fs/cgroup", bytesOf(128*mib), halfCPU),
		), host},
		{"v2 member of a group outside of the namespace", merge(
			proc("0::/../other\n", v2Mount),
			v2Group("sys/fs/cgroup", bytesOf(128*mib), halfCPU),
		), host},
		{"v2 limit on the parent", merge(
			proc("0::/pod/web\n", v2Mount),
			v2Group("sys/fs/cgroup/pod/web", "max\n", "max 100000\n"),
			v2Group("sys/fs/cgroup/pod", bytesOf(192*mib), "30000 100000\n"),
		), want{192, 112, 0.3, 3}},
		{"v2 limits on both: the parent has less room, the child the lower limit", merge(
			proc("0::/pod/web\n", v2Mount),
			v2Group("sys/fs/cgroup/pod/web", bytesOf(150*mib), "200000 100000\n"),
			v2Group("sys/fs/cgroup/pod", bytesOf(192*mib), "100000 100000\n"),
			fixture("sys/fs/cgroup/pod/memory.current", bytesOf(205*mib)),
		), want{150, 7, 1, 3}},
		{"v2 limits on both: the child has less room and the lower limit", merge(
			proc("0::/pod/web\n", v2Mount),
			v2Group("sys/fs/cgroup/pod/web", bytesOf(150*mib), "100000 100000\n"),
			v2Group("sys/fs/cgroup/pod", bytesOf(500*mib), "200000 100000\n"),
		), want{150, 70, 1, 3}},
		{"v2 max everywhere", merge(
			proc("0::/web\n", v2Mount),
			v2Group("sys/fs/cgroup/web", "max\n", "max 100000\n"),
		), want{1024, 800, 0, 3}},
		{"v2 root group", merge(
			proc("0::/\n", v2Mount),
			fixture("sys/fs/cgroup/cgroup.procs", "1\n", "sys/fs/cgroup/cpu.stat", "usage_usec 7\n"),
		), host},
		{"v2 controllers not enabled", merge(
			proc("0::/web\n", v2Mount),
			fixture("sys/fs/cgroup/web/cgroup.procs", "1\n"),
		), host},
		{"v2 limit above the machine's memory", merge(
			proc("0::/\n", v2Mount),
			v2Group("sys/fs/cgroup", bytesOf(2*gib), "max 100000\n"),
		), want{1024, 800, 0, 3}},
		{"v2 machine has less available than the limit leaves", merge(
			proc("0::/\n", v2Mount),
			v2Group("sys/fs/cgroup", bytesOf(1000*mib), "max 100000\n"),
		), want{1000, 800, 0, 3}},
		{"v2 usage above a limit that was lowered", merge(
			proc("0::/\n", v2Mount),
			v2Group("sys/fs/cgroup", bytesOf(64*mib), "max 100000\n"),
		), want{64, 0, 0, 3}},
		{"v2 more cache than usage", merge(
			proc("0::/\n", v2Mount),
			v2Group("sys/fs/cgroup", bytesOf(64*mib), "max 100000\n"),
			fixture("sys/fs/cgroup/memory.current", bytesOf(mib)),
		), want{64, 64, 0, 3}},
		{"v2 mounted at a path with a blank and a backslash", merge(
			proc("0::/my app\\x2d1\n", strings.Replace(v2Mount, "/sys/fs/cgroup", `/mnt/c\040g\134`, 1)),
			v2Group(`mnt/c g\/my app\x2d1`, bytesOf(128*mib), halfCPU),
		), want{128, 48, 0.5, 3}},
		{"v2 mounted twice: the mount that shows more levels counts", merge(
			proc("0::/pod/web\n", strings.Replace(strings.Replace(v2Mount, " / ", " /pod/web ", 1), "/sys/fs/cgroup", "/mnt/leaf", 1)+v2Mount),
			v2Group("mnt/leaf", "max\n", "max 100000\n"),
			v2Group("sys/fs/cgroup/pod/web", "max\n", "max 100000\n"),
			v2Group("sys/fs/cgroup/pod", bytesOf(192*mib), halfCPU),
		), want{192, 112, 0.5, 3}},
		{"v2 memory.high without memory.max", merge(
			proc("0::/web\n", v2Mount),
			v2Group("sys/fs/cgroup/web", "max\n", "max 100000\n"),
			fixture("sys/fs/cgroup/web/memory.high", bytesOf(200*mib)),
		), want{200, 120, 0, 3}},
		{"v2 memory.high below memory.max", merge(
			proc("0::/web\n", v2Mount),
			v2Group("sys/fs/cgroup/web", bytesOf(256*mib), "max 100000\n"),
			fixture("sys/fs/cgroup/web/memory.high", bytesOf(200*mib)),
		), want{200, 120, 0, 3}},
		{"v2 memory.high above memory.max", merge(
			proc("0::/web\n", v2Mount),
			v2Group("sys/fs/cgroup/web", bytesOf(128*mib), "max 100000\n"),
			fixture("sys/fs/cgroup/web/memory.high", bytesOf(200*mib)),
		), want{128, 48, 0, 3}},
		{"v2 memory.high on the parent", merge(
			proc("0::/pod/web\n", v2Mount),
			v2Group("sys/fs/cgroup/pod/web", bytesOf(500*mib), "max 100000\n"),
			v2Group("sys/fs/cgroup/pod", bytesOf(500*mib), "max 100000\n"),
			fixture("sys/fs/cgroup/pod/memory.high", bytesOf(192*mib)),
		), want{192, 112, 0, 3}},
		{"v2 usage above memory.high", merge(
			proc("0::/web\n", v2Mount),
			v2Group("sys/fs/cgroup/web", bytesOf(256*mib), "max 100000\n"),
			fixture("sys/fs/cgroup/web/memory.high", bytesOf(64*mib)),
		), want{64, 0, 0, 3}},
		{"v2 memory.high of 0, to have memory reclaimed, and of max", merge(
			proc("0::/pod/web\n", v2Mount),
			v2Group("sys/fs/cgroup/pod/web", "max\n", "max 100000\n"),
			v2Group("sys/fs/cgroup/pod", bytesOf(192*mib), "max 100000\n"),
			fixture("sys/fs/cgroup/pod/web/memory.high", "0\n", "sys/fs/cgroup/pod/memory.high", "max\n"),
		), want{192, 112, 0, 3}},
		{"v2 sandbox without memory.stat", merge(
			proc("0::/\n", v2Mount),
			fixture("sys/fs/cgroup/memory.max", bytesOf(128*mib), "sys/fs/cgroup/memory.current", bytesOf(100*mib)),
		), want{128, 28, 0, -1}},
		{"v1 leaf", merge(
			proc(fmt.Sprintf(v1Members, "/web"), memoryMount+cpuMount),
			v1Group("sys/fs/cgroup/memory/web", "sys/fs/cgroup/cpu,cpuacct/web", bytesOf(128*mib), "50000\n"),
			v1Group("sys/fs/cgroup/memory", "sys/fs/cgroup/cpu,cpuacct", v1None, "-1\n"),
		), want{128, 48, 0.5, 3}},
		{"v1 limit on the parent", merge(
			proc(fmt.Sprintf(v1Members, "/pod/web"), memoryMount+cpuMount),
			v1Group("sys/fs/cgroup/memory/pod/web", "sys/fs/cgroup/cpu,cpuacct/pod/web", v1None, "-1\n"),
			v1Group("sys/fs/cgroup/memory/pod", "sys/fs/cgroup/cpu,cpuacct/pod", bytesOf(192*mib), "50000\n"),
		), want{192, 112, 0.5, 3}},
		{"v1 bind mount, as docker makes it", merge(
			proc(fmt.Sprintf(v1Members, "/docker/abc"), strings.Replace(memoryMount+cpuMount, " / ", " /docker/abc ", 2)),
			v1Group("sys/fs/cgroup/memory", "sys/fs/cgroup/cpu,cpuacct", bytesOf(128*mib), "50000\n"),
		), want{128, 48, 0.5, 3}},
		{"v1 bind mount of a group whose name only begins alike", merge(
			proc(fmt.Sprintf(v1Members, "/docker/abcd"), strings.Replace(memoryMount+cpuMount, " / ", " /docker/abc ", 2)),
			v1Group("sys/fs/cgroup/memory", "sys/fs/cgroup/cpu,cpuacct", bytesOf(128*mib), "50000\n"),
			v1Group("sys/fs/cgroup/memoryd", "sys/fs/cgroup/cpu,cpuacctd", bytesOf(128*mib), "50000\n"),
		), host},
		{"v1 without limits", merge(
			proc(fmt.Sprintf(v1Members, "/"), memoryMount+cpuMount),
			v1Group("sys/fs/cgroup/memory", "sys/fs/cgroup/cpu,cpuacct", v1None, "-1\n"),
		), want{1024, 800, 0, 3}},
		{"v1 kernel before 4.13 counts no kills", merge(
			proc(fmt.Sprintf(v1Members, "/"), memoryMount+cpuMount),
			v1Group("sys/fs/cgroup/memory", "sys/fs/cgroup/cpu,cpuacct", v1None, "-1\n"),
			fixture("sys/fs/cgroup/memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\n"),
		), host},
		{"v1 group that is not mounted", proc(fmt.Sprintf(v1Members, "/web"), ""), host},
		{"hybrid: the controllers are in v1, v2 has none", merge(
			proc(fmt.Sprintf(v1Members, "/web")+"0::/user.slice\n",
				memoryMount+cpuMount+strings.Replace(v2Mount, "/sys/fs/cgroup", "/sys/fs/cgroup/unified", 1)),
			v1Group("sys/fs/cgroup/memory/web", "sys/fs/cgroup/cpu,cpuacct/web", bytesOf(128*mib), "50000\n"),
			fixture("sys/fs/cgroup/unified/user.slice/cpu.stat", "usage_usec 7\n"),
		), want{128, 48, 0.5, 3}},
		{"hybrid: memory in v2, cpu in v1", merge(
			proc("2:cpu,cpuacct:/web\n0::/web\n", cpuMount+v2Mount),
			v2Group("sys/fs/cgroup/web", bytesOf(128*mib), "10000 100000\n"),
			v1Group("none", "sys/fs/cgroup/cpu,cpuacct/web", v1None, "50000\n"),
		), want{128, 48, 0.5, 3}},
		{"garbage lines beside good ones", merge(
			proc("\n:\n\x00\xff\n0::/web\nx:y", "- - -\n\n1 2 3 / /x rw - cgroup2\n"+v2Mount+" - "),
			v2Group("sys/fs/cgroup/web", bytesOf(128*mib), halfCPU),
		), want{128, 48, 0.5, 3}},
		{"no membership at all", merge(
			proc("", v2Mount),
			v2Group("sys/fs/cgroup", bytesOf(128*mib), halfCPU),
		), host},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sample := sampled(t, fakeHost(tt.files))
			memory := sample.Memory

			require.NoError(t, memory.Err)
			assert.Equal(t, tt.want.total*mib, memory.TotalBytes)
			assert.Equal(t, tt.want.available*mib, memory.AvailableBytes)
			assert.InDelta(t, 100*(1-float64(tt.want.available)/float64(tt.want.total)), memory.Percent, 1e-9)
			source := Cgroup
			if tt.want.total == 1024 {
				source = Host
			}
			assert.Equal(t, source, memory.Source)

			if tt.want.kills < 0 {
				assert.Equal(t, Figure[uint64]{Err: ErrUnsupported}, memory.OOMKills)
			} else {
				assert.Equal(t, Figure[uint64]{Value: uint64(tt.want.kills)}, memory.OOMKills)
			}

			assert.Equal(t, tt.want.cpus, sample.CPU.LimitCPUs)
			assert.ErrorIs(t, sample.CPU.Err, ErrPending)
			throttled := ErrPending
			if tt.want.cpus == 0 {
				throttled = ErrUnsupported
			}
			assert.ErrorIs(t, sample.CPU.ThrottledRatio.Err, throttled)
		})
	}
}

// TestGarbage corrupts one file at a time. The figures that depend on the file must be absent, with an error
// that names the file and quotes only a part of it. The other figures must be present.
func TestGarbage(t *testing.T) {
	garbage := "garbage" + strings.Repeat("!", 3000)
	const dir, v1Memory, v1CPU = "sys/fs/cgroup", "sys/fs/cgroup/memory", "sys/fs/cgroup/cpu,cpuacct"
	tests := []struct {
		v1                             bool
		file, content                  string
		memory, kills, cpu, throttling bool // the absent figures
	}{
		{file: dir + "/memory.max", content: garbage, memory: true},
		{file: dir + "/memory.max", content: "", memory: true},
		{file: dir + "/memory.max", content: "-1\n", memory: true},
		{file: dir + "/memory.max", content: "0\n", memory: true},
		{file: dir + "/memory.max", content: "99999999999999999999999\n", memory: true},
		{file: dir + "/memory.max", content: strings.Repeat("1", maxFile+1), memory: true},
		{file: dir + "/memory.high", content: garbage, memory: true},
		{file: dir + "/memory.high", content: "", memory: true},
		{file: dir + "/memory.current", content: garbage, memory: true},
		{file: dir + "/memory.stat", content: garbage, memory: true},
		{file: dir + "/memory.stat", content: "inactive_file\n", memory: true},
		{file: dir + "/memory.stat", content: "inactive_file " + garbage, memory: true},
		{file: dir + "/memory.events", content: "oom_kill " + garbage, kills: true},
		{file: dir + "/memory.events", content: "oom_kill 18446744073709551615\n", kills: true},
		{file: dir + "/cpu.max", content: garbage, cpu: true, throttling: true},
		{file: dir + "/cpu.max", content: "", cpu: true, throttling: true},
		{file: dir + "/cpu.max", content: "50000\n", cpu: true, throttling: true},
		{file: dir + "/cpu.max", content: "50000 0\n", cpu: true, throttling: true},
		{file: dir + "/cpu.max", content: "0 100000\n", cpu: true, throttling: true},
		{file: dir + "/cpu.max", content: "-5 100000\n", cpu: true, throttling: true},
		{file: dir + "/cpu.max", content: "1e3 100000\n", cpu: true, throttling: true},
		{file: dir + "/cpu.stat", content: garbage, cpu: true, throttling: true},
		{file: dir + "/cpu.stat", content: "usage_usec 1\nnr_periods x\nnr_throttled 1\n", throttling: true},
		{file: dir + "/cpu.stat", content: "usage_usec x\nnr_periods 1\nnr_throttled 1\n", cpu: true},
		{v1: true, file: v1Memory + "/memory.limit_in_bytes", content: garbage, memory: true},
		{v1: true, file: v1Memory + "/memory.usage_in_bytes", content: garbage, memory: true},
		{v1: true, file: v1Memory + "/memory.stat", content: "inactive_file 1\n", memory: true},
		{v1: true, file: v1Memory + "/memory.oom_control", content: "oom_kill x\n", kills: true},
		{v1: true, file: v1CPU + "/cpu.cfs_quota_us", content: garbage, cpu: true, throttling: true},
		{v1: true, file: v1CPU + "/cpu.cfs_period_us", content: garbage, cpu: true, throttling: true},
		{v1: true, file: v1CPU + "/cpu.stat", content: garbage, throttling: true},
		{v1: true, file: v1CPU + "/cpuacct.usage", content: garbage, cpu: true},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%s=%.20q", tt.file, tt.content), func(t *testing.T) {
			files := merge(proc("0::/\n", v2Mount), v2Group(dir, bytesOf(128*mib), halfCPU))
			if tt.v1 {
				files = merge(proc(fmt.Sprintf(v1Members, "/"), memoryMount+cpuMount), v1Group(v1Memory, v1CPU, bytesOf(128*mib), "50000\n"))
			}
			set(files, tt.file, tt.content)
			sample := sampled(t, fakeHost(files))

			check := func(what string, absent bool, err error) {
				if !absent {
					assert.True(t, err == nil || err == ErrPending, "%s: %v", what, err)
					return
				}
				require.Error(t, err, what)
				assert.NotErrorIs(t, err, ErrPending, what)
				assert.NotErrorIs(t, err, ErrUnsupported, what)
				assert.Contains(t, err.Error(), tt.file, what)
				assert.Less(t, len(err.Error()), 200, what)
			}
			check("memory", tt.memory, sample.Memory.Err)
			check("oom kills", tt.kills, sample.Memory.OOMKills.Err)
			check("cpu", tt.cpu, sample.CPU.Err)
			check("throttling", tt.throttling, sample.CPU.ThrottledRatio.Err)
			if tt.memory {
				assert.Equal(t, Memory{Err: sample.Memory.Err, OOMKills: sample.Memory.OOMKills}, sample.Memory)
			}
		})
	}
}

// deniedFS denies access to one file.
type deniedFS struct {
	fs.FS
	denied string
}

func (d *deniedFS) Open(name string) (fs.File, error) {
	if name == d.denied {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return d.FS.Open(name)
}

// Without these two files it is unknown whether there is a limit, and the machine's figures could be far too
// high. They are read again for each sample, so that a passing error does not last.
func TestUnknownCgroupIsLookedForAgain(t *testing.T) {
	for _, name := range []string{"proc/self/cgroup", "proc/self/mountinfo"} {
		t.Run(name, func(t *testing.T) {
			files := &deniedFS{merge(proc("0::/\n", v2Mount), v2Group("sys/fs/cgroup", bytesOf(128*mib), halfCPU)), name}
			var refused, found *Sample
			synctest.Test(t, func(t *testing.T) {
				s := sampler(t, fakeHost(files))
				refused = s.Sample()
				files.denied = ""
				time.Sleep(time.Second)
				found = s.Sample()
			})
			for _, err := range []error{
				refused.Memory.Err, refused.Memory.OOMKills.Err, refused.CPU.Err, refused.CPU.ThrottledRatio.Err,
			} {
				assert.ErrorIs(t, err, fs.ErrPermission)
			}
			assert.Zero(t, refused.CPU.LimitCPUs)

			assert.NoError(t, found.Memory.Err)
			assert.Equal(t, uint64(128*mib), found.Memory.TotalBytes)
			assert.Equal(t, 0.5, found.CPU.LimitCPUs)
		})
	}
}

// Version 1 may count a group's processor time in a hierarchy in which the process is in another group. The
// figure would be that group's.
func TestQuotaWithoutUsage(t *testing.T) {
	members := "4:cpuacct:/elsewhere\n2:cpu:/web\n"
	mounts := strings.Replace(cpuMount, "cpu,cpuacct", "cpu", 2) + strings.Replace(cpuMount, "cpu,cpuacct", "cpuacct", 2)
	files := merge(proc(members, mounts),
		v1Group("none", "sys/fs/cgroup/cpu/web", v1None, "50000\n"),
		fixture("sys/fs/cgroup/cpuacct/elsewhere/cpuacct.usage", "7\n", "sys/fs/cgroup/cpuacct/cpuacct.usage", "9\n"))
	cpu := sampled(t, fakeHost(files)).CPU

	assert.Equal(t, 0.5, cpu.LimitCPUs)
	assert.ErrorIs(t, cpu.ThrottledRatio.Err, ErrPending)
	assert.ErrorContains(t, cpu.Err, "this process can't see a cpuacct directory")
}
