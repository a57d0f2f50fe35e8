package terminal

import "syscall"

// processesSequences is ENABLE_VIRTUAL_TERMINAL_PROCESSING. A console without it prints escape sequences as
// text.
const processesSequences = 0x4

// windowSize reports whether fd is a console that processes escape sequences. Package syscall has no function
// for its size.
func windowSize(fd uintptr) (width, height int, ok bool) {
	var mode uint32
	err := syscall.GetConsoleMode(syscall.Handle(fd), &mode)
	return 0, 0, err == nil && mode&processesSequences != 0
}
