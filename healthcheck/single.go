package healthcheck

import (
	"context"
	"encoding/json"

	"github.com/echo-probes/echohealth/healthcheck/internal/client"
	"github.com/echo-probes/echohealth/healthcheck/internal/health"
	"github.com/echo-probes/echohealth/healthcheck/internal/outcome"
	"github.com/echo-probes/echohealth/healthcheck/internal/terminal"
	"github.com/echo-probes/echohealth/healthcheck/internal/text"
)

// single sends one request to each target and prints the answers.
type single struct {
	request client.Settings
	targets []client.Target
	failOn  health.Level
	json    bool // print the bodies of answers unchanged
}

func (s single) run(ctx context.Context, out *terminal.Output) bool {
	well := true
	for _, o := range outcome.AskAll(ctx, s.request, s.targets) {
		well = well && o.Level < s.failOn
		switch {
		case s.json:
			printBody(out, o)
		case out.Terminal:
			width, _ := out.Size()
			for _, line := range outcome.Checklist(out, o, width) {
				out.Print(line + "\n")
			}
		case len(s.targets) > 1:
			out.Printf("%s: %s\n", o.Target, o.Line())
		default:
			out.Print(o.Line() + "\n")
		}
	}
	return well
}

// printBody prints a JSON body unchanged. On a terminal it removes control characters. If the body is not
// JSON, printBody prints the outcome to stderr, because a program that reads stdout expects only JSON.
func printBody(out *terminal.Output, o outcome.Outcome) {
	if o.Answer == nil || !json.Valid(o.Answer.Body) {
		out.PrintError("%s: %s\n", o.Target, o.Line())
		return
	}
	body := string(o.Answer.Body)
	if out.Terminal {
		body = text.Printable(body)
	}
	out.Print(body)
	if body[len(body)-1] != '\n' {
		out.Print("\n")
	}
}
