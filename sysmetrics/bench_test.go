package sysmetrics

import "testing"

// BenchmarkCachedSample is what a request pays while a sample serves.
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

// BenchmarkFreshSample is what the first request pays after that: the measuring, and having it done by another goroutine.
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
