package sysmetrics

import (
	"os"

	"golang.org/x/sys/unix"
)

// affinity is the set of processors that the main thread may run on, by a cpuset or by taskset. It is nil
// where the set is unknown, as with more than 1024 processors.
func affinity() processors {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(os.Getpid(), &set); err != nil || set.Count() == 0 {
		return nil
	}
	return &set
}
