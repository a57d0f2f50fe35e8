package terminal

import (
	"strings"
	"unicode/utf8"

	"github.com/echo-probes/echohealth/healthcheck/internal/health"
	"github.com/echo-probes/echohealth/healthcheck/internal/text"
)

// UnlimitedWidth is the width for a table whose lines must not be cut. It exceeds the width of every such
// table.
const UnlimitedWidth = 1000

// Cell is one field of a table.
type Cell struct {
	Text  string
	Level health.Level // sets the colour; Unknown means no colour
}

// PlainCells returns cells without a colour.
func PlainCells(texts ...string) []Cell {
	cells := make([]Cell, len(texts))
	for i := range texts {
		cells[i].Text = texts[i]
	}
	return cells
}

// Table returns the lines of a table. It separates columns by two spaces, omits empty columns, and cuts lines
// to width.
func (o *Output) Table(rows [][]Cell, width int) []string {
	widths := columnWidths(rows)
	lines := make([]string, len(rows))
	for i, row := range rows {
		lines[i] = o.row(row, widths, width)
	}
	return lines
}

func (o *Output) row(row []Cell, widths []int, room int) string {
	var b strings.Builder
	pending := 0 // number of spaces before the next text
	for i, c := range row {
		if widths[i] == 0 {
			continue
		}
		if c.Text != "" && room > pending {
			shown := text.Cut(c.Text, room-pending)
			b.WriteString(strings.Repeat(" ", pending) + o.Paint(c.Level, shown))
			room -= pending + utf8.RuneCountInString(shown)
			pending = 0
		}
		pending += widths[i] - utf8.RuneCountInString(c.Text) + 2
	}
	return b.String()
}

// TableWidth returns the width of a table that has these rows.
func TableWidth(rows [][]Cell) int {
	width := -2
	for _, w := range columnWidths(rows) {
		width += w + 2
	}
	return width
}

func columnWidths(rows [][]Cell) []int {
	var widths []int
	for _, row := range rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c.Text))
		}
	}
	return widths
}
