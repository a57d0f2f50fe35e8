package healthcheck

import (
	"context"
	"errors"
	"flag"
	"io"

	"github.com/echo-probes/echohealth/healthcheck/internal/terminal"
)

// Main runs the command and returns its exit code. Args are the arguments without the command's name. The
// code is 0 if the service is well, and for --help, which Main prints to stdout. It is 1 for everything else.
// A mistake in args is 1 too, and Main prints one line about it to stderr. The code is never 2, which Docker
// reserves.
//
// A request ends within the timeout that args set, 3 s by default. --all ends within a minute. --watch and a
// rollout run until SIGINT or SIGTERM, which Main handles meanwhile. A second signal ends the process.
//
// On a terminal the answer is a table, with colours unless the environment has NO_COLOR. If stdout is no
// terminal, or TERM is dumb, the answer is one line.
func Main(args []string, stdout, stderr io.Writer) int {
	return run(context.Background(), args, terminal.NewOutput(stdout, stderr))
}

func run(ctx context.Context, args []string, out *terminal.Output) int {
	name, usage, parse := "healthcheck", usageText, parseAsk
	if len(args) > 0 && args[0] == "rollout" {
		name, usage, parse, args = "healthcheck rollout", rolloutUsageText, parseRollout, args[1:]
	}
	act, err := parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		out.Print(usage)
		return 0
	case err != nil:
		out.PrintError("%s\nsee %s --help\n", err, name)
		return 1
	case act(ctx, out):
		return 0
	}
	return 1
}
