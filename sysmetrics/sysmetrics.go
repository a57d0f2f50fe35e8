// Package sysmetrics measures the processor, the memory, the disks and the TCP connections of the machine,
// and of the container, if the process runs in one.
//
// A container sees the whole machine in /proc. The container's own limits are in the files of its control
// group. On Linux this package reads both, for cgroup v2, v1 and the hybrid of v1 and v2, and returns the
// figures of the tighter limit. On other systems it returns the figures of the machine.
//
// On every system, the figures of the machine's processors, memory and connections come from gopsutil. On
// Linux the environment variable HOST_PROC sets the directory in which gopsutil reads them instead of /proc.
// This package itself measures control groups, disks and the process.
//
// A [Sampler] measures only when a sample is requested. It has no goroutine between two calls and shares no
// state with other users of gopsutil in the process. If the system is slow or hangs, a call waits at most 50
// ms and then returns the last figures. [Sample.Age] is their age. [Sample.Stuck] is true once the system has
// not answered for 5 s.
//
// The package doesn't depend on thresholds, HTTP or the checks that use it.
//
// # Absent figures
//
// If a figure can't be read, this does not affect other figures, and the package never invents a number.
// Every struct below that has a field Err follows one rule. If Err is nil, the figures were measured.
// Otherwise they are zero, and Err is the cause:
//
//   - [ErrPending]: the figure takes more time. A later sample has it.
//   - [ErrUnsupported]: the figure does not exist here. No later sample has it.
//   - [ErrUnmounted]: the file system of a disk was unmounted while the Sampler was in use.
//   - Any other error is a failure to read. It names files and quotes a few bytes of them, so it belongs in a
//     log and not in a public answer.
//
// If a field is valid even when Err is set, its comment says so. A [Figure] has a separate Err.
//
// Percentages are from 0 to 100 and are not rounded.
package sysmetrics

import (
	"errors"
	"time"
)

var (
	// ErrPending is the Err of a figure that is not measured yet. Examples are a processor share before its
	// first window has ended, a disk that has had only a moment to answer, and every figure while the first
	// measurement is slow.
	ErrPending = errors.New("not measured yet")

	// ErrUnsupported is the Err of a figure that does not exist here. Perhaps the system does not count it, or
	// there is nothing to count, such as the inodes of a file system that has no table of inodes. Or it is
	// hidden on purpose, for example if /proc is mounted with subset=pid. An Err may wrap ErrUnsupported
	// together with another error.
	ErrUnsupported = errors.New("not available on this system")

	// ErrUnmounted is the Err of a disk whose file system is no longer mounted at its path. Figures measured at
	// this path would be those of the file system above. It occurs on Linux only.
	ErrUnmounted = errors.New("its file system is not mounted any more")
)

// A Figure is a number with its own Err. It may be missing although the rest of its struct is valid.
type Figure[T int | uint64 | float64] struct {
	Value T     // valid if Err is nil, zero otherwise
	Err   error // why there is no Value
}

// A Source is the origin of figures.
type Source string

const (
	// Host means the whole machine.
	Host Source = "host"
	// Cgroup means the control group of this process, or a group above it, whose limit is tighter than the
	// machine's.
	Cgroup Source = "cgroup"
)

// A Sample holds the measurements of a [Sampler]. A Sampler never changes a Sample that it has returned.
// Callers must not change a Sample either, because all callers within a second share it.
type Sample struct {
	// At is the time when the measurement began. No figure is older than At, except the figures of a disk that
	// has not answered since At. If the sample has an Age, or no figures, At is the time when the sample was
	// made. At has a monotonic clock reading.
	At time.Time

	// Seq orders the samples of one Sampler. A later sample has a higher Seq. At does not order them, because a
	// sample that repeats old figures during a measurement may have a later At than the measurement's own
	// sample.
	Seq uint64

	// Stuck is true if the measurement for this sample has not ended within 5 s, because the system does not
	// answer. The figures are then those of an earlier sample. Without an earlier sample, the only figures are
	// CPU.Count and those of Process except OpenFiles. The Err of each other figure states the cause.
	Stuck bool

	// Age is set if the figures were measured 5 s or more before At, and is the time from the measurement to At.
	// This happens if no sample was requested during that time and the new measurement is slow or stuck. Age is
	// 0 in every other sample.
	Age time.Duration

	CPU         CPU
	Memory      Memory
	Disks       []Disk // one for each of Options.Disks, in the same order
	Connections Connections
	Process     Process
}

// CPU is the use of the processors. Err concerns Percent, Window and Source.
type CPU struct {
	// Percent is the share of the processors that was busy during Window. It counts only the processors that the
	// process may run on, for example those of its cpuset. It includes their use by other processes. Waiting for
	// disks counts as idle. Time that a hypervisor took away counts as busy. In a control group with a quota,
	// Percent is the share of the quota that the group used.
	Percent float64

	// Window is the time over which Percent was measured. It is at least a second. If samples are taken
	// steadily, it is 5 to 15 s. After a longer pause in sampling, it is as long as the pause.
	Window time.Duration

	Source Source
	Err    error

	// Count is the number of processors that this process may run on. On Linux, it changes with the process's
	// cpuset. On other systems it is [runtime.NumCPU]. It is valid even if Err is set.
	Count int

	// LimitCPUs is the tightest quota of the control group and the groups above it, in processors. 0.5 means
	// half of a processor. 0 means that there is no quota, or that Err is set because the quota can't be read.
	// LimitCPUs is valid even if Err is set for another reason.
	LimitCPUs float64

	// ThrottledRatio is the share, from 0 to 1, of the quota's periods during Window in which the control group
	// was stopped because it had used up the quota. Without a quota, its Err is ErrUnsupported.
	ThrottledRatio Figure[float64]
}

// Memory is the use of main memory, without swap.
type Memory struct {
	// Percent is 100 × (1 - AvailableBytes/TotalBytes).
	Percent float64

	// AvailableBytes is the memory that can be allocated without swapping and without the out-of-memory killer.
	// For the machine, it is the kernel's own estimate plus the part of ZFS's cache that ZFS frees on demand.
	// For each memory limit of the own control group and the groups above it, it is the limit minus the working
	// set of the group that has the limit. AvailableBytes is the smallest of these figures.
	//
	// A group's limit is memory.max, or memory.high if that is lower. Its working set is its usage minus
	// inactive_file, the page cache that the kernel frees first, as kubelet and cAdvisor compute it.
	AvailableBytes uint64

	// TotalBytes is the smallest of the machine's memory and the limits of the control groups.
	TotalBytes uint64

	Source Source // Cgroup if a limit is lower than the machine's memory
	Err    error

	// OOMKills is the number of processes of the own control group that the out-of-memory killer has ended since
	// the group was made. It does not depend on Err.
	OOMKills Figure[uint64]
}

// Disk is the use of one file system.
type Disk struct {
	Name string // as configured; valid even if Err is set
	Path string // as configured; valid even if Err is set

	// Percent is 100 × used / (used + free), as df shows it, but not rounded. Blocks reserved for root count
	// neither as used nor as free, so Percent can't be computed from FreeBytes and TotalBytes.
	Percent float64

	FreeBytes  uint64 // the space that an unprivileged process can still use
	TotalBytes uint64

	// InodesPercent is the share of inodes in use. Its Err is ErrUnsupported if the file system has no fixed
	// number of inodes.
	InodesPercent Figure[float64]

	// ReadOnly is true if the file system is read-only or is mounted read-only. An image, such as squashfs,
	// erofs or iso9660, is always read-only and has no free block. ReadOnly is set on Linux, macOS, FreeBSD and
	// DragonFly only.
	ReadOnly bool

	// BecameReadOnly is true if ReadOnly is true and an earlier sample found the file system writable. Either an
	// administrator has remounted it, or the kernel has done so after an error of the device.
	BecameReadOnly bool

	// Age is how old the file system's last answer was when the sample was complete. The answer is either the
	// figures or Err. Age is normally under a millisecond, and longer after a late answer. It is 0 if there
	// never was an answer. Age includes Sample.Age, and is valid even if Err is set.
	Age time.Duration

	// Stuck is true if the file system has not answered a call of an earlier sample for at least 100 ms, as with
	// a dead NFS server. It is also true in a stuck sample, for which the file system was not called. The
	// figures are then those of the last answer. Stuck is valid even if Err is set.
	Stuck bool

	// Err satisfies errors.Is with [io/fs.ErrNotExist] if Path does not exist.
	Err error
}

// Connections are the TCP connections in the network namespace of the process. This is the namespace of the
// machine, of a container, or of all containers of a pod.
type Connections struct {
	// Active is the kernel's CurrEstab, the number of connections in the states ESTABLISHED and CLOSE_WAIT over
	// IPv4 and IPv6. A connection between two processes of the same namespace counts twice, once for each end.
	// The kernel keeps the number, so reading it takes equally long for any number of connections.
	//
	// Active is smaller than the length of psutil's net_connections(), which walks all sockets, and counts
	// listeners, TIME_WAIT, every other state of TCP, and UDP too.
	Active int

	// Err is ErrUnsupported on every system except Linux.
	Err error
}

// Process is the state of this process.
type Process struct {
	Goroutines int
	Uptime     time.Duration // since this package was initialized

	HeapBytes Figure[uint64] // objects on the heap, including dead objects that are not swept yet
	OpenFiles Figure[int]    // open file descriptors; Linux only

	// MaxOpenFiles is the soft limit on open files. New connections fail when it is reached. Its Err is
	// ErrUnsupported if there is no limit.
	MaxOpenFiles Figure[int]
}
