package sysmetrics

import (
	"fmt"
	"testing"
)

// BenchmarkMeasure measures the cost of a new sample, with few and with many open connections. One request a
// second has this cost.
func BenchmarkMeasure(b *testing.B) {
	for _, connections := range []int{10, 10_000} {
		b.Run(fmt.Sprintf("connections=%d", connections), func(b *testing.B) {
			closeAll := connect(b, connections/2)
			defer closeAll()
			s, err := New(Options{Disks: []DiskPath{root}})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				s.measure()
			}
		})
	}
}

func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := New(Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
