package healthcheck

import (
	"strings"

	"github.com/echo-probes/echohealth/healthcheck/internal/health"
)

// checklist is the outcome for people: a row for each check.
func checklist(out *output, o outcome, width int) []string {
	head := []cell{{text: o.state(), level: o.level}}
	head = append(head, plainCells(o.document.lasting.String(), o.took(), o.target.String(), o.note)...)
	head = append(head, plainCells(o.document.details...)...)
	rows := make([][]cell, len(o.document.checks))
	for i, c := range o.document.checks {
		rows[i] = checkCells(c)
	}
	return append(out.table([][]cell{head}, width), out.table(rows, width)...)
}

func checkCells(c check) []cell {
	milliseconds := c.milliseconds
	if milliseconds != "" {
		milliseconds += "ms"
	}
	l := health.LevelOf(c.status)
	cells := []cell{{text: "  " + c.name}, {text: c.status, level: l}, {text: c.reason, level: l}}
	return append(cells, plainCells(c.lasting.String(), milliseconds, strings.Join(c.details, " "))...)
}
