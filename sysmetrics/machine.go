package sysmetrics

import "io/fs"

// A machine is where a Sampler reads its figures, so that a test can put another
// one in its place. Its functions are called by one goroutine at a time, but for statfs.
type machine struct {
	files  fs.FS // the root of a Linux file system, for /proc and cgroups; nil elsewhere
	cpu    func() (cpuTimes, error)
	memory func() (hostMemory, error)
	statfs func(path string) (space, error)
}

// cpuTimes are counters since boot, in any unit, over all processors.
type cpuTimes struct{ busy, total float64 }

// hostMemory is in bytes.
type hostMemory struct{ total, available uint64 }
