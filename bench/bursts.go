package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// gauge counts the runs of a check.
type gauge struct{ begun, ended atomic.Int64 }

func (g *gauge) count(c check) check {
	return func(ctx context.Context) error {
		g.begun.Add(1)
		defer g.ended.Add(1)
		return c(ctx)
	}
}

// hanging is how many runs have begun and not ended.
func (g *gauge) hanging() int { return int(g.begun.Load() - g.ended.Load()) }

func sideBySide(n int, f func()) {
	var wg sync.WaitGroup
	for range n {
		wg.Go(f)
	}
	wg.Wait()
}

// burst is the result of many requests at once.
type burst struct {
	statuses   map[int]int
	unanswered int           // within the patience
	last       time.Duration // the last answer; if there is none, the patience
	runs       int           // that began because of the burst
	hanging    int
	next       time.Duration // the answer of one who asks afterwards; negative: none within the patience
}

type answer struct {
	status int
	after  time.Duration
}

// together lets n ask at once, and listens for as long as patience. The channel that it returns is closed
// when all have been answered.
func together(n int, i *instance, patience time.Duration) (burst, <-chan struct{}) {
	answers := make(chan answer, n)
	start := make(chan struct{})
	var began time.Time
	var wg sync.WaitGroup
	for range n {
		ask := i.asker()
		wg.Go(func() {
			<-start
			status := ask()
			answers <- answer{status, time.Since(began)}
		})
	}
	began = time.Now()
	close(start)
	all := make(chan struct{})
	go func() { wg.Wait(); close(all) }()
	return listen(answers, n, patience), all
}

func listen(answers <-chan answer, n int, patience time.Duration) burst {
	b := burst{statuses: map[int]int{}, unanswered: n}
	timeout := time.After(patience)
	for range n {
		select {
		case a := <-answers:
			b.statuses[a.status]++
			b.unanswered--
			b.last = max(b.last, a.after)
		case <-timeout:
			b.last = patience
			return b
		}
	}
	return b
}

// crowd lets 64 ask each library at once, when its results have just become too old. Three checks take 2 ms.
func crowd() ([]burst, error) {
	gauges := make([]gauge, len(libraries))
	instances := make([]*instance, len(libraries))
	for n, lib := range libraries {
		i, err := openWell(lib, settings{checks: three(gauges[n].count(slow))})
		if err != nil {
			return nil, err
		}
		defer i.close()
		instances[n] = i
	}
	time.Sleep(1050 * time.Millisecond)
	bursts := make([]burst, len(libraries))
	for n, i := range instances {
		before := gauges[n].begun.Load()
		var all <-chan struct{}
		bursts[n], all = together(64, i, 5*time.Second)
		<-all
		bursts[n].runs = int(gauges[n].begun.Load() - before)
	}
	return bursts, nil
}

const (
	hungDeadline = 100 * time.Millisecond
	hungPatience = time.Second
)

// hung lets 200 ask a library at once whose only check does not return, listens for as long as patience,
// and then lets one more ask.
func hung(lib library, patience time.Duration) (burst, error) {
	release := make(chan struct{})
	var g gauge
	stuck := g.count(func(context.Context) error { <-release; return nil })
	i, err := lib.open(settings{checks: []check{stuck}, timeout: hungDeadline})
	if err != nil {
		return burst{}, fmt.Errorf("%s: %w", lib.name, err)
	}
	defer i.close()
	b, all := together(200, i, patience)
	one, answered := together(1, i, patience/2)
	b.hanging, b.next = g.hanging(), one.last
	if one.unanswered > 0 {
		b.next = -1
	}
	close(release)
	<-all
	<-answered
	return b, nil
}

// repeat takes the bursts of all libraries, passes times, and returns the median of each figure.
func repeat(passes int, all func() ([]burst, error)) ([]burst, error) {
	var rounds [][]burst
	for range passes {
		bursts, err := all()
		if err != nil {
			return nil, err
		}
		rounds = append(rounds, bursts)
	}
	medians := make([]burst, len(libraries))
	for n := range medians {
		var last, next []time.Duration
		for _, round := range rounds {
			last, next = append(last, round[n].last), append(next, round[n].next)
		}
		medians[n] = rounds[len(rounds)-1][n]
		medians[n].last, medians[n].next = median(last), median(next)
	}
	return medians, nil
}

func hungAll() ([]burst, error) {
	bursts := make([]burst, len(libraries))
	for n, lib := range libraries {
		var err error
		if bursts[n], err = hung(lib, hungPatience); err != nil {
			return nil, err
		}
	}
	return bursts, nil
}

// unavailable reports whether all n answers were 503.
func (b burst) unavailable(n int) bool { return b.statuses[http.StatusServiceUnavailable] == n }
