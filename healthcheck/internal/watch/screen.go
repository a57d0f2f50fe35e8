package watch

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/echo-probes/echohealth/healthcheck/internal/document"
	"github.com/echo-probes/echohealth/healthcheck/internal/health"
	"github.com/echo-probes/echohealth/healthcheck/internal/outcome"
	"github.com/echo-probes/echohealth/healthcheck/internal/terminal"
	"github.com/echo-probes/echohealth/healthcheck/internal/text"
)

// view is the content of a screen.
type view struct {
	title    string
	interval time.Duration
	at       time.Time
	outcomes []outcome.Outcome
	notAsked int // number of replicas that received no request
}

// draw returns the lines of a screen. For a single replica, there is a row for each check. For several
// replicas, there is a row for each replica and a column for each check. There are at most height-1 lines,
// because printing in the last line would make the terminal scroll.
func (v view) draw(out *terminal.Output, width, height int) []string {
	head := fmt.Sprintf("%s  every %s  %s", text.TimeOfDay(v.at), v.interval, v.title)
	lines := []string{text.Cut(head, width), ""}
	room := max(height-1-len(lines), 1)
	if len(v.outcomes) == 1 {
		lines = append(lines, firstLines(outcome.Checklist(out, v.outcomes[0], width), room)...)
	} else {
		lines = append(lines, v.matrix(out, width, room)...)
	}
	return firstLines(lines, height-1)
}

func firstLines(lines []string, n int) []string { return lines[:min(len(lines), max(n, 1))] }

// matrix returns a row for each replica, and a line that counts the replicas and checks that do not fit.
func (v view) matrix(out *terminal.Output, width, room int) []string {
	outcomes, notes := v.worst(room)
	rows, omitted := fittingRows(outcomes, width)
	if omitted > 0 {
		notes = append(notes, fmt.Sprintf("checks that are ok in all rows: %d", omitted))
	}
	if v.notAsked > 0 {
		notes = append(notes, fmt.Sprintf("replicas that are not asked: %d", v.notAsked))
	}
	lines := out.Table(rows, width)
	if len(notes) > 0 {
		lines = append(lines, "", text.Cut(strings.Join(notes, "; "), width))
	}
	return lines
}

// worst returns all outcomes if they fit in room lines. Otherwise it returns the outcomes with the worst
// levels, and a note that counts the others.
func (v view) worst(room int) ([]outcome.Outcome, []string) {
	room -= 3 // for the head, a blank line and a note
	if len(v.outcomes) <= room {
		return v.outcomes, nil
	}
	sorted := slices.Clone(v.outcomes)
	slices.SortStableFunc(sorted, func(a, b outcome.Outcome) int { return int(b.Level) - int(a.Level) })
	n := max(room, 1)
	bad := 0
	for _, o := range sorted[n:] {
		if o.Level != health.Well {
			bad++
		}
	}
	return sorted[:n], []string{fmt.Sprintf("… and %d more, %d of them not well", len(sorted)-n, bad)}
}

// fittingRows returns the matrix with a column for each check. If the columns do not all fit, it omits the
// checks that are ok in all rows, and returns how many it omitted.
func fittingRows(outcomes []outcome.Outcome, width int) (rows [][]terminal.Cell, omitted int) {
	all, notOK := checkNames(outcomes)
	rows = matrixRows(outcomes, all)
	if terminal.TableWidth(rows) <= width {
		return rows, 0
	}
	return matrixRows(outcomes, notOK), len(all) - len(notOK)
}

// checkNames returns the names of all checks, and the names of the checks that are not ok in at least one
// outcome.
func checkNames(outcomes []outcome.Outcome) (all, notOK []string) {
	for _, o := range outcomes {
		for _, c := range o.Document.Checks {
			if !slices.Contains(all, c.Name) {
				all = append(all, c.Name)
			}
			if c.Status != "ok" && !slices.Contains(notOK, c.Name) {
				notOK = append(notOK, c.Name)
			}
		}
	}
	return all, notOK
}

func matrixRows(outcomes []outcome.Outcome, checks []string) [][]terminal.Cell {
	labels := labels(outcomes)
	head := terminal.PlainCells("REPLICA", "STATUS", "TIME", "")
	rows := [][]terminal.Cell{append(head, terminal.PlainCells(checks...)...)}
	for i, o := range outcomes {
		state := terminal.Cell{Text: text.Cut(o.State(), 30), Level: o.Level}
		row := []terminal.Cell{{Text: labels[i]}, state, {Text: o.Took()}, {Text: o.Document.Version}}
		if o.Document.Version != "" {
			rows[0][3].Text = "VERSION"
		}
		for _, name := range checks {
			row = append(row, checkCell(o.Document, name))
		}
		rows = append(rows, row)
	}
	return rows
}

// labels returns the replicas' addresses. If two replicas have the same address, it returns the replicas'
// names instead, which contain the URLs.
func labels(outcomes []outcome.Outcome) []string {
	labels := make([]string, len(outcomes))
	seen := map[string]bool{}
	for i, o := range outcomes {
		labels[i] = o.Target.Address
		seen[labels[i]] = true
	}
	if len(seen) < len(outcomes) {
		for i, o := range outcomes {
			labels[i] = o.Target.Name()
		}
	}
	return labels
}

// checkCell returns the reason of a check, or its status if it has no reason, and how long the status has
// lasted.
func checkCell(d document.Document, name string) terminal.Cell {
	for _, c := range d.Checks {
		if c.Name == name {
			shown := text.JoinWords(cmp.Or(c.Reason, c.Status), c.Lasting.Span)
			return terminal.Cell{Text: shown, Level: health.LevelOf(c.Status)}
		}
	}
	return terminal.Cell{}
}
