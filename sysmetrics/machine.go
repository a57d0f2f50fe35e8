package sysmetrics

import "io/fs"

// A machine is the source of a Sampler's figures. A test can replace it. Only one goroutine at a time calls
// the functions, except statfs.
type machine struct {
	// The root of the file system on Linux, to read control groups and the figures of the process. Nil on other
	// systems.
	files       fs.FS
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

// cpuTimes holds counters since boot, in any unit, summed over the processors that this process may run on.
type cpuTimes struct {
	busy, total float64
	of          string // names the processors; equal strings mean the same processors
}

// hostMemory holds the machine's memory in bytes.
type hostMemory struct{ total, available uint64 }
