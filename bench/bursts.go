package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// gauge counts how many runs of a check have begun and ended.
type gauge struct{ begun, ended atomic.Int64 }

func (g *gauge) count(c check) check {
	return func(ctx context.Context) error {
		g.begun.Add(1)
		defer g.ended.Add(1)
		return c(ctx)
	}
}

// hanging returns how many runs have begun but not ended.
func (g *gauge) hanging() int { return int(g.begun.Load() - g.ended.Load()) }

func sideBySide(n int, f func()) {
	var wg sync.WaitGroup
	for range n {
		wg.Go(f)
	}
	wg.Wait()
}

// burst is the result of many requests at the same time.
type burst struct {
	statuses   map[int]int
	unanswered int // requests without an answer within the time limit
	// When the last answer arrived. If a request was not answered, the time limit.
	last    time.Duration
	runs    int // runs of checks that began because of the burst
	hanging int
	// How long a single request after the burst took. Negative if it was not answered within the time limit.
	next time.Duration
}

type answer struct {
	status int
	after  time.Duration
}

// together sends n requests at the same time, and collects the answers until limit has passed. It returns a
// channel that is closed when all requests have been answered.
func together(n int, i *instance, limit time.Duration) (burst, <-chan struct{}) {
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
	return listen(answers, n, limit), all
}

func listen(answers <-chan answer, n int, limit time.Duration) burst {
	b := burst{statuses: map[int]int{}, unanswered: n}
	timeout := time.After(limit)
	for range n {
		select {
		case a := <-answers:
			b.statuses[a.status]++
			b.unanswered--
			b.last = max(b.last, a.after)
		case <-timeout:
			b.last = limit
			return b
		}
	}
	return b
}

// crowd sends each library 64 requests at the same time, when its results have just become too old. The
// library has three checks, which take 2 ms each.
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

// hung sends a library 200 requests at the same time. The library's only check does not return. hung collects
// the answers until limit has passed, and then sends one more request.
func hung(lib library, limit time.Duration) (burst, error) {
	release := make(chan struct{})
	var g gauge
	stuck := g.count(func(context.Context) error { <-release; return nil })
	i, err := lib.open(settings{checks: []check{stuck}, timeout: hungDeadline})
	if err != nil {
		return burst{}, fmt.Errorf("%s: %w", lib.name, err)
	}
	defer i.close()
	b, all := together(200, i, limit)
	one, answered := together(1, i, limit/2)
	b.hanging, b.next = g.hanging(), one.last
	if one.unanswered > 0 {
		b.next = -1
	}
	close(release)
	<-all
	<-answered
	return b, nil
}

// repeat calls all, which measures the bursts of all libraries, passes times. For each library it returns the
// medians of last and next, and the other figures of the last pass.
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

// unavailable reports whether n answers had the status 503.
func (b burst) unavailable(n int) bool { return b.statuses[http.StatusServiceUnavailable] == n }
