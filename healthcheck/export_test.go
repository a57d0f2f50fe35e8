package healthcheck

import (
	"context"
	"io"
)

// Run is Main, and ends when ctx does, as at a signal.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return run(ctx, args, newOutput(stdout, stderr))
}

// IsTerminal reports whether the command takes w for a terminal.
func IsTerminal(w io.Writer) bool { return newOutput(w, nil).terminal }
