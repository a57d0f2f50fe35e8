//go:build !linux && !darwin && !freebsd && !windows

package terminal

// windowSize always reports that fd is not a terminal, because it can't detect a terminal on this system.
func windowSize(uintptr) (width, height int, ok bool) { return 0, 0, false }
