package main

import (
	"fmt"
	"slices"
)

// summary returns the tables of docs/performance.md. They contain the figures that matter for a decision,
// each next to the limit or the fastest other library.
func summary(r *results) string {
	t := &table{}
	t.measuredOn(r)
	t.WriteString("\n")
	t.row("what", "echohealth", "beside it")
	t.row("---", "---", "---")
	for _, rows := range [][][]string{r.requestRows(), r.answerRows(), r.loadRows()} {
		for _, row := range rows {
			t.row(row...)
		}
	}
	return t.String()
}

func (r *results) requestRows() [][]string {
	use, noOp := r.passThrough.find(oursUse), r.passThrough.find(noOpUse)
	with, without, control := findServed(
		r.own,
		httpWith,
	), findServed(
		r.own,
		httpWithout,
	), findServed(
		r.own,
		httpControl,
	)
	return [][]string{
		{"your own request, in the process", costs(use), "a middleware that does nothing: " + costs(noOp)},
		{"your own route over HTTP, requests per second", figure(with.median()),
			fmt.Sprintf("without: %s; the same once more: %s", figure(without.median()), figure(control.median()))},
	}
}

func (r *results) answerRows() [][]string {
	readyOurs, readyLimit := r.ready.find(oursAlone), r.ready.find(limitNet)
	name, _ := r.fastestOther()
	return [][]string{
		{"`/live/`", costs(r.live.find(oursAlone)), "the same bytes, made once: " + costs(r.live.find(limitNet))},
		{"`/ready/`, 3 checks, fresh results", costs(readyOurs),
			"the same bytes, made once: " + costs(readyLimit) + "; " + name + ": " + costs(r.ready.find(name))},
		{"`/ready/`, 3 checks of 2 ms, none fresh", nanoseconds(r.due.find(ours).median()),
			"three sleeps of 2 ms: " + nanoseconds(r.due.find(sleeps).median())},
		{"`/detailed/`, when it measures the system", duration(r.unconnected.median),
			fmt.Sprintf("with %d open connections: %s", 2*manyConnections, duration(r.conns.median))},
	}
}

func (r *results) loadRows() [][]string {
	crowd, hung := r.crowd[0], r.hung[0]
	weight := r.weights[slices.IndexFunc(r.weights, func(w weighed) bool { return w.name == rootWeight })]
	return [][]string{
		{"64 requests at once, 3 checks", fmt.Sprintf("%d runs of checks", crowd.runs), "one for each check"},
		{
			"200 requests at once, a check that never returns",
			fmt.Sprintf("the last answer after %s", duration(hung.last)),
			"the check's timeout: " + duration(hungDeadline),
		},
		{
			"and what hangs afterwards",
			fmt.Sprintf("%d goroutine", hung.hanging),
			"the next answer: " + duration(hung.next),
		},
		{
			"a million requests",
			fmt.Sprintf("heap %+.1f KB, goroutines %+d", float64(r.heapGrown)/1024, r.goroutinesGrown),
			"",
		},
		{"your program, stripped", fmt.Sprintf("+%d KB", weight.grown), "each probe: the appendix"},
	}
}

// costs formats the time and the allocations of one op.
func costs(s series) string {
	text := fmt.Sprintf("%s, allocations: %.0f", nanoseconds(s.median()), s.allocations())
	if s.bytes() >= 1 {
		text += " (" + figure(s.bytes()) + " B)"
	}
	return text
}
