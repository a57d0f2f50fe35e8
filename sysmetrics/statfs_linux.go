package sysmetrics

import (
	"path/filepath"

	"golang.org/x/sys/unix"
)

// blockSize returns the unit of the block counts. On Linux this is f_frsize. f_bsize is the preferred size of
// a transfer, which is up to 256 times as large on virtiofs and FUSE. If a file system sets no f_frsize,
// blockSize returns f_bsize, as statvfs of glibc does.
func blockSize(st *unix.Statfs_t) uint64 {
	if st.Frsize > 0 {
		return uint64(st.Frsize)
	}
	return uint64(st.Bsize)
}

// isReadOnly reports whether the file system, or its mount, is read-only.
func isReadOnly(st *unix.Statfs_t) bool { return st.Flags&unix.ST_RDONLY != 0 }

// mountDepth returns the number of directories between path and its mount point. It returns 0 for the mount
// point itself, and unknownDepth if it can't find the mount point.
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
			// Kernels before 5.8 do not set STATX_ATTR_MOUNT_ROOT. But if the parent is on another device, dir is the
			// mount point.
			return depth
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
