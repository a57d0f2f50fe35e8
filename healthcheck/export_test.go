package healthcheck

import (
	"context"
	"io"

	"github.com/echo-probes/echohealth/healthcheck/internal/terminal"
)

// Run is Main. The end of ctx has the effect of a signal.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return run(ctx, args, terminal.NewOutput(stdout, stderr))
}

// IsTerminal reports whether the command treats w as a terminal.
func IsTerminal(w io.Writer) bool { return terminal.NewOutput(w, nil).Terminal }
