package sysmetrics

import (
	"os"

	"golang.org/x/sys/unix"
)

// affinity returns the processors that the main thread may use. A cpuset or taskset can restrict them. The
// result is nil if the set is unknown, for example with more than 1024 processors.
func affinity() processors {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(os.Getpid(), &set); err != nil || set.Count() == 0 {
		return nil
	}
	return &set
}
