package main

import (
	"runtime"
	"slices"
	"time"
)

// subject is an operation that is measured.
type subject struct {
	name string
	note string // describes the operation in the tables
	// The name of a subject of the same group. In each pass, the time is divided by that subject's time. Empty
	// means no division.
	against string
	op      func()

	// rest is a pause before each op. The pause does not count, so each op is timed separately. Without rest,
	// many ops are timed together.
	rest time.Duration
}

// sample is the result of one pass for a subject. Its figures are per op.
type sample struct {
	ops                int
	nanoseconds        float64 // the mean, or the median if each op is timed separately
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

// ratio returns the median of the ratios in each pass. A temporary slowdown of the machine affects both times
// of a ratio.
func (s series) ratio(to series) float64 {
	ratios := make([]float64, len(s.samples))
	for i := range s.samples {
		ratios[i] = s.samples[i].nanoseconds / to.samples[i].nanoseconds
	}
	return median(ratios)
}

// ratioOfMinima computes the same figure from the minima. On a busy machine the ratios of the passes vary,
// but the minima come from moments in which the machine was idle.
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

// interleave measures the subjects in different orders: A B C, then C B A, then B C A, and so on. So other
// load of the machine affects all subjects alike. Each sample takes about as long as length.
func interleave(subjects []subject, passes int, length time.Duration) []series {
	all := make([]series, len(subjects))
	ops := make([]int, len(subjects))
	for i, s := range subjects {
		all[i].subject = s
		ops[i] = s.calibrate(length)
	}
	for pass := range passes {
		for _, i := range order(pass, len(subjects)) {
			runtime.GC() // otherwise the garbage of the last subject could slow down this one
			all[i].samples = append(all[i].samples, subjects[i].sample(ops[i]))
		}
	}
	return all
}

// order returns the order of n subjects in one pass. Every second pass is reversed, and each pair of passes
// begins one subject later. So no subject always has the same predecessor or the same position.
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

// calibrate returns how many ops take about as long as length. Its own ops are also the warm-up.
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
