package sysmetrics

import (
	"os"

	"golang.org/x/sys/unix"
)

// affinity is the set of processors that the main thread may run on: a cpuset, or what taskset has set. It is
// nil where that is not known, as with more than 1024 processors.
func affinity() processors {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(os.Getpid(), &set); err != nil || set.Count() == 0 {
		return nil
	}
	return &set
}
