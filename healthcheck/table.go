package healthcheck

import (
	"strings"
	"unicode/utf8"
)

// cell is one field of a table.
type cell struct {
	text  string
	level level
}

// plain returns cells without a level.
func plain(texts ...string) []cell {
	cells := make([]cell, len(texts))
	for i, text := range texts {
		cells[i].text = text
	}
	return cells
}

// table lays rows out in columns two blanks apart, none wider than width, and leaves out the columns that are empty.
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
	pending := 0 // blanks are written only before something
	for i, c := range row {
		if widths[i] == 0 {
			continue
		}
		if c.text != "" && room > pending {
			text := cut(c.text, room-pending)
			b.WriteString(strings.Repeat(" ", pending) + o.paint(c.level, text))
			room -= pending + utf8.RuneCountInString(text)
			pending = 0
		}
		pending += widths[i] - utf8.RuneCountInString(c.text) + 2
	}
	return b.String()
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
