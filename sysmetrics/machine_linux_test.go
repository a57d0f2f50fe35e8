package sysmetrics

import (
	"io/fs"
	"math"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shirou/gopsutil/v4/disk"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// virtiofs and FUSE report a transfer size of 1 MiB and blocks of 4 KiB.
func TestBlockSize(t *testing.T) {
	assert.Equal(t, uint64(4096), blockSize(&unix.Statfs_t{Bsize: 1 << 20, Frsize: 4096}))
	assert.Equal(t, uint64(512), blockSize(&unix.Statfs_t{Bsize: 512}))
}

func TestRootFS(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(name, []byte(strings.Repeat("x", maxFile)), 0o600))
	got, err := readFile(rootFS{}, name[1:])
	require.NoError(t, err)
	assert.Len(t, got, maxFile)

	require.NoError(t, os.WriteFile(name, []byte(strings.Repeat("x", maxFile+1)), 0o600))
	_, err = readFile(rootFS{}, name[1:])
	assert.ErrorContains(t, err, "too large: sysmetrics reads at most 65536 bytes")

	for _, name := range []string{"/proc", "../proc", "proc/", ""} {
		_, err := rootFS{}.Open(name)
		assert.ErrorIs(t, err, fs.ErrInvalid, name)
	}
	_, err = rootFS{}.Open("proc/none")
	assert.ErrorIs(t, err, fs.ErrNotExist)
	_, err = readFile(rootFS{}, "proc")
	assert.Error(t, err, "a directory")
}

// The tests below compare the figures of this machine with other sources.

func TestThisMachinesCPU(t *testing.T) {
	s, err := New(Options{})
	require.NoError(t, err)
	stop := burn()
	time.Sleep(cpuMinWindow + 50*time.Millisecond)
	stop() // because the burners would delay the sample itself
	var cpu CPU
	require.Eventually(t, func() bool { // other processes may also delay it
		cpu = s.Sample().CPU
		return cpu.Err == nil
	}, time.Minute, 20*time.Millisecond)

	assert.Greater(t, cpu.Percent, 0.0)
	assert.LessOrEqual(t, cpu.Percent, 100.0)
	assert.GreaterOrEqual(t, cpu.Window, cpuMinWindow)
	assert.Equal(t, runtime.NumCPU(), cpu.Count)
}

// burn keeps every processor busy until the returned function is called.
func burn() (stop func()) {
	var stopped atomic.Bool
	var wg sync.WaitGroup
	for range runtime.NumCPU() {
		wg.Go(func() {
			for !stopped.Load() {
			}
		})
	}
	return func() { stopped.Store(true); wg.Wait() }
}

func TestThisMachinesMemory(t *testing.T) {
	memory := sampled(t, thisMachine()).Memory
	require.NoError(t, memory.Err)
	assert.LessOrEqual(t, memory.AvailableBytes, memory.TotalBytes)
	assert.Greater(t, memory.Percent, 0.0)
	assert.Less(t, memory.Percent, 100.0)

	if isFUSE(procFile("meminfo")) {
		t.Skip("LXCFS changes /proc/meminfo, and not what sysinfo returns")
	}
	var info unix.Sysinfo_t
	require.NoError(t, unix.Sysinfo(&info))
	total := uint64(info.Totalram) * uint64(info.Unit)
	if memory.Source == Host {
		assert.Equal(t, total, memory.TotalBytes)
	} else {
		assert.Less(t, memory.TotalBytes, total)
	}
}

func TestThisMachinesDisks(t *testing.T) {
	root, err := statfs("/")
	require.NoError(t, err)
	var d Disk
	d.fill(root)
	assert.LessOrEqual(t, d.FreeBytes, d.TotalBytes)

	undisturbed(t, func() bool {
		root, err := statfs("/")
		require.NoError(t, err)
		d.fill(root)
		usage, err := disk.Usage("/") // its sizes are right if f_bsize and f_frsize are equal
		require.NoError(t, err)
		return math.Abs(usage.UsedPercent-d.Percent) < 1 && math.Abs(usage.InodesUsedPercent-d.InodesPercent.Value) < 1
	}, "the percentages of df")

	_, err = statfs("/does/not/exist")
	assert.ErrorIs(t, err, fs.ErrNotExist)
	d = Disk{}
	noSize, err := statfs("/proc")
	require.NoError(t, err)
	d.fill(noSize)
	assert.ErrorIs(t, d.Err, ErrUnsupported)
}

// undisturbed repeats a comparison until it succeeds, because other processes and goroutines open and close
// files and connections at the same time. A wrong figure never succeeds.
func undisturbed(t *testing.T, agrees func() bool, what string) {
	t.Helper()
	for range 50 {
		if agrees() {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	assert.Fail(t, "never agreed: "+what)
}

func TestThisMachinesConnections(t *testing.T) {
	const pairs = 100
	count := func() int {
		active, err := readHostConnections()
		require.NoError(t, err)
		return active
	}
	undisturbed(t, func() bool {
		before := count()
		closeAll := connect(t, pairs)
		defer closeAll()
		more := count() - before
		return 3*pairs/2 < more && more < 5*pairs/2
	}, "one connection is two to the kernel, one for each end")
}

// connect makes loopback connections. The kernel counts each of them as two.
func connect(tb testing.TB, pairs int) (closeAll func()) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	defer listener.Close()
	var ends []net.Conn
	for range pairs {
		client, err := net.Dial("tcp", listener.Addr().String())
		require.NoError(tb, err)
		server, err := listener.Accept()
		require.NoError(tb, err)
		ends = append(ends, client, server)
	}
	return func() {
		for _, end := range ends {
			end.(*net.TCPConn).SetLinger(0) // leaves no connection in TIME_WAIT
			end.Close()
		}
	}
}

func TestThisProcess(t *testing.T) {
	count := func() int {
		open := measureProcess(rootFS{}).OpenFiles
		require.NoError(t, open.Err)
		return open.Value
	}
	undisturbed(t, func() bool {
		before := count()
		closeAll := openFilesToo(t, 20)
		defer closeAll()
		return count() == before+20
	}, "20 files more")
	undisturbed(t, func() bool {
		counted, err := countEntries(rootFS{}, "proc/self/fd")
		require.NoError(t, err)
		return counted-1 == count()
	}, "what older kernels leave to counting")

	var limit unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	if most := measureProcess(rootFS{}).MaxOpenFiles; most.Err == nil {
		assert.Equal(t, limit.Cur, uint64(most.Value))
	}
}

func openFilesToo(t *testing.T, n int) (closeAll func()) {
	var files []*os.File
	for range n {
		f, err := os.Open(os.DevNull)
		require.NoError(t, err)
		files = append(files, f)
	}
	return func() {
		for _, f := range files {
			f.Close()
		}
	}
}
