//go:build linux || darwin || freebsd

package terminal

import (
	"syscall"
	"unsafe"
)

// windowSize returns the width and height of the terminal fd. ok is false if fd is not a terminal.
func windowSize(fd uintptr) (width, height int, ok bool) {
	var size struct{ lines, columns, x, y uint16 }
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCGWINSZ, uintptr(unsafe.Pointer(&size)))
	return int(size.columns), int(size.lines), errno == 0
}
