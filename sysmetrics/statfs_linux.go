package sysmetrics

import (
	"path/filepath"

	"golang.org/x/sys/unix"
)

// blockSize is the unit of the block counts. On Linux that is f_frsize; f_bsize is the
// size of a good transfer, which virtiofs and FUSE give as up to 256 times as much. A file
// system that knows no f_frsize leaves it zero, as in glibc's statvfs.
func blockSize(st *unix.Statfs_t) uint64 {
	if st.Frsize > 0 {
		return uint64(st.Frsize)
	}
	return uint64(st.Bsize)
}

// isReadOnly is true for a file system that is read-only, and for a mount of it that is.
func isReadOnly(st *unix.Statfs_t) bool { return st.Flags&unix.ST_RDONLY != 0 }

// mountDepth is how many directories path is below the mount point that it belongs to: 0 for the mount point
// itself. Where that cannot be told it is unknownDepth.
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
			return depth // a kernel before 5.8 does not know what a mount point is
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
