package sysmetrics

import "golang.org/x/sys/unix"

// blockSize is the unit of the block counts. On Linux that is f_frsize; f_bsize is the
// size of a good transfer, which virtiofs and FUSE give as up to 256 times as much. A file
// system that knows no f_frsize leaves it zero, as in glibc's statvfs.
func blockSize(st *unix.Statfs_t) uint64 {
	if st.Frsize > 0 {
		return uint64(st.Frsize)
	}
	return uint64(st.Bsize)
}
