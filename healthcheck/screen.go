package healthcheck

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// view is all that a screen shows.
type view struct {
	title    string
	interval time.Duration
	at       time.Time
	outcomes []outcome
	hidden   int // replicas that were not asked
}

// screen draws a view: one replica with a row for each check, several as replicas × checks. It has at most height-1 lines, so that the
// terminal doesn't scroll.
func (out *output) screen(v view, width, height int) []string {
	head := fmt.Sprintf("%s  every %s  %s", clock(v.at), v.interval, v.title)
	lines := []string{cut(head, width), ""}
	room := max(height-1-len(lines), 1)
	if len(v.outcomes) == 1 {
		lines = append(lines, firstOf(out.checklist(v.outcomes[0], width), room)...)
	} else {
		lines = append(lines, out.matrix(v, width, room)...)
	}
	return firstOf(lines, height-1)
}

func firstOf(lines []string, n int) []string { return lines[:min(len(lines), max(n, 1))] }

// matrix draws a row for each replica, and below them says what has no room.
func (out *output) matrix(v view, width, room int) []string {
	outcomes, notes := v.kept(room)
	rows, unseen := fitting(outcomes, width)
	if unseen > 0 {
		notes = append(notes, fmt.Sprintf("checks that are ok in all rows: %d", unseen))
	}
	if v.hidden > 0 {
		notes = append(notes, fmt.Sprintf("replicas that are not asked: %d", v.hidden))
	}
	lines := out.table(rows, width)
	if len(notes) > 0 {
		lines = append(lines, "", cut(strings.Join(notes, "; "), width))
	}
	return lines
}

// kept returns the outcomes that have room. Where not all have, those that are well give way.
func (v view) kept(room int) ([]outcome, []string) {
	room -= 3 // the head, and a note below a blank line
	if len(v.outcomes) <= room {
		return v.outcomes, nil
	}
	sorted := slices.Clone(v.outcomes)
	slices.SortStableFunc(sorted, func(a, b outcome) int { return int(b.level) - int(a.level) })
	n := max(room, 1)
	bad := 0
	for _, o := range sorted[n:] {
		if o.level != well {
			bad++
		}
	}
	return sorted[:n], []string{fmt.Sprintf("… and %d more, %d of them not well", len(sorted)-n, bad)}
}

// fitting returns the matrix with a column for each check; where not all have room, those that are ok everywhere get none, and their number is
// returned.
func fitting(outcomes []outcome, width int) (rows [][]cell, unseen int) {
	all, notOK := checkNames(outcomes)
	rows = matrixRows(outcomes, all)
	needed := -2
	for _, w := range columnWidths(rows) {
		needed += w + 2
	}
	if needed <= width {
		return rows, 0
	}
	return matrixRows(outcomes, notOK), len(all) - len(notOK)
}

// checkNames are those of all the outcomes' checks, and of those that are not ok somewhere.
func checkNames(outcomes []outcome) (all, notOK []string) {
	for _, o := range outcomes {
		for _, c := range o.document.checks {
			if !slices.Contains(all, c.name) {
				all = append(all, c.name)
			}
			if c.status != "ok" && !slices.Contains(notOK, c.name) {
				notOK = append(notOK, c.name)
			}
		}
	}
	return all, notOK
}

func matrixRows(outcomes []outcome, checks []string) [][]cell {
	labels := labels(outcomes)
	rows := [][]cell{append(plain("REPLICA", "STATUS", "TIME", ""), plain(checks...)...)}
	for i, o := range outcomes {
		row := []cell{{text: labels[i]}, {cut(o.state(), 30), o.level}, {text: o.took()}, {text: o.document.version}}
		if o.document.version != "" {
			rows[0][3].text = "VERSION"
		}
		for _, name := range checks {
			row = append(row, o.document.cell(name))
		}
		rows = append(rows, row)
	}
	return rows
}

// labels are the replicas' addresses, or their URLs where the addresses don't tell them apart.
func labels(outcomes []outcome) []string {
	labels := make([]string, len(outcomes))
	seen := map[string]bool{}
	for i, o := range outcomes {
		labels[i] = o.target.address
		seen[labels[i]] = true
	}
	if len(seen) < len(outcomes) {
		for i, o := range outcomes {
			labels[i] = o.target.name()
		}
	}
	return labels
}

// cell is a check in one word, and for how long it has been so.
func (d document) cell(name string) cell {
	for _, c := range d.checks {
		if c.name == name {
			return cell{spaced(cmp.Or(c.reason, c.status), c.lasting.span), levels[c.status]}
		}
	}
	return cell{}
}
