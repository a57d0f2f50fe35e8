//go:build linux || darwin || freebsd || dragonfly

package sysmetrics

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

func statfs(path string) (space, error) {
	var st unix.Statfs_t
	err := unix.Statfs(path, &st)
	// FUSE forwards signals to this call, and Go preempts goroutines by signals.
	for err == unix.EINTR {
		err = unix.Statfs(path, &st)
	}
	if err != nil {
		return space{}, &fs.PathError{Op: "statfs", Path: path, Err: err}
	}
	blocks, free, unit := unsigned(st.Blocks), unsigned(st.Bfree), blockSize(&st)
	return space{
		total:      blocks * unit,
		free:       unsigned(st.Bavail) * unit,
		used:       (blocks - min(free, blocks)) * unit,
		inodes:     unsigned(st.Files),
		inodesFree: unsigned(st.Ffree),
		readOnly:   isReadOnly(&st),
		depth:      mountDepth(path),
	}, nil
}

// unsigned converts a count to uint64. A negative count becomes 0. On some systems, the count of free blocks
// is negative when blocks of root's reserve are in use.
func unsigned[T int64 | uint64](n T) uint64 { return uint64(max(n, 0)) }
