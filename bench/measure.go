package main

import (
	"runtime"
	"slices"
	"time"
)

// subject is one thing that is timed.
type subject struct {
	name    string
	note    string // what it really does
	against string // the subject of the same group that it is divided by, pass by pass; empty: none
	op      func()

	// rest is a pause before each op. The pause is not timed, and each op is then timed separately. Without
	// rest, many ops are timed together.
	rest time.Duration
}

// sample is the result of one pass for a subject, per op.
type sample struct {
	ops                int
	nanoseconds        float64 // the mean; the median if each op is timed separately
	bytes, allocations float64
}

// series holds the results of all passes for a subject.
type series struct {
	subject
	samples []sample
}

func (s series) nanoseconds() []float64 {
	return column(s.samples, func(x sample) float64 { return x.nanoseconds })
}
func (s series) median() float64  { return median(s.nanoseconds()) }
func (s series) minimum() float64 { return slices.Min(s.nanoseconds()) }
func (s series) bytes() float64 {
	return median(column(s.samples, func(x sample) float64 { return x.bytes }))
}
func (s series) allocations() float64 {
	return median(column(s.samples, func(x sample) float64 { return x.allocations }))
}

// ratio returns the median of the passes' ratios. A temporary slowdown of the machine affects both subjects
// of a pair.
func (s series) ratio(to series) float64 {
	ratios := make([]float64, len(s.samples))
	for i := range s.samples {
		ratios[i] = s.samples[i].nanoseconds / to.samples[i].nanoseconds
	}
	return median(ratios)
}

// ratioOfMinima is another way to the same figure: under load the pairs' ratios scatter, while the minima
// are of the quiet moments.
func (s series) ratioOfMinima(to series) float64 { return s.minimum() / to.minimum() }

func column(samples []sample, of func(sample) float64) []float64 {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = of(s)
	}
	return values
}

func median[T ~int64 | ~float64](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// interleave measures A B C, C B A, B C A, …, so that whatever else the machine does meets all alike. Each
// sample takes about as long as length.
func interleave(subjects []subject, passes int, length time.Duration) []series {
	all := make([]series, len(subjects))
	ops := make([]int, len(subjects))
	for i, s := range subjects {
		all[i].subject = s
		ops[i] = s.calibrate(length)
	}
	for pass := range passes {
		for _, i := range order(pass, len(subjects)) {
			runtime.GC() // no subject pays for the garbage of another
			all[i].samples = append(all[i].samples, subjects[i].sample(ops[i]))
		}
	}
	return all
}

// order returns the order of n subjects in one pass. Every second pass runs backwards, and each pair of
// passes begins one subject later. So no subject always has the same neighbour or the same place.
func order(pass, n int) []int {
	indexes := make([]int, n)
	for i := range indexes {
		indexes[i] = (i + pass/2) % n
	}
	if pass%2 == 1 {
		slices.Reverse(indexes)
	}
	return indexes
}

// calibrate returns how many ops take about as long as length, after a warm-up of as much.
func (s subject) calibrate(length time.Duration) int {
	for n := 1; ; n *= 2 {
		began := time.Now()
		s.sample(n)
		if took := time.Since(began); took >= length/2 {
			return max(1, int(float64(n)*float64(length)/float64(took)))
		}
	}
}

func (s subject) sample(ops int) sample {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var nanoseconds float64
	if s.rest > 0 {
		nanoseconds = s.timeEach(ops)
	} else {
		nanoseconds = s.timeAll(ops)
	}
	runtime.ReadMemStats(&after)
	return sample{
		ops:         ops,
		nanoseconds: nanoseconds,
		bytes:       float64(after.TotalAlloc-before.TotalAlloc) / float64(ops),
		allocations: float64(after.Mallocs-before.Mallocs) / float64(ops),
	}
}

func (s subject) timeAll(ops int) float64 {
	began := time.Now()
	for range ops {
		s.op()
	}
	return float64(time.Since(began)) / float64(ops)
}

func (s subject) timeEach(ops int) float64 {
	times := make([]float64, ops)
	for i := range times {
		time.Sleep(s.rest)
		began := time.Now()
		s.op()
		times[i] = float64(time.Since(began))
	}
	return median(times)
}
