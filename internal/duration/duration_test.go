package duration_test

import (
	"testing"
	"time"

	"github.com/echo-probes/echohealth/internal/duration"
	"github.com/stretchr/testify/assert"
)

func TestJittered(t *testing.T) {
	var least, most time.Duration = time.Hour, 0
	for range 10000 {
		d := duration.Jittered(10 * time.Second)
		least, most = min(least, d), max(most, d)
	}
	assert.GreaterOrEqual(t, least, 9*time.Second)
	assert.LessOrEqual(t, most, 11*time.Second)
	assert.Less(t, least, 9100*time.Millisecond)
	assert.Greater(t, most, 10900*time.Millisecond)
	assert.Equal(t, time.Nanosecond, duration.Jittered(time.Nanosecond))
	drawn := make(map[time.Duration]bool)
	for range 1000 {
		drawn[duration.Jittered(20)] = true
	}
	assert.Equal(t, map[time.Duration]bool{18: true, 19: true, 20: true, 21: true, 22: true}, drawn)
}

func TestLongestIsAYear(t *testing.T) {
	assert.Equal(t, 365*24*time.Hour, duration.Longest)
}
