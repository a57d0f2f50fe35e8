package healthcheck

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/echo-probes/echohealth/healthcheck/internal/terminal"
)

// action is what the arguments choose to do. It reports whether all targets are well.
type action func(ctx context.Context, out *terminal.Output) bool

// untilSignal returns an action that runs until SIGINT or SIGTERM. A second signal ends the process.
func untilSignal(act action) action {
	return func(ctx context.Context, out *terminal.Output) bool {
		ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
		context.AfterFunc(ctx, stop)
		defer stop()
		return act(ctx, out)
	}
}
