package outcome

import (
	"strings"

	"github.com/echo-probes/echohealth/healthcheck/internal/document"
	"github.com/echo-probes/echohealth/healthcheck/internal/health"
	"github.com/echo-probes/echohealth/healthcheck/internal/terminal"
)

// Checklist returns the lines that show an outcome on a terminal, with one line for each check and each
// group.
func Checklist(out *terminal.Output, o Outcome, width int) []string {
	head := []terminal.Cell{{Text: o.State(), Level: o.Level}}
	lasting := o.Document.Lasting.String()
	head = append(head, terminal.PlainCells(lasting, o.Took(), o.Target.String(), o.note)...)
	head = append(head, terminal.PlainCells(o.Document.Details...)...)
	var rows [][]terminal.Cell
	for _, c := range o.Document.Checks {
		rows = append(rows, checkCells(c))
	}
	for _, g := range o.Document.Groups {
		status := terminal.Cell{Text: g.Status, Level: health.LevelOf(g.Status)}
		rows = append(rows, []terminal.Cell{{Text: "  group " + g.Name}, status})
	}
	return append(out.Table([][]terminal.Cell{head}, width), out.Table(rows, width)...)
}

func checkCells(c document.Check) []terminal.Cell {
	milliseconds := c.Milliseconds
	if milliseconds != "" {
		milliseconds += "ms"
	}
	l := health.LevelOf(c.Status)
	cells := []terminal.Cell{{Text: "  " + c.Name}, {Text: c.Status, Level: l}, {Text: c.Reason, Level: l}}
	details := strings.Join(c.Details, " ")
	return append(cells, terminal.PlainCells(c.Lasting.String(), milliseconds, details)...)
}
