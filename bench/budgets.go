package main

import (
	"fmt"
	"time"
)

// budget is a promised limit and the measured value.
type budget struct {
	what, limit, figure string
	met                 bool
}

// budgets returns the table of the project's own budgets. The table is only printed. It is not in docs.
func budgets(r *results) string {
	t := &table{}
	t.section(
		"Budgets",
		"What was promised, and what it is. The ratios are medians of pairs, and beside them the ratio of the "+
			"minima: both have to keep to the budget. The allocations, the runs and the weight are exact, and "+
			"tests hold them.",
		"what",
		"at most",
		"measured",
		"",
	)
	for _, list := range [][]budget{
		r.passThroughBudgets(), r.answerBudgets(), r.timeBudgets(), r.growthBudgets(), r.weightBudgets(),
	} {
		for _, b := range list {
			t.row(b.what, b.limit, b.figure, map[bool]string{true: "met", false: "**not met**"}[b.met])
		}
	}
	return t.String() + "\n"
}

func (r *results) passThroughBudgets() []budget {
	use, wrap := r.passThrough.find(oursUse), r.passThrough.find(oursWrap)
	slower := compared(use, r.passThrough.find(noOpUse))
	return []budget{
		{
			"pass-through, `e.Use`: allocations",
			"1 of 24 B",
			allocated(use),
			use.allocations() <= 1.01 && use.bytes() <= 25,
		},
		{"pass-through, `e.Use`: time", "1.15 × a no-op middleware", slower.String(), slower.worse() <= 1.15},
		{"pass-through, `Wrap`: allocations", "0", allocated(wrap), wrap.allocations() < 0.01},
	}
}

func (r *results) answerBudgets() []budget {
	var list []budget
	for _, m := range []*measured{r.live, r.ready} {
		use, alone := m.find(oursUse), m.find(oursAlone)
		inEcho, inNetHTTP := compared(use, m.find(limitUse)), compared(alone, m.find(limitNet))
		list = append(
			list,
			budget{m.name + ": allocations", "2", allocated(use), use.allocations() <= 2.01},
			budget{
				m.name + ": time",
				"1.5 × the same headers and body, static",
				fmt.Sprintf("in Echo %s; in net/http %s", inEcho, inNetHTTP),
				inEcho.worse() <= 1.5,
			},
		)
	}
	name, faster := r.fastestOther()
	return append(
		list,
		budget{
			"Ready: time",
			"a tenth of the fastest alternative whose answer names its checks",
			fmt.Sprintf("%s faster than %s", times(faster), name),
			faster >= 10,
		},
	)
}

// comparison is the ratio of two times, computed in two ways. A budget is met if both ratios are within it.
type comparison struct{ pairs, minima float64 }

func compared(s, to series) comparison { return comparison{s.ratio(to), s.ratioOfMinima(to)} }

func (c comparison) worse() float64 { return max(c.pairs, c.minima) }

func (c comparison) String() string {
	return fmt.Sprintf("%s (minima: %s)", times(c.pairs), times(c.minima))
}

// fastestOther returns the fastest of the other libraries whose answer names the checks, and by what factor
// echohealth is faster.
func (r *results) fastestOther() (name string, faster float64) {
	for _, lib := range libraries[1:] {
		if ratio := r.ready.find(lib.name).ratio(r.ready.find(oursAlone)); lib.namesCheck &&
			(name == "" || ratio < faster) {
			name, faster = lib.name, ratio
		}
	}
	return name, faster
}

func (r *results) timeBudgets() []budget {
	due := r.due.find(ours).median()
	crowd, hung := r.crowd[0], r.hung[0]
	return []budget{
		{
			"Ready, 3 checks of 2 ms, none fresh",
			"2.5 ms",
			fmt.Sprintf(
				"%s (three sleeps of 2 ms side by side: %s)",
				nanoseconds(due),
				nanoseconds(r.due.find(sleeps).median()),
			),
			due <= 2.5e6,
		},
		{"64 requests at once, 3 checks", "3 runs", fmt.Sprintf("%d runs", crowd.runs), crowd.runs == 3},
		{
			"200 requests at once on a hung check: answers",
			"503 × 200, deadline + 50 ms",
			fmt.Sprintf("%s, deadline + %s", hung.answers(), duration(hung.last-hungDeadline)),
			hung.unavailable(200) && hung.last <= hungDeadline+50*time.Millisecond,
		},
		{"and what it holds", "1 goroutine", fmt.Sprint(hung.hanging), hung.hanging == 1},
		{"and the next request", "1 ms", duration(hung.next), hung.next >= 0 && hung.next < time.Millisecond},
		{
			"metrics of 130 series, fresh",
			"30 µs, 2 allocations",
			fmt.Sprintf(
				"%s, %s",
				nanoseconds(r.metrics.find(oursAlone).median()),
				allocated(r.metrics.find(oursAlone)),
			),
			r.metrics.find(oursAlone).median() <= 30e3 && r.metrics.find(oursAlone).allocations() <= 2,
		},
		{
			"detailed, when it has to measure the system",
			fmt.Sprintf("1 ms, also with %d connections open", 2*manyConnections),
			fmt.Sprintf(
				"%s (worst of 5: %s), with the connections %s (%s)",
				duration(r.unconnected.median),
				duration(r.unconnected.worst),
				duration(r.conns.median),
				duration(r.conns.worst),
			),
			max(r.unconnected.median, r.conns.median) < time.Millisecond,
		},
	}
}

func (r *results) growthBudgets() []budget {
	ratio := findServed(r.own, httpWith).ratio(findServed(r.own, httpWithout))
	control := findServed(r.own, httpControl).ratio(findServed(r.own, httpWithout))
	return []budget{
		{
			"your own route over HTTP",
			"2 % fewer requests/s than without",
			fmt.Sprintf("%.3f of them (two equal services: %.3f)", ratio, control),
			ratio >= 0.98,
		},
		{
			"a million requests",
			"no growth",
			fmt.Sprintf("heap %+.1f KB, goroutines %+d", float64(r.heapGrown)/1024, r.goroutinesGrown),
			r.heapGrown < growthAllowed && r.goroutinesGrown <= 0,
		},
	}
}

func (r *results) weightBudgets() (list []budget) {
	for _, w := range r.weights {
		if w.budget > 0 {
			list = append(
				list,
				budget{
					"weight, stripped: " + w.name,
					fmt.Sprintf("+%d KB", w.budget),
					fmt.Sprintf("+%d KB", w.grown),
					w.grown <= w.budget,
				},
			)
		}
	}
	return list
}

// growthAllowed is the largest difference between two heaps that does not count as growth. The heaps differ a
// little, because the documents contain different times and so differ in length.
const growthAllowed = 32 << 10

func allocated(s series) string {
	return fmt.Sprintf("%.0f of %.0f B", s.allocations(), s.bytes())
}
