package load_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"
)

// tally has the results of some clients.
type tally struct {
	latencies []time.Duration
	red       int // answers with a status other than 200
	err       error
}

func sum(tallies []tally) tally {
	var total tally
	for _, t := range tallies {
		total.latencies = append(total.latencies, t.latencies...)
		total.red += t.red
		total.err = errors.Join(total.err, t.err)
	}
	return total
}

// sample has the results of a round.
type sample struct {
	app, health tally
	length      time.Duration
	runs        int64 // the number of runs of the check
}

// percentile returns the p-th percentile of latencies, or zero if there are none.
func percentile(latencies []time.Duration, p int) time.Duration {
	if len(latencies) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(latencies))
	return sorted[(len(sorted)-1)*p/100]
}

// median returns the median of show over the rounds.
func (k *kind) median(show func(sample) float64) float64 {
	var values []float64
	for _, s := range k.samples {
		values = append(values, show(s))
	}
	return middle(values)
}

// ratio returns the median, over the rounds, of the ratio of this kind's value to the value of another kind
// in the same round.
func (k *kind) ratio(of *kind, show func(sample) float64) float64 {
	var ratios []float64
	for i, s := range k.samples {
		ratios = append(ratios, show(s)/show(of.samples[i]))
	}
	return middle(ratios)
}

func middle(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

func appOf(s sample) tally { return s.app }

func healthOf(s sample) tally { return s.health }

// latency returns a function that returns a percentile in milliseconds.
func latency(of func(sample) tally, p int) func(sample) float64 {
	return func(s sample) float64 {
		return float64(percentile(of(s).latencies, p)) / float64(time.Millisecond)
	}
}

func perSecond(of func(sample) tally) func(sample) float64 {
	return func(s sample) float64 { return float64(len(of(s).latencies)) / s.length.Seconds() }
}

// table returns a table of the rounds' medians. The other kinds are compared with the first kind.
func table(kinds []*kind) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s/%s, %d CPUs for the clients, the service and PostgreSQL; the medians of %d rounds of %v\n", runtime.Version(), runtime.GOOS,
		runtime.GOARCH, runtime.NumCPU(), rounds, kinds[0].samples[0].length)
	b.WriteString("| asked for readiness | per second | p50 | p99 | runs of the check | the application's requests per second | p50 | p99 | p99, round by round |\n")
	b.WriteString("| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n")
	for _, k := range kinds {
		fmt.Fprintf(&b, "| %s | %s | %.0f | %.2f ms | %.2f ms | %.2f × |\n", k.name, k.asked(), k.median(perSecond(appOf)),
			k.median(latency(appOf, 50)), k.median(latency(appOf, 99)), k.ratio(kinds[0], latency(appOf, 99)))
	}
	return b.String()
}

// asked returns the columns about the requests for readiness.
func (k *kind) asked() string {
	if k.path == "" {
		return "| | |"
	}
	return fmt.Sprintf("%.0f | %.2f ms | %.2f ms | %.0f", k.median(perSecond(healthOf)), k.median(latency(healthOf, 50)), k.median(latency(healthOf, 99)),
		k.median(func(s sample) float64 { return float64(s.runs) }))
}
