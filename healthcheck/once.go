package healthcheck

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
)

// askAll asks all targets side by side, in their order.
func (s requestSettings) askAll(ctx context.Context, targets []target) []outcome {
	outcomes := make([]outcome, len(targets))
	var wg sync.WaitGroup
	for i, t := range targets {
		wg.Go(func() { outcomes[i] = s.ask(ctx, t) })
	}
	wg.Wait()
	return outcomes
}

// once asks each URL once and says the answer.
func (s *askSettings) once(ctx context.Context, out *output) bool {
	good := true
	for _, o := range s.request.askAll(ctx, s.targets) {
		good = good && o.level < s.failOn
		switch {
		case s.json:
			o.writeBody(out)
		case out.terminal:
			width, _ := out.size()
			for _, line := range out.checklist(o, width) {
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

// writeBody writes a JSON body to the byte, unless a terminal would read it. What is no JSON is not for those who read JSON: they are
// told why there is none.
func (o outcome) writeBody(out *output) {
	if o.answer == nil || !json.Valid(o.answer.body) {
		out.complain("%s: %s\n", o.target, o.line())
		return
	}
	body := string(o.answer.body)
	if out.terminal {
		body = printable(body)
	}
	out.print(body)
	if body[len(body)-1] != '\n' {
		out.print("\n")
	}
}

// checklist is the outcome for people: a row for each check.
func (out *output) checklist(o outcome, width int) []string {
	head := []cell{{o.state(), o.level}}
	head = append(head, plain(o.document.lasting.String(), o.took(), o.target.String(), o.note)...)
	head = append(head, plain(o.document.details...)...)
	rows := make([][]cell, len(o.document.checks))
	for i, c := range o.document.checks {
		rows[i] = c.cells()
	}
	return append(out.table([][]cell{head}, width), out.table(rows, width)...)
}

func (c check) cells() []cell {
	milliseconds := c.milliseconds
	if milliseconds != "" {
		milliseconds += "ms"
	}
	l := levels[c.status]
	cells := []cell{{text: "  " + c.name}, {c.status, l}, {c.reason, l}}
	return append(cells, plain(c.lasting.String(), milliseconds, strings.Join(c.details, " "))...)
}
