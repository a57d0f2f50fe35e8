package sysmetrics

import (
	"path/filepath"

	"golang.org/x/sys/unix"
)

// blockSize is the unit of the block counts. On Linux that is f_frsize. f_bsize is the preferred size of a
// transfer, which is up to 256 times as much on virtiofs and FUSE. A file system without an f_frsize leaves
// it zero; glibc's statvfs then uses f_bsize too.
func blockSize(st *unix.Statfs_t) uint64 {
	if st.Frsize > 0 {
		return uint64(st.Frsize)
	}
	return uint64(st.Bsize)
}

// isReadOnly is true for a file system that is read-only, and for a mount of it that is.
func isReadOnly(st *unix.Statfs_t) bool { return st.Flags&unix.ST_RDONLY != 0 }

// mountDepth returns how many directories path is below its mount point. It returns 0 for the mount point
// itself, and unknownDepth if it cannot find the mount point.
func mountDepth(path string) int {
	dir, err := filepath.EvalSymlinks(path)
	if err != nil {
		return unknownDepth
	}
	at, err := statx(dir)
	for depth := 0; err == nil; depth++ {
		parent := filepath.Dir(dir)
		if parent == dir || at.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0 {
			return depth
		}
		var above unix.Statx_t
		above, err = statx(parent)
		if err == nil && (above.Dev_major != at.Dev_major || above.Dev_minor != at.Dev_minor) {
			return depth // a kernel before 5.8 has no STATX_ATTR_MOUNT_ROOT
		}
		dir, at = parent, above
	}
	return unknownDepth
}

func statx(path string) (unix.Statx_t, error) {
	var st unix.Statx_t
	_, err := uninterrupted(func() (int, error) {
		return 0, unix.Statx(unix.AT_FDCWD, path, unix.AT_STATX_DONT_SYNC, unix.STATX_BASIC_STATS, &st)
	})
	return st, err
}
