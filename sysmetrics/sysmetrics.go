// Package sysmetrics measures the processor, the memory, the disks and the TCP
// connections of the machine, and of the container where the process runs in one.
//
// A container sees the whole machine in /proc: its own share is written in its
// control group. On Linux this package reads both, for cgroup v2, v1 and the
// hybrid of the two, and gives the tighter one. Elsewhere it gives the machine.
//
// The processors, the memory and the connections of the machine come from gopsutil
// on every system. On Linux the environment variable HOST_PROC moves the files that
// gopsutil reads. Control groups, disks and the process are read here.
//
// A [Sampler] measures when it is asked and at no other time. It owns no
// goroutine between two calls and keeps no state in common with other users of
// gopsutil in the process. Nobody waits longer than 50 ms for a system that is slow or
// hangs: then the last figures are given, [Sample.Age] says how old they are, and
// [Sample.Stuck] that the system has not answered for 5 s.
//
// The package knows nothing of thresholds, HTTP or the checks that use it.
//
// # Absent figures
//
// A figure that cannot be read spoils no other one, and is never replaced by a
// made-up number. Every struct below that has an Err field follows one rule:
// while Err is nil its figures are measured; when it is not, they are zero and
// Err says why:
//
//   - [ErrPending]: it takes more time, a later sample has it.
//   - [ErrUnsupported]: it does not exist here, and no later sample has it.
//   - [ErrUnmounted]: the file system of a disk was unmounted while the Sampler was in use.
//   - Anything else is what went wrong while reading. It names files and quotes
//     a few bytes of them, which belongs in a log and not in a public answer.
//
// A field that holds whatever Err is says so in its comment. A figure that is
// absent on its own account is a [Figure].
//
// Percentages go from 0 to 100 and are not rounded.
package sysmetrics

import (
	"errors"
	"time"
)

var (
	// ErrPending is the Err of a figure that is not measured yet: a processor
	// share before its first window is over, a disk that has had no more than a
	// moment to answer, or everything, where the very first measuring is slow.
	ErrPending = errors.New("not measured yet")

	// ErrUnsupported is the Err of a figure that does not exist here: this system
	// does not count it, or there is nothing to count, such as the inodes of a
	// file system without a table of them, or it is hidden on purpose, as by a
	// /proc that is mounted with subset=pid. Such an Err may say more.
	ErrUnsupported = errors.New("not available on this system")

	// ErrUnmounted is the Err of a disk whose path has been on a file system that is not mounted there any
	// more: its figures would be those of the file system above. Linux only.
	ErrUnmounted = errors.New("its file system is not mounted any more")
)

// A Figure is a number that may be absent on its own account.
type Figure[T int | uint64 | float64] struct {
	Value T     // valid while Err is nil, zero otherwise
	Err   error // why there is no Value
}

// A Source says whose figures are given.
type Source string

const (
	// Host is the whole machine.
	Host Source = "host"
	// Cgroup is the control group of this process, or one above it, whose limit
	// is tighter than the machine.
	Cgroup Source = "cgroup"
)

// A Sample is what a [Sampler] has measured. It never changes once it is
// returned, and must not be changed: everybody who asks within a second shares it.
type Sample struct {
	// At is when the measuring began, so that no figure is older but those of a disk that
	// has an Age. It has a monotonic reading. Of a sample with an Age, and of one without any
	// figures, it is when that was given.
	At time.Time

	// Seq puts the samples of one Sampler in order: a later one has a higher Seq than an earlier
	// one. At does not: figures that were given once more while others were being measured may
	// have a later At than those, and are older all the same.
	Seq uint64

	// Stuck is true while the system does not answer: what is read for this sample has not been
	// read within 5 s. The figures are those of an earlier sample then. Where there never was
	// one, every figure but those of Go itself is absent, and its Err says so.
	Stuck bool

	// Age is how long before At the figures were measured, where that is 5 s or more: nobody had
	// asked for so long, and what was to replace them is slow, or stuck. It is 0 in every other
	// sample.
	Age time.Duration

	CPU         CPU
	Memory      Memory
	Disks       []Disk // one for each of Options.Disks, in that order
	Connections Connections
	Process     Process
}

// CPU is the use of the processors. Err is about Percent, Window and Source.
type CPU struct {
	// Percent is the share of the processors that was busy during Window, of those
	// that the process may run on: in a cpuset, of its processors. What others do
	// on them counts too. Waiting for disks is idle; time that a hypervisor took
	// away is busy. In a control group with a quota it is the share of that quota
	// which the group used.
	Percent float64

	// Window is how long Percent was measured: a second at least, 5 to 15 s when
	// samples are taken steadily, and as long as the pause after nobody has asked
	// for a while.
	Window time.Duration

	Source Source
	Err    error

	// Count is the number of processors that this process may run on. A cpuset may
	// change it; elsewhere than on Linux it is [runtime.NumCPU]. It holds whatever
	// Err is.
	Count int

	// LimitCPUs is the tightest quota of the control group and those above it, in
	// processors: 0.5 is half of one. 0 means no quota, or one that could not be
	// read, and then Err is set. It holds whatever Err is.
	LimitCPUs float64

	// ThrottledRatio is the share of the quota's periods in which the control group
	// was stopped for having used it up, from 0 to 1, over the same window. It is
	// ErrUnsupported without a quota.
	ThrottledRatio Figure[float64]
}

// Memory is the use of main memory; swap is not counted.
type Memory struct {
	// Percent is 100 × (1 - AvailableBytes/TotalBytes).
	Percent float64

	// AvailableBytes is what can be had without swapping and without the
	// out-of-memory killer: the smallest of the kernel's own estimate for the
	// machine (with the part of ZFS's cache that ZFS gives back) and, for every memory limit from the own control group upwards, the
	// limit less the working set of the group that has it. The limit is memory.max, or
	// memory.high where that is lower. The working set is the
	// usage less inactive_file, the page cache that is dropped first, as kubelet and
	// cAdvisor compute it.
	AvailableBytes uint64

	// TotalBytes is the smallest of the machine's memory and those limits.
	TotalBytes uint64

	Source Source // Cgroup when a limit below the machine's memory exists
	Err    error

	// OOMKills is how many processes of the own control group the out-of-memory
	// killer has ended since the group was made. It stands apart from Err.
	OOMKills Figure[uint64]
}

// Disk is the use of one file system.
type Disk struct {
	Name string // as configured; holds whatever Err is
	Path string // as configured; holds whatever Err is

	// Percent is what df shows, unrounded: used / (used + free). Blocks that are
	// reserved for root count as neither, so it cannot be had from the two fields
	// below.
	Percent float64

	FreeBytes  uint64 // what an unprivileged process may still write
	TotalBytes uint64

	// InodesPercent is the share of inodes in use. It is ErrUnsupported for a file
	// system that has no fixed number of them.
	InodesPercent Figure[float64]

	// ReadOnly is true for a file system that is read-only, or mounted so. An image, such as squashfs, erofs
	// or iso9660, is always read-only and has no free block. Linux, macOS and FreeBSD only.
	ReadOnly bool

	// BecameReadOnly is true for a ReadOnly file system that an earlier sample has found writable: by hand,
	// or by the kernel after an error of the device.
	BecameReadOnly bool

	// Age is how old the file system's answer was when the sample was complete, be it
	// the figures or Err: well under a millisecond as a rule, more after an answer that
	// was late. 0 when it never gave one. Sample.Age is contained in that of figures. It
	// holds whatever Err is.
	Age time.Duration

	// Stuck is true while the file system has left a call of an earlier sample
	// unanswered, for 100 ms at least, as a dead NFS server does, and in a stuck sample,
	// where it was not asked. The figures are then those of its last answer. It holds
	// whatever Err is.
	Stuck bool

	// Err satisfies errors.Is with [io/fs.ErrNotExist] when Path does not exist.
	Err error
}

// Connections are the TCP connections of the network namespace that the process
// is in: the machine's, a container's, or that of all containers of a pod.
type Connections struct {
	// Active is the kernel's CurrEstab: connections in the states ESTABLISHED and
	// CLOSE_WAIT, IPv4 and IPv6. One between two processes of the same namespace
	// counts twice, once for each end. It is one number that the kernel keeps, so
	// it costs the same for ten connections as for ten thousand.
	//
	// It is smaller than the length of psutil's net_connections(), which walks all
	// sockets and counts listeners, TIME_WAIT and every other state of TCP, and UDP too.
	Active int

	// Err is ErrUnsupported on everything but Linux.
	Err error
}

// Process is the process itself.
type Process struct {
	Goroutines int
	Uptime     time.Duration // since this package was initialized

	HeapBytes    Figure[uint64] // objects on the heap, dead ones not yet swept included
	OpenFiles    Figure[int]    // open file descriptors; Linux only
	MaxOpenFiles Figure[int]    // the soft limit on them, beyond which connections fail; ErrUnsupported when there is none
}
