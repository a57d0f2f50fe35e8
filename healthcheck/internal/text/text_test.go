package text

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestDurations(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"0.0ms": 0,
		"9.9ms": 9_900 * time.Microsecond,
		"12ms":  12_400 * time.Microsecond,
		"1.5s":  1500 * time.Millisecond,
		"2m3s":  123 * time.Second,
	} {
		assert.Equal(t, want, Duration(d))
	}
}

func TestThousands(t *testing.T) {
	for want, n := range map[string]int{
		"0": 0, "999": 999, "1,000": 1000, "12,345": 12_345, "1,234,567": 1_234_567,
	} {
		assert.Equal(t, want, Thousands(n))
	}
}
