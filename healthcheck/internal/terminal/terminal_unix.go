//go:build linux || darwin || freebsd

package terminal

import (
	"syscall"
	"unsafe"
)

// windowSize returns the columns and lines of a terminal, and whether fd is one.
func windowSize(fd uintptr) (width, height int, ok bool) {
	var size struct{ lines, columns, x, y uint16 }
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCGWINSZ, uintptr(unsafe.Pointer(&size)))
	return int(size.columns), int(size.lines), errno == 0
}
