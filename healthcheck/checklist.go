package healthcheck

import (
	"strings"

	"github.com/echo-probes/echohealth/healthcheck/internal/health"
	"github.com/echo-probes/echohealth/healthcheck/internal/terminal"
)

// checklist is the outcome for people: a row for each check.
func checklist(out *terminal.Output, o outcome, width int) []string {
	head := []terminal.Cell{{Text: o.state(), Level: o.level}}
	head = append(head, terminal.PlainCells(o.document.lasting.String(), o.took(), o.target.String(), o.note)...)
	head = append(head, terminal.PlainCells(o.document.details...)...)
	rows := make([][]terminal.Cell, len(o.document.checks))
	for i, c := range o.document.checks {
		rows[i] = checkCells(c)
	}
	return append(out.Table([][]terminal.Cell{head}, width), out.Table(rows, width)...)
}

func checkCells(c check) []terminal.Cell {
	milliseconds := c.milliseconds
	if milliseconds != "" {
		milliseconds += "ms"
	}
	l := health.LevelOf(c.status)
	cells := []terminal.Cell{{Text: "  " + c.name}, {Text: c.status, Level: l}, {Text: c.reason, Level: l}}
	return append(cells, terminal.PlainCells(c.lasting.String(), milliseconds, strings.Join(c.details, " "))...)
}
