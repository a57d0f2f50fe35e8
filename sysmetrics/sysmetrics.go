// Package sysmetrics measures the processor, the memory, the disks and the TCP connections of the machine,
// and of the container, if the process runs in one.
//
// A container sees the whole machine in /proc. Its own limits are in the files of its control group. On Linux
// this package reads both, for cgroup v2, v1 and the hybrid of the two, and returns the figures of the
// tighter limit. On other systems it returns those of the machine.
//
// The processors, the memory and the connections of the machine come from gopsutil on every system. On Linux
// the environment variable HOST_PROC moves the files that gopsutil reads. Control groups, disks and the
// process are read here.
//
// A [Sampler] measures only when a sample is asked for. It owns no goroutine between two calls and shares no
// state with other users of gopsutil in the process. A call waits at most 50 ms for a system that is slow or
// hangs. Then it returns the last figures: [Sample.Age] is their age, and [Sample.Stuck] is true once the
// system has not answered for 5 s.
//
// The package knows nothing of thresholds, HTTP or the checks that use it.
//
// # Absent figures
//
// A figure that cannot be read does not affect another one, and is never replaced by a made-up number. Every
// struct below that has an Err field follows one rule: while Err is nil its figures are measured; otherwise
// they are zero and Err is the cause:
//
// - [ErrPending]: it takes more time, a later sample has it. - [ErrUnsupported]: it does not exist here, and
// no later sample has it. - [ErrUnmounted]: the file system of a disk was unmounted while the Sampler was in
// use. - Any other error is a failure to read. It names files and quotes a few bytes of them, which belongs
// in a log and not in a public answer.
//
// If a field is valid beside an Err, its comment says so. A [Figure] has its own Err.
//
// Percentages go from 0 to 100 and are not rounded.
package sysmetrics

import (
	"errors"
	"time"
)

var (
	// ErrPending is the Err of a figure that is not measured yet: a processor share before its first window
	// has ended, a disk that has had only a moment to answer, or every figure while the first measurement is
	// slow.
	ErrPending = errors.New("not measured yet")

	// ErrUnsupported is the Err of a figure that does not exist here. Either this system does not count it, or
	// there is nothing to count, such as the inodes of a file system without a table of them, or it is hidden
	// on purpose, as by a /proc that is mounted with subset=pid. Such an Err may wrap another error.
	ErrUnsupported = errors.New("not available on this system")

	// ErrUnmounted is the Err of a disk if the file system of its path is no longer mounted there. The
	// figures would be those of the file system above. Linux only.
	ErrUnmounted = errors.New("its file system is not mounted any more")
)

// A Figure is a number with an Err of its own.
type Figure[T int | uint64 | float64] struct {
	Value T     // valid while Err is nil, zero otherwise
	Err   error // why there is no Value
}

// A Source names the origin of the figures.
type Source string

const (
	// Host is the whole machine.
	Host Source = "host"
	// Cgroup is the control group of this process, or one above it, whose limit is tighter than the machine.
	Cgroup Source = "cgroup"
)

// A Sample holds the measurements of a [Sampler]. It never changes after it was returned, and must not be
// changed: all callers within a second share it.
type Sample struct {
	// At is the time when the measurement began. No figure is older, except those of a disk that has an Age. If
	// the sample has an Age or no figures, At is the time when the sample was made. At has a monotonic reading.
	At time.Time

	// Seq orders the samples of one Sampler: a later one has a higher Seq than an earlier one. At does not
	// order them: a sample that repeats old figures while new ones are being measured may have a later At
	// than the sample with the new ones.
	Seq uint64

	// Stuck is true while the system does not answer: the measurement for this sample has not ended within
	// 5 s. The figures are then those of an earlier sample. Without an earlier sample every figure except
	// those of Go itself is absent, and its Err says so.
	Stuck bool

	// Age is how long before At the figures were measured, if that is 5 s or more: no sample was asked for
	// during that time, and the new measurement is slow or stuck. It is 0 in every other sample.
	Age time.Duration

	CPU         CPU
	Memory      Memory
	Disks       []Disk // one for each of Options.Disks, in that order
	Connections Connections
	Process     Process
}

// CPU is the use of the processors. Err is about Percent, Window and Source.
type CPU struct {
	// Percent is the share of the processors that was busy during Window. Only the processors that the process
	// may run on count: in a cpuset, those of the cpuset. Their use by other processes counts too. Waiting for
	// disks is idle; time that a hypervisor took away is busy. In a control group with a quota it is the share
	// of that quota which the group used.
	Percent float64

	// Window is how long Percent was measured. It is at least a second, 5 to 15 s when samples are taken
	// steadily, and as long as the pause after a pause.
	Window time.Duration

	Source Source
	Err    error

	// Count is the number of processors that this process may run on. On Linux a change of its cpuset changes
	// it. On other systems it is [runtime.NumCPU]. It is valid beside an Err.
	Count int

	// LimitCPUs is the tightest quota of the control group and those above it, in processors: 0.5 is half of
	// one. 0 means no quota, or one that could not be read, and then Err is set. It is valid beside an Err.
	LimitCPUs float64

	// ThrottledRatio is the share of the quota's periods in which the control group was stopped because it had
	// used the quota up, from 0 to 1, over the same window. It is ErrUnsupported without a quota.
	ThrottledRatio Figure[float64]
}

// Memory is the use of main memory; swap is not counted.
type Memory struct {
	// Percent is 100 × (1 - AvailableBytes/TotalBytes).
	Percent float64

	// AvailableBytes is what can be allocated without swapping and without the out-of-memory killer. It is the
	// smallest of two kinds of figures. One is the kernel's own estimate for the machine, plus the part of
	// ZFS's cache that ZFS frees on demand. The other is, for each memory limit from the own control group
	// upwards, the limit less the working set of the group that has it. The limit is memory.max, or memory.high
	// if that is lower. The working set is the usage less inactive_file, the page cache that is dropped first,
	// as kubelet and cAdvisor compute it.
	AvailableBytes uint64

	// TotalBytes is the smallest of the machine's memory and those limits.
	TotalBytes uint64

	Source Source // Cgroup when a limit below the machine's memory exists
	Err    error

	// OOMKills is how many processes of the own control group the out-of-memory killer has ended since the
	// group was made. It does not depend on Err.
	OOMKills Figure[uint64]
}

// Disk is the use of one file system.
type Disk struct {
	Name string // as configured; valid beside an Err
	Path string // as configured; valid beside an Err

	// Percent is what df shows, unrounded: used / (used + free). Blocks that are reserved for root count as
	// neither, so Percent does not follow from the next two fields.
	Percent float64

	FreeBytes  uint64 // what an unprivileged process may still write
	TotalBytes uint64

	// InodesPercent is the share of inodes in use. It is ErrUnsupported for a file system that has no fixed
	// number of them.
	InodesPercent Figure[float64]

	// ReadOnly is true for a file system that is read-only, or mounted so. An image, such as squashfs, erofs
	// or iso9660, is always read-only and has no free block. Linux, macOS and FreeBSD only.
	ReadOnly bool

	// BecameReadOnly is true for a ReadOnly file system that an earlier sample has found writable. An
	// administrator, or the kernel after an error of the device, has remounted it.
	BecameReadOnly bool

	// Age is how old the file system's answer was when the sample was complete, whether the answer was the
	// figures or Err. It is under a millisecond as a rule, and more after a late answer. It is 0 when there
	// never was an answer. It includes Sample.Age. It is valid beside an Err.
	Age time.Duration

	// Stuck is true while the file system has not answered a call of an earlier sample for at least 100 ms, as
	// a dead NFS server does not. It is also true in a stuck sample, for which no file system is asked. The
	// figures are then those of its last answer. It is valid beside an Err.
	Stuck bool

	// Err satisfies errors.Is with [io/fs.ErrNotExist] when Path does not exist.
	Err error
}

// Connections are the TCP connections of the network namespace that the process is in: the machine's, a
// container's, or that of all containers of a pod.
type Connections struct {
	// Active is the kernel's CurrEstab: connections in the states ESTABLISHED and CLOSE_WAIT, IPv4 and IPv6. A
	// connection between two processes of the same namespace counts twice, once for each end. The kernel keeps
	// it as one number, so it costs the same for ten connections as for ten thousand.
	//
	// It is smaller than the length of psutil's net_connections(), which walks all sockets and counts
	// listeners, TIME_WAIT and every other state of TCP, and UDP too.
	Active int

	// Err is ErrUnsupported on everything but Linux.
	Err error
}

// Process is the process itself.
type Process struct {
	Goroutines int
	Uptime     time.Duration // since this package was initialized

	HeapBytes Figure[uint64] // objects on the heap, including dead ones not yet swept
	OpenFiles Figure[int]    // open file descriptors; Linux only

	// MaxOpenFiles is the soft limit on open files, at which new connections fail. It is ErrUnsupported
	// without a limit.
	MaxOpenFiles Figure[int]
}
