package healthcheck

import (
	"strings"
	"unicode/utf8"

	"github.com/echo-probes/echohealth/healthcheck/internal/health"
	"github.com/echo-probes/echohealth/healthcheck/internal/text"
)

// unlimitedWidth is the width of a table that is not cut.
const unlimitedWidth = 1000

// cell is one field of a table.
type cell struct {
	text  string
	level health.Level // unknown has no colour
}

// plainCells returns cells without a colour.
func plainCells(texts ...string) []cell {
	cells := make([]cell, len(texts))
	for i := range texts {
		cells[i].text = texts[i]
	}
	return cells
}

// table lays rows out in columns two blanks apart, none wider than width, and leaves out the empty columns.
func (o *output) table(rows [][]cell, width int) []string {
	widths := columnWidths(rows)
	lines := make([]string, len(rows))
	for i, row := range rows {
		lines[i] = o.row(row, widths, width)
	}
	return lines
}

func (o *output) row(row []cell, widths []int, room int) string {
	var b strings.Builder
	pending := 0 // blanks that are written only before something
	for i, c := range row {
		if widths[i] == 0 {
			continue
		}
		if c.text != "" && room > pending {
			shown := text.Cut(c.text, room-pending)
			b.WriteString(strings.Repeat(" ", pending) + o.paint(c.level, shown))
			room -= pending + utf8.RuneCountInString(shown)
			pending = 0
		}
		pending += widths[i] - utf8.RuneCountInString(c.text) + 2
	}
	return b.String()
}

// tableWidth returns the columns that a table of rows needs.
func tableWidth(rows [][]cell) int {
	width := -2
	for _, w := range columnWidths(rows) {
		width += w + 2
	}
	return width
}

func columnWidths(rows [][]cell) []int {
	var widths []int
	for _, row := range rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
		}
	}
	return widths
}
