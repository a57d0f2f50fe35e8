package terminal

import "syscall"

// processesSequences is ENABLE_VIRTUAL_TERMINAL_PROCESSING, without which a console shows escape sequences as
// they are.
const processesSequences = 0x4

// windowSize reports whether fd is a console that understands escape sequences. Its size package syscall
// can't tell.
func windowSize(fd uintptr) (width, height int, ok bool) {
	var mode uint32
	err := syscall.GetConsoleMode(syscall.Handle(fd), &mode)
	return 0, 0, err == nil && mode&processesSequences != 0
}
