package sysmetrics

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/echo-probes/echohealth/internal/leaktest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestNewRefusesPaths(t *testing.T) {
	tests := []struct {
		path, want string
	}{
		{"", `disk "d": the path must not be empty`},
		{"var/lib", `disk "d": the path "var/lib" must be absolute`},
		{"./x", `the path "./x" must be absolute`},
		{"/a\x00b", `the path "/a\x00b" must not contain a zero byte`},
	}
	for _, tt := range tests {
		s, err := New(Options{Disks: []DiskPath{{Name: "d", Path: tt.path}}})
		assert.ErrorContains(t, err, tt.want)
		assert.Nil(t, s)
	}
	_, err := New(Options{Disks: []DiskPath{{"a", ""}, {"ok", "/"}, {"b", "rel"}}})
	assert.ErrorContains(t, err, `"a"`)
	assert.ErrorContains(t, err, `"b"`, "every invalid path is reported")
	assert.NotContains(t, err.Error(), `"ok"`)
}

func TestOptionsAreCopied(t *testing.T) {
	disks := []DiskPath{{"a", "/a"}}
	synctest.Test(t, func(t *testing.T) {
		s := sampler(t, fakeHost(nil), disks...)
		disks[0] = DiskPath{"b", "/b"}
		assert.Equal(t, "/a", s.Sample().Disks[0].Path)
	})
}

func TestSampleServesForASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sampler(t, fakeHost(nil), root)
		first := s.Sample()
		assert.Equal(t, time.Now(), first.At)

		time.Sleep(minAge - 1)
		assert.Same(t, first, s.Sample())
		time.Sleep(time.Nanosecond)
		second := s.Sample()
		assert.NotSame(t, first, second)
		assert.Same(t, second, s.Sample())
		assert.Equal(t, time.Second, second.At.Sub(first.At))

		r, last := s.join()
		assert.Nil(t, r, "a caller that just missed the second sample must not take a third one")
		assert.Same(t, second, last)
	})
}

// If many callers are concurrent, one must measure, and all must get its sample.
func TestConcurrentSample(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := diskThatTakes(time.Millisecond)
		s := sampler(t, withStatfs(slow.statfs), root)
		var before *Sample
		for round := range 3 {
			samples := askAll(s, 50)
			for _, got := range samples {
				assert.Same(t, samples[0], got)
			}
			assert.NotSame(t, before, samples[0])
			assert.EqualValues(t, round+1, slow.asked.Load())
			before = samples[0]
			time.Sleep(time.Minute)
		}
	})
}

// askAll requests a sample from n goroutines at the same time.
func askAll(s *Sampler, n int) []*Sample {
	got := make([]*Sample, n)
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() { got[i] = s.Sample() })
	}
	wg.Wait()
	return got
}

func TestNoGoroutineBetweenSamples(t *testing.T) {
	before := goleak.IgnoreCurrent()
	s, err := New(Options{Disks: []DiskPath{root}})
	require.NoError(t, err)
	assert.NoError(t, leaktest.Find(before), "after New")
	s.Sample()
	assert.NoError(t, leaktest.Find(before), "between two samples")
}

func TestCachedSampleDoesNotAllocate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // in a bubble, so that no time passes
		s := sampler(t, fakeHost(nil), root)
		s.Sample()
		assert.Zero(t, testing.AllocsPerRun(1000, func() { s.Sample() }))
	})
}

// If every read fails, there must be a sample, and every figure must have its error.
func TestNothingCanBeRead(t *testing.T) {
	broken := errors.New("broken")
	sample := sampled(t, machine{
		files:       fixture(),
		cpu:         func() (cpuTimes, error) { return cpuTimes{}, broken },
		memory:      func() (hostMemory, error) { return hostMemory{}, broken },
		connections: func() (int, error) { return 0, broken },
		statfs:      func(string) (space, error) { return space{}, broken },
	}, root)

	assert.ErrorIs(t, sample.CPU.Err, broken)
	assert.ErrorIs(t, sample.Memory.Err, broken)
	assert.ErrorIs(t, sample.Disks[0].Err, broken)
	assert.ErrorIs(t, sample.Connections.Err, broken)
	assert.Error(t, sample.Process.OpenFiles.Err)
	assert.Positive(t, sample.Process.Goroutines)
	assert.NoError(t, sample.Process.HeapBytes.Err)
}
