package healthcheck

import (
	"context"
	"encoding/json"

	"github.com/echo-probes/echohealth/healthcheck/internal/client"
	"github.com/echo-probes/echohealth/healthcheck/internal/health"
	"github.com/echo-probes/echohealth/healthcheck/internal/terminal"
	"github.com/echo-probes/echohealth/healthcheck/internal/text"
)

// once asks each target once, and prints the answers.
type once struct {
	request client.Settings
	targets []client.Target
	failOn  health.Level
	json    bool // print the bodies as they are
}

func (s once) run(ctx context.Context, out *terminal.Output) bool {
	good := true
	for _, o := range askTargets(ctx, s.request, s.targets) {
		good = good && o.level < s.failOn
		switch {
		case s.json:
			printBody(out, o)
		case out.Terminal:
			width, _ := out.Size()
			for _, line := range checklist(out, o, width) {
				out.Print(line + "\n")
			}
		case len(s.targets) > 1:
			out.Printf("%s: %s\n", o.target, o.line())
		default:
			out.Print(o.line() + "\n")
		}
	}
	return good
}

// printBody prints a JSON body to the byte; to a terminal, without control characters. Where there is no JSON, it
// prints why to stderr: a program may read stdout.
func printBody(out *terminal.Output, o outcome) {
	if o.answer == nil || !json.Valid(o.answer.Body) {
		out.PrintError("%s: %s\n", o.target, o.line())
		return
	}
	body := string(o.answer.Body)
	if out.Terminal {
		body = text.Printable(body)
	}
	out.Print(body)
	if body[len(body)-1] != '\n' {
		out.Print("\n")
	}
}
