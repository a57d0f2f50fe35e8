package healthcheck

import (
	"context"
	"errors"
	"flag"
	"io"

	"github.com/echo-probes/echohealth/healthcheck/internal/terminal"
)

// Main runs the command and returns its exit code. args are the arguments without the command's name. The
// code is 0 if the service is well, and for --help, which Main prints to stdout. In every other case the code
// is 1. If args contain a mistake, Main also prints one line about it to stderr. The code is never 2, because
// Docker reserves 2.
//
// Each request has a timeout, which args can set and which is 3 s by default. --all ends within a minute.
// --watch and a rollout run until SIGINT or SIGTERM, which Main handles in the meantime. A second signal ends
// the process.
//
// On a terminal, Main prints a table, with colours unless NO_COLOR is set in the environment. If stdout is
// not a terminal, or TERM is dumb, Main prints one line.
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
