package terminal

import "syscall"

// processesSequences is the flag ENABLE_VIRTUAL_TERMINAL_PROCESSING of a console's mode. A console without
// this flag prints escape sequences as text.
const processesSequences = 0x4

// windowSize reports whether fd is a console that processes escape sequences. It returns no size, because
// package syscall has no function for it.
func windowSize(fd uintptr) (width, height int, ok bool) {
	var mode uint32
	err := syscall.GetConsoleMode(syscall.Handle(fd), &mode)
	return 0, 0, err == nil && mode&processesSequences != 0
}
