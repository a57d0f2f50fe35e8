package healthcheck

import (
	"context"
	"errors"
	"flag"
	"io"

	"github.com/echo-probes/echohealth/healthcheck/internal/terminal"
)

// Main runs the command with args, which don't include its name, and returns its exit code: 0 if the service is well, and if the
// help was asked for, which goes to stdout; 1 for everything else, a mistake in args too, which is named on stderr with the usage below
// it. Never 2, which Docker reserves.
//
// A question ends within the timeout that args set, 3 s by default, and --all within a minute. With --watch, and for a rollout, Main
// goes on until SIGINT or SIGTERM, which it handles meanwhile; a second one ends the process.
//
// Where stdout is a terminal the answer is a table, with colours unless the environment has NO_COLOR; elsewhere, and where TERM is dumb, it
// is one line.
func Main(args []string, stdout, stderr io.Writer) int {
	return run(context.Background(), args, terminal.NewOutput(stdout, stderr))
}

func run(ctx context.Context, args []string, out *terminal.Output) int {
	usage, parse := usageText, parseAsk
	if len(args) > 0 && args[0] == "rollout" {
		usage, parse, args = rolloutUsageText, parseRollout, args[1:]
	}
	act, err := parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		out.Print(usage)
		return 0
	case err != nil:
		out.PrintError("%s\n\n%s", err, usage)
		return 1
	case act(ctx, out):
		return 0
	}
	return 1
}
