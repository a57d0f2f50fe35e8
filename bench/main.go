// Command bench measures echohealth, other libraries, and the cheapest possible code. It prints the project's
// own budgets. It also prints, or writes, the tables of docs/performance.md and docs/performance-appendix.md.
// The appendix describes the measurements. Run it in the folder bench.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ExitOnError)
	passes := flags.Int("passes", 15, "how often each subject is measured, interleaved with the others")
	length := flags.Duration("time", 20*time.Millisecond, "how long each measurement of a subject takes")
	rounds := flags.Int("rounds", 25, "how often each subject is measured over HTTP")
	roundLength := flags.Duration("roundtime", 200*time.Millisecond, "how long each measurement over HTTP takes")
	raw := flags.String("raw", "", "write each measurement to this `file`, for benchstat")
	docs := flags.String(
		"write",
		"",
		"replace the tables of the pages in this `folder`, between their markers, instead of printing them",
	)
	if err := flags.Parse(args); err != nil {
		return err
	}
	for _, n := range []int{*passes, *rounds} {
		if n < 1 {
			return fmt.Errorf("-passes and -rounds: %d: measure at least once", n)
		}
	}
	r, err := measureAll(effort{*passes, *length, *rounds, *roundLength})
	if err != nil {
		return err
	}
	if *raw != "" {
		if err := writeRaw(*raw, r); err != nil {
			return err
		}
	}
	if _, err = io.WriteString(out, budgets(r)); err != nil {
		return err
	}
	return show(pages(r), *docs, out)
}

// show writes the tables into the pages in folder. If folder is "", it prints them to out.
func show(pages []page, folder string, out io.Writer) (err error) {
	for _, p := range pages {
		if folder != "" {
			err = replaceTables(filepath.Join(folder, p.name), p.tables)
		} else {
			_, err = io.WriteString(out, p.tables)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// effort is how long and how often everything is measured.
type effort struct {
	passes      int
	length      time.Duration
	rounds      int
	roundLength time.Duration
}

// results holds all figures.
type results struct {
	effort
	took time.Duration
	busy string // describes the load of the machine before the measurements

	passThrough, live, ready, detailed, metrics, due, checks, routes *measured

	crowd, hung     []burst // one for each of libraries
	own, readiness  []served
	weights         []weighed
	memoryPerCheck  int64
	heapGrown       int64
	goroutinesGrown int
	// Times of a /detailed/ answer that measures the system, without connections and with manyConnections.
	unconnected, conns spread
}

const manyConnections = 2000

// measureAll measures the shortest operations first, because later measurements leave goroutines and garbage
// behind, which would slow them down.
func measureAll(e effort) (*results, error) {
	began := time.Now()
	r := &results{effort: e, busy: busy()}
	steps := []struct {
		name string
		run  func() error
	}{
		{"pass-through", r.group(&r.passThrough, passThrough, e.length)},
		{"live", r.group(&r.live, live, e.length)},
		{"ready", r.group(&r.ready, ready, e.length)},
		{"detailed", r.group(&r.detailed, detailed, e.length)},
		{"metrics", r.group(&r.metrics, metrics, e.length)},
		{"ready, due", r.group(&r.due, due, 3*e.length)},
		{"growth by checks", r.group(&r.checks, readyGrowth, e.length)},
		{"growth by routes", r.group(&r.routes, routeGrowth, e.length)},
		{"memory", r.measureMemory},
		{"connections", r.measureConnections},
		{"64 at once", func() (err error) { r.crowd, err = repeat(5, crowd); return err }},
		{"200 on a hung check", func() (err error) { r.hung, err = repeat(3, hungAll); return err }},
		{"HTTP", func() (err error) { r.own, r.readiness, err = overHTTP(e.rounds, e.roundLength); return err }},
		{"weight", func() (err error) { r.weights, err = weighAll(); return err }},
	}
	for _, step := range steps {
		fmt.Fprintf(os.Stderr, "%4.0f s  %s\n", time.Since(began).Seconds(), step.name)
		if err := step.run(); err != nil {
			return nil, fmt.Errorf("%s: %w", step.name, err)
		}
	}
	r.took = time.Since(began)
	return r, nil
}

func (r *results) group(into **measured, open func() (*group, error), length time.Duration) func() error {
	return func() (err error) {
		*into, err = measure(open, r.passes, length)
		return err
	}
}

func (r *results) measureMemory() (err error) {
	if r.memoryPerCheck, err = memoryPerCheck(); err != nil {
		return err
	}
	r.heapGrown, r.goroutinesGrown, err = aMillionRequests()
	return err
}

func (r *results) measureConnections() (err error) {
	if r.unconnected, err = connected(0); err != nil {
		return err
	}
	r.conns, err = connected(manyConnections)
	return err
}
