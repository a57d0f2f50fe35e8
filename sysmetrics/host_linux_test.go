package sysmetrics

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// These are the files of /proc from which gopsutil reads the host's figures, in the kernel's format.
const (
	goodStat    = "cpu  100 2 30 5000 400 1 5 7 50 1\ncpu0 100 2 30 5000 400 1 5 7 50 1\nintr 9\n"
	goodMeminfo = "MemTotal:       1000 kB\nMemFree:  1 kB\nMemAvailable:    400 kB\nBuffers: 3 kB\n"
	snmpNames   = "Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens CurrEstab InSegs\n"
	goodSnmp    = "Ip: Forwarding DefaultTTL\nIp: 1 64\n" + snmpNames + "Tcp: 1 200 120000 -1 42 17 3667\n"
)

// procAt makes a directory with these files, and makes gopsutil use it as /proc.
func procAt(t *testing.T, pairs ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for i := 0; i < len(pairs); i += 2 {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, pairs[i])), 0o755))
		write(t, filepath.Join(dir, pairs[i]), pairs[i+1])
	}
	t.Setenv("HOST_PROC", dir)
	return dir
}

// If HOST_PROC is set, as in a container with the host's /proc at another path, the host's figures must be
// those of that path, as always with gopsutil.
func TestHostProc(t *testing.T) {
	dir := procAt(t, "stat", goodStat, "meminfo", goodMeminfo, "net/snmp", goodSnmp)
	m := thisMachine()
	m.files = nil // without limits of a control group
	s, err := newSampler(Options{}, m)
	require.NoError(t, err)
	time.Sleep(cpuMinWindow)
	write(t, filepath.Join(dir, "stat"), "cpu  125 2 30 5075 400 1 5 7 50 1\ncpu0 125 2 30 5075 400 1 5 7 50 1\n")
	var sample *Sample
	require.Eventually(t, func() bool { // this machine may be slow
		sample = s.Sample()
		return sample.CPU.Err == nil
	}, time.Minute, 20*time.Millisecond)
	assert.InDelta(t, 25, sample.CPU.Percent, 1e-6)
	assert.EqualValues(t, 1000*kib, sample.Memory.TotalBytes)
	assert.EqualValues(t, 400*kib, sample.Memory.AvailableBytes)
	assert.Equal(t, Connections{Active: 17}, sample.Connections)
}

func TestHostCPU(t *testing.T) {
	tests := []struct {
		name, content string
		want          cpuTimes // in ticks
		err           string
	}{
		{"as the kernel writes it", goodStat, cpuTimes{busy: 145, total: 5545}, ""},
		{"without guests", "cpu 1 1 1 1 1 1 1 1\ncpu0 1 1 1 1 1 1 1 1\n", cpuTimes{busy: 6, total: 8}, ""},
		{"empty", "", cpuTimes{}, "stat: there are no CPU counters in it"},
		{"too short", "cpu 1 2 3\ncpu0 1 2 3\n", cpuTimes{}, "there are no CPU counters in it"},
		{"not numbers", "cpu 1 2 x 4 5 6 7 8\ncpu0 1 2 x 4 5 6 7 8\n", cpuTimes{}, "there are no CPU counters in it"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			procAt(t, "stat", tt.content)
			got, err := readHostCPU()
			if tt.err != "" {
				assert.ErrorContains(t, err, tt.err)
				return
			}
			require.NoError(t, err)
			assert.InDelta(t, tt.want.busy, 100*got.busy, 1e-6)
			assert.InDelta(t, tt.want.total, 100*got.total, 1e-6)
		})
	}
	procAt(t)
	_, err := readHostCPU()
	assert.ErrorIs(t, err, fs.ErrNotExist, "which gopsutil hides")
}

// cpuLines returns a line for each of n processors. The processor busy had no idle time.
func cpuLines(n, busy int) string {
	lines := "cpu  1 0 0 1 0 0 0 0\n"
	for i := range n {
		if i == busy {
			lines += fmt.Sprintf("cpu%d 100 0 0 0 0 0 0 0\n", i)
		} else {
			lines += fmt.Sprintf("cpu%d 0 0 0 100 0 0 0 0\n", i)
		}
	}
	return lines + "intr 9\n"
}

// numbers is a set of processors.
type numbers []int

func (n numbers) Count() int       { return len(n) }
func (n numbers) IsSet(i int) bool { return slices.Contains(n, i) }

func TestUsableProcessors(t *testing.T) {
	tests := []struct {
		visible int
		set     processors
		want    []string
	}{
		{3, nil, []string{"cpu0", "cpu1", "cpu2"}},
		{3, numbers{0, 1, 2}, []string{"cpu0", "cpu1", "cpu2"}},
		{3, numbers{1}, []string{"cpu1"}},
		{12, numbers{2, 11}, []string{"cpu2", "cpu11"}},
		{2, numbers{6, 7}, []string{"cpu0", "cpu1"}}, // lxcfs numbers the processors of a container from 0
		{2, numbers{5, 6, 7}, []string{"cpu0", "cpu1"}},
		{2, numbers{7}, []string{"cpu0", "cpu1"}}, // there is no known rule for this
	}
	for _, tt := range tests {
		procAt(t, "stat", cpuLines(tt.visible, 0))
		all, err := hostTimes()
		require.NoError(t, err)
		var got []string
		for _, times := range usable(all, tt.set) {
			got = append(got, times.CPU)
		}
		assert.Equal(t, tt.want, got, "%d visible, %v", tt.visible, tt.set)
	}
	procAt(t, "stat", "cpu  25 0 0 75 0 0 0 0\n")
	got, err := readHostCPU()
	require.NoError(t, err)
	assert.Equal(t, cpuTimes{busy: 0.25, total: 1, of: "cpu-total"}, got, "without a line for each processor")
}

// If the process may use only the busy processor, that processor must count fully.
func TestHostCPUOfACpuset(t *testing.T) {
	var before, one unix.CPUSet
	require.NoError(t, unix.SchedGetaffinity(os.Getpid(), &before))
	number := 0
	for !before.IsSet(number) {
		number++
	}
	one.Set(number)
	require.NoError(t, unix.SchedSetaffinity(os.Getpid(), &one))
	defer func() { require.NoError(t, unix.SchedSetaffinity(os.Getpid(), &before)) }()

	procAt(t, "stat", cpuLines(number+4, number))
	got, err := readHostCPU()
	require.NoError(t, err)
	assert.Equal(t, cpuTimes{busy: 1, total: 1, of: fmt.Sprintf("cpu%d", number)}, got)
	assert.Equal(t, 1, usableCPUs())
	procAt(t, "stat", cpuLines(number+4, number+1))
	got, err = readHostCPU()
	require.NoError(t, err)
	assert.Zero(t, got.busy)
}

func TestHostMemory(t *testing.T) {
	tests := []struct {
		name, content string
		want          hostMemory
		err           string
	}{
		{"as the kernel writes it", goodMeminfo, hostMemory{total: 1000 << 10, available: 400 << 10}, ""},
		{"more available than there is", "MemTotal: 1000 kB\nMemAvailable: 1001 kB\n",
			hostMemory{total: 1000 << 10, available: 1000 << 10}, ""},
		{"empty", "", hostMemory{}, "0 bytes"},
		{"nothing", "MemTotal: 0 kB\nMemAvailable: 0 kB\n", hostMemory{}, "0 bytes"},
		{"not a number", "MemTotal: x kB\nMemAvailable: 0 kB\n", hostMemory{}, "invalid syntax"},
		{"a kernel before 3.14, with an empty line in zoneinfo",
			"MemTotal: 9 kB\nActive(file): 1 kB\nInactive(file): 1 kB\nSReclaimable: 1 kB\n",
			hostMemory{}, "gopsutil: panic"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			procAt(t, "meminfo", tt.content, "zoneinfo", "\n")
			got, err := readHostMemory()
			if tt.err != "" {
				assert.ErrorContains(t, err, tt.err)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, tt.want, got)
		})
	}
	procAt(t)
	_, err := readHostMemory()
	assert.ErrorIs(t, err, fs.ErrNotExist)
}

// The figures are those of a machine with 256 GiB, of which ZFS uses 200 as its cache.
func TestHostMemoryWithZFS(t *testing.T) {
	const (
		meminfo  = "MemTotal:       263996684 kB\nMemFree:        20899772 kB\nMemAvailable:   16367794 kB\n"
		arcstats = "9 1 0x01 147 39984 1405644657 619562335795635\nname                            type data\n" +
			"hits                            4    138399132\nc                               4    216895848448\n" +
			"c_min                           4    8447893888\nc_max                           4    268435456000\n" +
			"size                            4    214748364800\ncompressed_size                 4    1\n"
	)
	const available = 16367794<<10 + 214748364800 - 8447893888
	procAt(t, "meminfo", meminfo, "spl/kstat/zfs/arcstats", arcstats)
	got, err := readHostMemory()
	require.NoError(t, err)
	assert.Equal(t, hostMemory{total: 263996684 << 10, available: available}, got)

	assert.Zero(t, shrinkable("size 4 100\nc_min 4 200\n"), "below its minimum")
	assert.Zero(t, shrinkable("size 4 x\nc_min\n\n"))
	procAt(t, "meminfo", "MemTotal: 9 kB\nMemAvailable: 8 kB\n", "spl/kstat/zfs/arcstats", arcstats)
	got, err = readHostMemory()
	require.NoError(t, err)
	assert.Equal(t, hostMemory{total: 9 << 10, available: 9 << 10}, got)
	assert.False(t, isFUSE(procFile("meminfo")))
}

// A file that never existed is hidden on purpose. A file that disappears, or a wrong HOST_PROC, is a fault.
func TestHiddenProc(t *testing.T) {
	sampleOf := func(s *Sampler) []error {
		s.last.Store(nil) // as if a second had passed
		sample := s.Sample()
		return []error{sample.CPU.Err, sample.Memory.Err, sample.Connections.Err}
	}
	m := thisMachine()
	m.files = nil
	newHidden := func() *Sampler {
		var s *Sampler
		require.Eventually(t, func() bool { // this machine may be slow
			var err error
			s, err = newSampler(Options{}, m)
			require.NoError(t, err)
			return !errors.Is(sampleOf(s)[1], ErrPending)
		}, time.Minute, time.Millisecond)
		return s
	}
	procAt(t, "self/stat", "")
	for _, err := range sampleOf(newHidden()) {
		assert.ErrorIs(t, err, ErrUnsupported)
		assert.ErrorIs(t, err, fs.ErrNotExist)
	}

	dir := procAt(t, "stat", goodStat, "meminfo", goodMeminfo, "net/snmp", goodSnmp)
	s := newHidden()
	for _, name := range []string{"stat", "meminfo", "net/snmp"} {
		require.NoError(t, os.Remove(filepath.Join(dir, name)))
	}
	var errs []error
	require.Eventually(t, func() bool { // a slow run repeats the last figures at first
		errs = sampleOf(s)
		return !slices.Contains(errs, nil)
	}, time.Minute, time.Millisecond)
	for _, err := range errs {
		assert.ErrorIs(t, err, fs.ErrNotExist)
		assert.NotErrorIs(t, err, ErrUnsupported, "it was there")
	}

	t.Setenv("HOST_PROC", filepath.Join(t.TempDir(), "wrong"))
	for _, err := range sampleOf(newHidden()) {
		assert.ErrorContains(t, err, "HOST_PROC: stat ")
		assert.ErrorIs(t, err, fs.ErrNotExist)
		assert.NotErrorIs(t, err, ErrUnsupported)
	}
}

func TestHostConnections(t *testing.T) {
	tests := []struct {
		name, content string
		want          int
		err           string
	}{
		{"as the kernel writes it", goodSnmp, 17, ""},
		{"empty", "", 0, "CurrEstab is missing"},
		{"no values", snmpNames, 0, "gopsutil: panic"},
		{"too few values", snmpNames + "Tcp: 1 200\n", 0, "same number of columns"},
		{"another name", "Tcp: InSegs\nTcp: 5\n", 0, "CurrEstab is missing"},
		{"below zero", snmpNames + "Tcp: 1 2 3 4 5 -6 7\n", 0, "CurrEstab -6 is not a count"},
		{"not a number", snmpNames + "Tcp: 1 2 3 4 5 many 7\n", 0, "invalid syntax"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			procAt(t, "net/snmp", tt.content)
			got, err := readHostConnections()
			assert.Equal(t, tt.want, got)
			if tt.err == "" {
				assert.NoError(t, err)
			} else {
				assert.ErrorContains(t, err, tt.err)
			}
		})
	}
	procAt(t)
	_, err := readHostConnections()
	assert.ErrorIs(t, err, fs.ErrNotExist)
}

// gopsutil takes no context. If any of its files hangs, one goroutine must wait for it, and no caller.
func TestHostProcThatHangs(t *testing.T) {
	good := map[string]string{"stat": goodStat, "meminfo": goodMeminfo, "net/snmp": goodSnmp}
	for hung := range good {
		t.Run(hung, func(t *testing.T) {
			dir := procAt(t, "stat", goodStat, "meminfo", goodMeminfo, "net/snmp", goodSnmp)
			name := filepath.Join(dir, hung)
			require.NoError(t, os.Remove(name))
			require.NoError(t, unix.Mkfifo(name, 0o600)) // opening it waits for a writer
			m := thisMachine()
			m.files = nil
			s, err := newSampler(Options{}, m)
			require.NoError(t, err)
			for range 3 {
				for _, sample := range askAll(s, 200) {
					assert.Error(t, sample.Memory.Err, "nothing was read")
				}
				assert.Equal(t, 1, goroutinesIn("(*Sampler).begin.func1"))
				s.last.Store(nil) // as if a second had passed
			}

			writer, err := os.OpenFile(name, os.O_WRONLY, 0)
			require.NoError(t, err)
			require.NoError(t, os.Remove(name))
			write(t, name, good[hung])
			require.NoError(t, writer.Close())
			require.Eventually(t, func() bool {
				s.last.Store(nil)
				sample := s.Sample()
				return sample.Memory.Err == nil && sample.Connections.Active == 17
			}, time.Minute, 20*time.Millisecond)
			ended := func() bool { return goroutinesIn("(*Sampler).begin.func1") == 0 }
			require.Eventually(t, ended, time.Minute, time.Millisecond)
		})
	}
}
