//go:build darwin || freebsd || dragonfly

package sysmetrics

import "golang.org/x/sys/unix"

// blockSize returns the unit of the block counts. This is st.Bsize. The preferred size of a transfer is
// st.Iosize.
func blockSize(st *unix.Statfs_t) uint64 { return uint64(st.Bsize) }

// isReadOnly reports whether the file system is mounted read-only.
func isReadOnly(st *unix.Statfs_t) bool { return st.Flags&unix.MNT_RDONLY != 0 }

func mountDepth(string) int { return unknownDepth }
