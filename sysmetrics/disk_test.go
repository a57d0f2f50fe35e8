package sysmetrics

import (
	"errors"
	"io/fs"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var half = space{total: 200, used: 50, free: 50, inodes: 10, inodesFree: 7}

// slowDisk responds after a delay that a test may change. asked counts the calls.
type slowDisk struct {
	delay atomic.Int64
	err   error
	asked atomic.Int32
}

func diskThatTakes(delay time.Duration) *slowDisk {
	d := &slowDisk{}
	d.delay.Store(int64(delay))
	return d
}

func (d *slowDisk) statfs(string) (space, error) {
	d.asked.Add(1)
	time.Sleep(time.Duration(d.delay.Load()))
	return half, d.err
}

func withStatfs(statfs func(string) (space, error)) machine {
	m := fakeHost(nil)
	m.statfs = statfs
	return m
}

var root = DiskPath{Name: "disk", Path: "/"}

func TestDiskFigures(t *testing.T) {
	tests := []struct {
		name  string
		space space
		want  Disk
	}{
		{"ordinary", half, Disk{Percent: 50, FreeBytes: 50, TotalBytes: 200, InodesPercent: Figure[float64]{Value: 30}}},
		{"full but for the reserve", space{total: 100, used: 95, free: 0}, Disk{Percent: 100, TotalBytes: 100, InodesPercent: Figure[float64]{Err: ErrUnsupported}}},
		{"empty", space{total: 100, free: 95}, Disk{FreeBytes: 95, TotalBytes: 100, InodesPercent: Figure[float64]{Err: ErrUnsupported}}},
		{"no size", space{}, Disk{Err: ErrUnsupported, InodesPercent: Figure[float64]{Err: ErrUnsupported}}},
		{"more free inodes than there are", space{total: 2, used: 1, free: 1, inodes: 5, inodesFree: 6}, Disk{Percent: 50, FreeBytes: 1, TotalBytes: 2}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := sampler(t, withStatfs(func(string) (space, error) { return tt.space, nil }), root)
				tt.want.Name, tt.want.Path = "disk", "/"
				assert.Equal(t, []Disk{tt.want}, s.Sample().Disks)
			})
		})
	}
}

func TestDisksKeepTheirOrderAndTheirOwnErrors(t *testing.T) {
	disks := sampled(t, withStatfs(func(path string) (space, error) {
		if path == "/gone" {
			return space{}, &fs.PathError{Op: "statfs", Path: path, Err: syscall.ENOENT}
		}
		return half, nil
	}), DiskPath{"b", "/b"}, DiskPath{"gone", "/gone"}, DiskPath{"a", "/a"}).Disks

	require.Len(t, disks, 3)
	assert.Equal(t, "b", disks[0].Name)
	assert.Equal(t, 50.0, disks[0].Percent)
	assert.Equal(t, "gone", disks[1].Name)
	assert.ErrorIs(t, disks[1].Err, fs.ErrNotExist)
	assert.ErrorIs(t, disks[1].InodesPercent.Err, fs.ErrNotExist)
	assert.False(t, disks[1].Stuck)
	assert.Equal(t, "/a", disks[2].Path)
	assert.NoError(t, disks[2].Err)
}

// A hung mount must cost only one call in all, and only one wait of statfsMaxWait.
func TestHungDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hung := diskThatTakes(time.Hour)
		s := sampler(t, withStatfs(hung.statfs), root)

		begin := time.Now()
		first := s.Sample().Disks[0]
		assert.Equal(t, statfsMaxWait, time.Since(begin))
		assert.ErrorIs(t, first.Err, ErrPending, "2 ms prove nothing")
		assert.False(t, first.Stuck)

		for range 200 {
			time.Sleep(time.Second)
			begin := time.Now()
			disk := s.Sample().Disks[0]
			require.Zero(t, time.Since(begin), "a sample waited again")
			require.True(t, disk.Stuck)
			require.ErrorContains(t, disk.Err, "no answer for")
			require.Equal(t, disk.Err, disk.InodesPercent.Err)
			require.Zero(t, disk.Age)
		}
		assert.Equal(t, int32(1), hung.asked.Load())
		time.Sleep(time.Hour)
	})
}

// This test uses real goroutines and real time. One goroutine must wait, and no caller may wait.
func TestHungDiskUnderLoad(t *testing.T) {
	release, returned := make(chan struct{}), make(chan struct{})
	s := sampler(t, withStatfs(func(string) (space, error) {
		defer close(returned) // a second call would panic
		<-release
		return half, nil
	}), root)

	begin := time.Now()
	for _, sample := range askAll(s, 200) {
		assert.NotNil(t, sample)
	}
	for range 200 {
		s.last.Store(nil) // as if a second had passed
		s.Sample()
	}
	assert.Less(t, time.Since(begin), time.Minute, "the callers waited for the disk") // TestHungDisk has the exact limit
	assert.Equal(t, 1, goroutinesIn("(*diskMeter).start.func1"))
	assert.Error(t, s.Sample().Disks[0].Err)

	close(release)
	<-returned
}

// goroutinesIn counts the goroutines that run a function of this package.
func goroutinesIn(function string) int {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	return strings.Count(string(stacks), "sysmetrics."+function+"(")
}

// Two hung mounts must share statfsMaxWait.
func TestHungDisksTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sampler(t, withStatfs(diskThatTakes(time.Hour).statfs), DiskPath{"a", "/a"}, DiskPath{"b", "/b"})
		begin := time.Now()
		s.Sample()
		assert.Equal(t, statfsMaxWait, time.Since(begin))
		time.Sleep(time.Hour)
	})
}

// A mount that hangs must keep its last figures, and must have new figures when it responds again.
func TestDiskThatHangsForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := diskThatTakes(0)
		s := sampler(t, withStatfs(disk.statfs), root)
		assert.NoError(t, s.Sample().Disks[0].Err)

		disk.delay.Store(int64(10 * time.Second))
		time.Sleep(time.Second)
		late := s.Sample().Disks[0]
		assert.NoError(t, late.Err)
		assert.False(t, late.Stuck, "out for 2 ms only")
		assert.Equal(t, time.Second+statfsMaxWait, late.Age)

		time.Sleep(2 * time.Second)
		stuck := s.Sample().Disks[0]
		assert.True(t, stuck.Stuck)
		assert.NoError(t, stuck.Err)
		assert.Equal(t, 50.0, stuck.Percent)
		assert.Equal(t, 3*time.Second+statfsMaxWait, stuck.Age)

		disk.delay.Store(0)
		time.Sleep(10 * time.Second)
		back := s.Sample().Disks[0]
		assert.False(t, back.Stuck)
		assert.Zero(t, back.Age)
	})
}

// If a file system always needs longer than statfsMaxWait, but less than what counts as stuck, its figures
// must come one sample late, and it must never be stuck.
func TestSlowDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := diskThatTakes(50 * time.Millisecond)
		s := sampler(t, withStatfs(slow.statfs), root)
		assert.ErrorIs(t, s.Sample().Disks[0].Err, ErrPending)
		for range 10 {
			time.Sleep(2 * time.Second)
			disk := s.Sample().Disks[0]
			require.NoError(t, disk.Err)
			require.False(t, disk.Stuck)
			require.InDelta(t, 2*time.Second, disk.Age, float64(50*time.Millisecond))
		}
		time.Sleep(time.Second)
	})
}

// If the process itself was stopped between the call and the check, the disk must not be stuck.
func TestDiskIsNotStuckWhereTheProcessWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disks := newDisks([]DiskPath{root, {"alias", "/"}}, diskThatTakes(time.Hour).statfs)
		askDisks(disks)
		time.Sleep(time.Second)
		assert.False(t, reportDisks(disks, time.Now())[0].Stuck, "the sample that started the call")
		askDisks(disks)
		assert.True(t, reportDisks(disks, time.Now())[0].Stuck, "the next sample")
		time.Sleep(time.Hour)
	})
}

// With a soft NFS mount, the call returns an error after a while.
func TestDiskThatFailsSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failing := diskThatTakes(1500 * time.Millisecond)
		failing.err = errors.New("input/output error")
		s := sampler(t, withStatfs(failing.statfs), root)
		s.Sample()
		time.Sleep(2 * time.Second)
		disk := s.Sample().Disks[0]
		assert.ErrorIs(t, disk.Err, failing.err)
		assert.False(t, disk.Stuck)
		time.Sleep(time.Second)
		disk = s.Sample().Disks[0]
		assert.ErrorIs(t, disk.Err, failing.err)
		assert.True(t, disk.Stuck)
		time.Sleep(time.Second)
	})
}

// Two names of one path must share its call, and must both wait for it.
func TestDiskWithTwoNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := diskThatTakes(time.Millisecond)
		s := sampler(t, withStatfs(slow.statfs), DiskPath{"a", "/"}, DiskPath{"b", "/"})
		disks := s.Sample().Disks
		assert.Equal(t, int32(1), slow.asked.Load())
		for i, name := range []string{"a", "b"} {
			assert.Equal(t, name, disks[i].Name)
			assert.NoError(t, disks[i].Err)
		}
	})
}

// A mount may appear after the sampler was made, disappear, and appear again.
func TestMountHistory(t *testing.T) {
	const writable, readOnly = false, true
	const ok, becameReadOnly, unmounted = "ok", "read-only", "unmounted"
	at := func(depth int, readOnly bool) space {
		return space{total: 2, used: 1, free: 1, depth: depth, readOnly: readOnly}
	}
	type answer struct {
		space space
		want  string
	}
	tests := map[string][]answer{
		"remounted":              {{at(0, writable), ok}, {at(0, readOnly), becameReadOnly}, {at(0, writable), ok}},
		"read-only on purpose":   {{at(0, readOnly), ok}, {at(0, readOnly), ok}},
		"unmounted":              {{at(0, writable), ok}, {at(2, writable), unmounted}, {at(0, writable), ok}},
		"an image unmounted":     {{at(0, readOnly), ok}, {at(2, writable), unmounted}, {at(0, readOnly), ok}},
		"an image comes later":   {{at(2, writable), ok}, {at(0, readOnly), ok}, {at(2, writable), unmounted}},
		"mounted over":           {{at(1, writable), ok}, {at(0, writable), ok}, {at(0, readOnly), becameReadOnly}},
		"the parent goes too":    {{at(1, writable), ok}, {at(3, readOnly), unmounted}, {at(5, readOnly), unmounted}},
		"never known":            {{at(unknownDepth, writable), ok}, {at(unknownDepth, readOnly), becameReadOnly}},
		"unknown for a while":    {{at(1, writable), ok}, {at(unknownDepth, writable), ok}, {at(1, writable), ok}},
		"unknown, and unmounted": {{at(1, writable), ok}, {at(unknownDepth, writable), ok}, {at(2, writable), unmounted}},
		"known later":            {{at(unknownDepth, writable), ok}, {at(1, readOnly), becameReadOnly}, {at(2, writable), unmounted}},
	}
	for name, answers := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var now space
				s := sampler(t, withStatfs(func(string) (space, error) { return now, nil }), root)
				for i, a := range answers {
					now = a.space
					disk := s.Sample().Disks[0]
					got := ok
					switch {
					case errors.Is(disk.Err, ErrUnmounted):
						got = unmounted
						assert.Equal(t, Disk{Name: "disk", Path: "/", Err: disk.Err, InodesPercent: Figure[float64]{Err: disk.Err}}, disk)
					case disk.BecameReadOnly:
						got = becameReadOnly
					}
					assert.Equal(t, a.want, got, "answer %d", i)
					time.Sleep(time.Second)
				}
			})
		})
	}
}
