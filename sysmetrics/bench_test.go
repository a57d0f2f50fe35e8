package sysmetrics

import "testing"

// BenchmarkCachedSample measures the cost of a request as long as the last sample is fresh.
func BenchmarkCachedSample(b *testing.B) {
	s, err := New(Options{Disks: []DiskPath{root}})
	if err != nil {
		b.Fatal(err)
	}
	s.Sample()
	b.ReportAllocs()
	for b.Loop() {
		s.Sample()
	}
}

// BenchmarkFreshSample measures the cost of the first request after that: the measurement, and the switch to
// another goroutine.
func BenchmarkFreshSample(b *testing.B) {
	s, err := New(Options{Disks: []DiskPath{root}})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		s.last.Store(nil)
		s.Sample()
	}
}
