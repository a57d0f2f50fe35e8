//go:build unix

package sysmetrics

import (
	"math"

	"golang.org/x/sys/unix"
)

func maxOpenFiles() Figure[int] {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return Figure[int]{Err: err}
	}
	// Each system has a different huge number for "no limit".
	if uint64(limit.Cur) >= math.MaxInt {
		return Figure[int]{Err: ErrUnsupported}
	}
	return Figure[int]{Value: int(limit.Cur)}
}
