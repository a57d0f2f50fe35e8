package healthcheck

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/echo-probes/echohealth/healthcheck/internal/terminal"
)

// action does what the arguments choose, such as a single request, a watch or a rollout. It reports whether
// the exit code must be 0.
type action func(ctx context.Context, out *terminal.Output) bool

// untilSignal returns an action that runs act until SIGINT or SIGTERM. A second signal ends the process.
func untilSignal(act action) action {
	return func(ctx context.Context, out *terminal.Output) bool {
		ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
		context.AfterFunc(ctx, stop)
		defer stop()
		return act(ctx, out)
	}
}
