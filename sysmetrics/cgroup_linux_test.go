package sysmetrics

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const (
	cgroupEnv       = "ECHOHEALTH_CGROUP"             // 1 to run TestRealCgroup
	cgroupJoinEnv   = "ECHOHEALTH_TEST_CGROUP_JOIN"   // the groups that the child enters
	cgroupResultEnv = "ECHOHEALTH_TEST_CGROUP_RESULT" // the file for the child's figures
)

// seen has the child's figures of its limits.
type seen struct {
	CPUs, CPUPercent, Throttled  float64
	Count                        int
	CPUSource, MemorySource      Source
	TotalBytes, AvailableBytes   uint64
	CPUErr, ThrottledErr, MemErr string
}

// TestRealCgroup runs a child in real control groups of version 1, with a fifth of a processor and 256 MiB.
// The groups are below those of this process, and are removed at the end.
func TestRealCgroup(t *testing.T) {
	if os.Getenv(cgroupEnv) != "1" || os.Getuid() != 0 {
		t.Skipf("needs root and %s=1, and makes control groups", cgroupEnv)
	}
	own, err := findCgroup(rootFS{})
	require.NoError(t, err)
	if own.memory.v2 || own.cpu.v2 || len(own.memory.levels) == 0 || len(own.cpu.levels) == 0 || len(own.cpuacct.levels) == 0 {
		t.Skipf("needs memory, cpu and cpuacct in version 1, has %+v", own)
	}
	name := fmt.Sprintf("echohealth-test-%d", os.Getpid())
	group := func(h hierarchy) string { return makeGroup(t, filepath.Join("/", h.levels[0], name)) }
	memory, cpu, cpuacct := group(own.memory), group(own.cpu), group(own.cpuacct)
	write(t, filepath.Join(memory, "memory.limit_in_bytes"), "268435456")
	write(t, filepath.Join(cpu, "cpu.cfs_period_us"), "100000")
	write(t, filepath.Join(cpu, "cpu.cfs_quota_us"), "20000")

	got := runChild(t, memory, cpu, cpuacct)
	t.Logf("%+v", got)

	assert.Empty(t, got.MemErr)
	assert.Equal(t, uint64(256*mib), got.TotalBytes)
	assert.Less(t, got.AvailableBytes, uint64(236*mib), "the child holds 20 MiB")
	assert.Greater(t, got.AvailableBytes, uint64(64*mib))
	assert.Equal(t, Cgroup, got.MemorySource)

	assert.Empty(t, got.CPUErr)
	assert.Equal(t, 0.2, got.CPUs)
	assert.Equal(t, Cgroup, got.CPUSource)
	assert.Greater(t, got.CPUPercent, 60.0, "the child spins on all processors")
	assert.Empty(t, got.ThrottledErr)
	assert.Greater(t, got.Throttled, 0.3)
}

// makeGroup makes a group and removes it at the end. For a moment after the end of the last process the
// kernel refuses that.
func makeGroup(t *testing.T, dir string) string {
	err := os.Mkdir(dir, 0o755)
	if os.IsExist(err) {
		return dir // cpu and cpuacct are the same hierarchy on most systems
	}
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.Eventually(t, func() bool { return os.Remove(dir) == nil }, 5*time.Second, 20*time.Millisecond, "left behind: %s", dir)
	})
	return dir
}

func write(t *testing.T, name, content string) {
	t.Helper()
	require.NoError(t, os.WriteFile(name, []byte(content), 0o644))
}

// TestRealCpuset runs a child on one of several processors, as in a cpuset or with taskset.
func TestRealCpuset(t *testing.T) {
	if testing.Short() || runtime.NumCPU() < 2 {
		t.Skip("needs two processors and 3 s")
	}
	runtime.LockOSThread() // the child is forked from this thread, and inherits its processors
	defer runtime.UnlockOSThread()
	var before, one unix.CPUSet
	require.NoError(t, unix.SchedGetaffinity(0, &before))
	number := 0
	for !before.IsSet(number) {
		number++
	}
	one.Set(number)
	require.NoError(t, unix.SchedSetaffinity(0, &one))
	defer func() { require.NoError(t, unix.SchedSetaffinity(0, &before)) }()

	got := runChild(t)
	assert.Empty(t, got.CPUErr)
	assert.Equal(t, 1, got.Count)
	if got.CPUSource == Host {
		assert.Greater(t, got.CPUPercent, 50.0, "the child keeps its one processor busy")
	}
}

// runChild runs TestCgroupChild in a separate process.
func runChild(t *testing.T, groups ...string) (got seen) {
	result := filepath.Join(t.TempDir(), "seen.json")
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCgroupChild$", "-test.v")
	child.Env = append(os.Environ(), cgroupJoinEnv+"="+strings.Join(groups, ":"), cgroupResultEnv+"="+result)
	output, err := child.CombinedOutput()
	require.NoError(t, err, "%s", output)
	text, err := os.ReadFile(result)
	require.NoError(t, err, "%s", output)
	require.NoError(t, json.Unmarshal(text, &got))
	return got
}

// TestCgroupChild is the child process of TestRealCgroup and TestRealCpuset.
func TestCgroupChild(t *testing.T) {
	groups, ok := os.LookupEnv(cgroupJoinEnv)
	if !ok {
		t.Skip("runs as the child of TestRealCgroup and TestRealCpuset")
	}
	for _, dir := range strings.FieldsFunc(groups, func(r rune) bool { return r == ':' }) {
		write(t, filepath.Join(dir, "cgroup.procs"), "0") // 0 means the writing process
	}
	held := make([]byte, 20*mib)
	for i := range held {
		held[i] = 1
	}
	s, err := New(Options{})
	require.NoError(t, err)
	stop := burn()
	time.Sleep(2500 * time.Millisecond)
	stop() // otherwise the quota could delay the sample too
	var sample *Sample
	require.Eventually(t, func() bool { // this machine may be slow
		sample = s.Sample()
		return !errors.Is(sample.CPU.Err, ErrPending)
	}, time.Minute, 20*time.Millisecond)
	assert.Equal(t, byte(1), held[len(held)-1])

	text, err := json.Marshal(seen{
		CPUs: sample.CPU.LimitCPUs, Count: sample.CPU.Count, CPUPercent: sample.CPU.Percent, CPUSource: sample.CPU.Source, CPUErr: errText(sample.CPU.Err),
		Throttled: sample.CPU.ThrottledRatio.Value, ThrottledErr: errText(sample.CPU.ThrottledRatio.Err),
		TotalBytes: sample.Memory.TotalBytes, AvailableBytes: sample.Memory.AvailableBytes,
		MemorySource: sample.Memory.Source, MemErr: errText(sample.Memory.Err),
	})
	require.NoError(t, err)
	write(t, os.Getenv(cgroupResultEnv), string(text))
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
