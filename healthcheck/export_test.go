package healthcheck

import (
	"context"
	"io"

	"github.com/echo-probes/echohealth/healthcheck/internal/terminal"
)

// Run is Main, and ends when ctx does, as at a signal.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return run(ctx, args, terminal.NewOutput(stdout, stderr))
}

// IsTerminal reports whether the command takes w for a terminal.
func IsTerminal(w io.Writer) bool { return terminal.NewOutput(w, nil).Terminal }
