package sysmetrics

import "io/fs"

// A machine is the source of the figures of a Sampler. A test can replace it. Only one goroutine at a time
// calls its functions, except statfs.
type machine struct {
	files       fs.FS // the root of a Linux file system, for control groups and the process; nil elsewhere
	cpu         func() (cpuTimes, error)
	memory      func() (hostMemory, error)
	connections func() (int, error)
	statfs      func(path string) (space, error)
}

func thisMachine() machine {
	return machine{
		files:       ownFiles(),
		cpu:         readHostCPU,
		memory:      readHostMemory,
		connections: readHostConnections,
		statfs:      statfs,
	}
}

// cpuTimes are counters since boot, in any unit, over the processors that this process may run on.
type cpuTimes struct {
	busy, total float64
	of          string // which processors; equal strings mean the same ones
}

// hostMemory is in bytes.
type hostMemory struct{ total, available uint64 }
