package healthcheck

import (
	"context"
	"encoding/json"

	"github.com/echo-probes/echohealth/healthcheck/internal/health"
	"github.com/echo-probes/echohealth/healthcheck/internal/text"
)

// once asks each target once, and prints the answers.
type once struct {
	request requestSettings
	targets []target
	failOn  health.Level
	json    bool // print the bodies as they are
}

func (s once) run(ctx context.Context, out *output) bool {
	good := true
	for _, o := range askTargets(ctx, s.request, s.targets) {
		good = good && o.level < s.failOn
		switch {
		case s.json:
			printBody(out, o)
		case out.terminal:
			width, _ := out.size()
			for _, line := range checklist(out, o, width) {
				out.print(line + "\n")
			}
		case len(s.targets) > 1:
			out.printf("%s: %s\n", o.target, o.line())
		default:
			out.print(o.line() + "\n")
		}
	}
	return good
}

// printBody prints a JSON body to the byte; to a terminal, without control characters. Where there is no JSON, it
// prints why to stderr: a program may read stdout.
func printBody(out *output, o outcome) {
	if o.answer == nil || !json.Valid(o.answer.body) {
		out.printError("%s: %s\n", o.target, o.line())
		return
	}
	body := string(o.answer.body)
	if out.terminal {
		body = text.Printable(body)
	}
	out.print(body)
	if body[len(body)-1] != '\n' {
		out.print("\n")
	}
}
