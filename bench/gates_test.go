package main

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// These tests hold the exact figures. Only the command measures times.

func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates as well")
	}
	tests := []struct {
		open   func() (*group, error)
		name   string
		allocs float64
		bytes  float64
		why    string
	}{
		{passThrough, noOpUse, 1, 16, "Echo makes a middleware's function anew for each request"},
		{passThrough, oursUse, 1, 24, "the same, with the Health in it"},
		{passThrough, oursPre, 2, 48, "Echo makes another function for Pre"},
		{passThrough, oursWrap, 0, 0, ""},
		{live, oursUse, 1, 24, "as on pass-through"},
		{live, oursAlone, 0, 0, ""},
		{ready, oursUse, 1, 24, "as on pass-through"},
		{ready, oursAlone, 0, 0, ""},
		{detailed, oursAlone, 0, 0, ""},
		{metrics, oursAlone, 0, 0, ""},
		{readyGrowth, growthName(300, false), 0, 0, ""},
		{routeGrowth, routesName(10_000, oursUse), 1, 24, "as with one route"},
	}
	for _, test := range tests {
		g, err := test.open()
		require.NoError(t, err)
		i := slices.IndexFunc(g.subjects, func(s subject) bool { return s.name == test.name })
		require.GreaterOrEqual(t, i, 0, test.name)
		t.Run(g.name+"/"+test.name, func(t *testing.T) {
			g.subjects[i].sample(1000)
			got := g.subjects[i].sample(200_000) // so many that the work of once a second does not count
			assert.InDelta(t, test.allocs, math.Round(got.allocations), 0, test.why)
			assert.InDelta(t, test.bytes, got.bytes, 1, test.why)
		})
		g.close()
	}
}

func TestMillionRequestsLeakNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector keeps memory of its own")
	}
	bytes, goroutines, err := aMillionRequests()
	require.NoError(t, err)
	t.Logf("heap %+d B, goroutines %+d", bytes, goroutines)
	assert.Less(t, bytes, int64(growthAllowed))
	assert.LessOrEqual(t, goroutines, 0)
}

func TestMemoryPerCheck(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector keeps memory of its own")
	}
	bytes, err := memoryPerCheck()
	require.NoError(t, err)
	t.Logf("%d B", bytes)
	assert.Positive(t, bytes)
	assert.Less(t, bytes, int64(2<<10))
}

func TestConcurrentRequestsShareOneRunOfEachCheck(t *testing.T) {
	var bursts []burst
	for range 3 { // a pause of the machine may be longer than a result is fresh
		var err error
		bursts, err = crowd()
		require.NoError(t, err)
		if bursts[0].runs == 3 && !slices.ContainsFunc(bursts, func(b burst) bool { return b.statuses[200] != 64 }) {
			break
		}
	}
	assert.Equal(t, 3, bursts[0].runs)
	for _, b := range bursts {
		assert.Equal(t, map[int]int{200: 64}, b.statuses)
	}
}

func TestHungCheckHoldsOneRunAndNoRequest(t *testing.T) {
	b, err := hung(libraries[0], time.Minute) // the limit is long, so that all are answered on a busy machine too
	require.NoError(t, err)
	assert.True(t, b.unavailable(200), b.answers())
	assert.Equal(t, 1, b.hanging)
	assert.GreaterOrEqual(t, b.last, hungDeadline)
	assert.GreaterOrEqual(t, b.next, time.Duration(0), "the next request is answered too")
}
