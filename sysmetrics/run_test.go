package sysmetrics

import (
	"io/fs"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// hangingFS blocks the opening of one of its files, or the reading of one of the host's figures, as long as
// the gate is closed.
type hangingFS struct {
	fs.FS
	hangs  string // the file, or the figure
	gate   atomic.Pointer[chan struct{}]
	caught atomic.Int32
}

// hang closes the gate until the returned function is called.
func (h *hangingFS) hang() (release func()) {
	gate := make(chan struct{})
	h.gate.Store(&gate)
	return sync.OnceFunc(func() {
		h.gate.Store(nil)
		close(gate)
	})
}

func (h *hangingFS) Open(name string) (fs.File, error) {
	h.pass(name)
	return h.FS.Open(name)
}

func (h *hangingFS) pass(name string) {
	if gate := h.gate.Load(); gate != nil && name == h.hangs {
		h.caught.Add(1)
		<-*gate
	}
}

// The host's figures that can hang, in addition to the files.
const (
	hostsMemory      = "the host's memory"
	hostsConnections = "the host's connections"
)

// host is a fakeHost with these files. Its figures also pass the gate.
func (h *hangingFS) host() machine {
	m := fakeHost(h)
	memory, connections := m.memory, m.connections
	m.memory = func() (hostMemory, error) { h.pass(hostsMemory); return memory() }
	m.connections = func() (int, error) { h.pass(hostsConnections); return connections() }
	return m
}

// container is a host with every file that a sample reads. It has 128 MiB, of which 48 are available, and
// half a processor.
func container() fs.FS {
	return merge(proc("0::/\n", v2Mount), v2Group("sys/fs/cgroup", bytesOf(128*mib), halfCPU), fixture(
		"proc/self/fd", "7 bytes",
	))
}

func hanging(t *testing.T, file string) (*hangingFS, *Sampler) {
	files := &hangingFS{FS: container(), hangs: file}
	return files, sampler(t, files.host(), root)
}

// ask takes a sample and measures how long that takes.
func ask(s *Sampler) (*Sample, time.Duration) {
	begin := time.Now()
	sample := s.Sample()
	return sample, time.Since(begin)
}

// errorsOf returns the errors of all figures that are read from the system.
func errorsOf(s *Sample) []error {
	errs := []error{
		s.CPU.Err, s.CPU.ThrottledRatio.Err, s.Memory.Err, s.Memory.OOMKills.Err, s.Connections.Err, s.Process.OpenFiles.Err,
	}
	for _, d := range s.Disks {
		errs = append(errs, d.Err)
	}
	return errs
}

// The age of a file system's last answer grows in a repeated sample, whether or not the answer is an error.
func TestAgeOfARepeatedSample(t *testing.T) {
	at := time.Now()
	first := &Sample{At: at, Disks: []Disk{
		{Name: "fine", Age: time.Millisecond}, {Name: "gone", Age: time.Second, Err: fs.ErrNotExist}, {Name: "silent", Err: ErrPending},
	}}
	var ages []time.Duration
	for _, disk := range first.repeated(at.Add(5 * time.Second)).Disks {
		ages = append(ages, disk.Age)
	}
	assert.Equal(t, []time.Duration{5001 * time.Millisecond, 6 * time.Second, 0}, ages)
	assert.Equal(t, time.Second, first.Disks[1].Age, "a sample never changes")
}

// If any file hangs, the first caller must wait for maxWait. Later callers must not wait, and the figures
// must have an age.
func TestSystemThatHangs(t *testing.T) {
	for _, file := range []string{
		"sys/fs/cgroup/cpu.max", "sys/fs/cgroup/cpu.stat", "sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory.stat",
		"sys/fs/cgroup/memory.events", "proc/self/fd", hostsMemory, hostsConnections,
	} {
		t.Run(file, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				files, s := hanging(t, file)
				time.Sleep(2 * time.Second)
				good := s.Sample()
				assert.False(t, good.Stuck)
				assert.Zero(t, good.Age)
				release := files.hang()

				time.Sleep(2 * time.Second)
				late, took := ask(s)
				assert.Same(t, good, late, "2 s old")
				assert.Equal(t, maxWait, took)

				time.Sleep(2 * time.Second)
				late, took = ask(s)
				assert.Same(t, good, late, "4 s old")
				assert.Zero(t, took, "a second caller waited")

				time.Sleep(time.Second)
				old, took := ask(s)
				assert.Zero(t, took)
				assert.Equal(t, 5*time.Second+maxWait, old.Age)
				assert.Equal(t, time.Now(), old.At)
				assert.False(t, old.Stuck, "the run is out for 3 s")
				assert.False(t, old.Disks[0].Stuck)
				assert.Equal(t, old.Age, old.Disks[0].Age)

				time.Sleep(2*time.Second - maxWait)
				stuck, took := ask(s)
				assert.Zero(t, took)
				assert.True(t, stuck.Stuck, "the run is out for 5 s")
				assert.Equal(t, 7*time.Second, stuck.Age)
				assert.Equal(t, time.Now(), stuck.At)
				assert.IsIncreasing(t, []uint64{good.Seq, old.Seq, stuck.Seq})
				assert.False(t, good.Stuck, "a sample never changes")
				assert.False(t, good.Disks[0].Stuck)

				assert.Equal(t, good.CPU, stuck.CPU)
				assert.Equal(t, good.Memory, stuck.Memory)
				assert.Equal(t, good.Connections, stuck.Connections)
				assert.Equal(t, good.Process, stuck.Process)
				want := good.Disks[0]
				want.Stuck, want.Age = true, stuck.Age
				assert.Equal(t, []Disk{want}, stuck.Disks)
				for _, err := range errorsOf(stuck) {
					assert.NoError(t, err)
				}

				again, _ := ask(s)
				assert.Same(t, stuck, again, "nothing is new for a second")
				time.Sleep(time.Minute)
				older, took := ask(s)
				assert.Zero(t, took)
				assert.Equal(t, stuck.Age+time.Minute, older.Age)
				assert.Equal(t, older.Age, older.Disks[0].Age)
				assert.EqualValues(t, 1, files.caught.Load(), "no second read")

				release()
				synctest.Wait()
				back, took := ask(s)
				assert.Zero(t, took)
				assert.False(t, back.Stuck)
				assert.Zero(t, back.Age)
				assert.Equal(t, time.Now(), back.At)
				assert.False(t, back.Disks[0].Stuck)
				assert.Zero(t, back.Disks[0].Age)
			})
		})
	}
}

// slowFS is slow to open one of its files.
type slowFS struct {
	fs.FS
	slow  string // the file
	takes time.Duration
}

func (f slowFS) Open(name string) (fs.File, error) {
	if name == f.slow {
		time.Sleep(f.takes)
	}
	return f.FS.Open(name)
}

// A file that needs longer than maxWait must not make a sample stuck, whatever the pause between the samples
// is. The figures come one sample late, and have an age.
func TestSlowSystem(t *testing.T) {
	for _, pause := range []time.Duration{2 * time.Second, 4 * time.Second, 5 * time.Second, 15 * time.Second, time.Minute} {
		t.Run(pause.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := sampler(t, fakeHost(slowFS{container(), "sys/fs/cgroup/memory.stat", 60 * time.Millisecond}), root)
				first, took := ask(s)
				assert.Equal(t, maxWait, took)
				assert.False(t, first.Stuck)
				assert.Zero(t, first.Age)
				for _, err := range errorsOf(first) {
					assert.ErrorIs(t, err, ErrPending)
				}
				for range 10 {
					time.Sleep(pause - maxWait)
					sample, took := ask(s)
					assert.Equal(t, maxWait, took)
					assert.False(t, sample.Stuck)
					assert.False(t, sample.Disks[0].Stuck)
					assert.NoError(t, sample.Memory.Err)
					assert.EqualValues(t, 128*mib, sample.Memory.TotalBytes)
					want := time.Duration(0) // figures that are younger than 5 s show no age
					if pause+maxWait >= oldAge {
						want = pause + maxWait
					}
					assert.Equal(t, want, sample.Age)
				}
				time.Sleep(time.Second)
			})
		})
	}
}

// A call after the end of a slow run must return the sample of that run. Its Seq must be higher than the Seq
// of the substitute that was returned during the run, although its At is earlier.
func TestSlowSampleReplacesTheSubstitute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sampler(t, fakeHost(slowFS{container(), "sys/fs/cgroup/memory.stat", 60 * time.Millisecond}), root)
		for range 2 {
			meanwhile := s.Sample()
			time.Sleep(20 * time.Millisecond)
			fresh, took := ask(s)
			assert.Zero(t, took)
			assert.Zero(t, fresh.Age)
			assert.NoError(t, fresh.Memory.Err)
			assert.Greater(t, fresh.Seq, meanwhile.Seq)
			assert.True(t, fresh.At.Before(meanwhile.At))
			time.Sleep(time.Minute)
		}
	})
}

// Figures that a run read before it hung are old when the run ends. They must not count as new.
func TestRunThatHungIsOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files, s := hanging(t, hostsConnections) // read after the memory
		release := files.hang()
		s.Sample()
		time.Sleep(time.Minute)
		release()
		synctest.Wait()

		set(files.FS.(fstest.MapFS), "sys/fs/cgroup/memory.max", bytesOf(100*mib))
		fresh := s.Sample()
		assert.False(t, fresh.Stuck)
		assert.EqualValues(t, 100*mib, fresh.Memory.TotalBytes)
		assert.Equal(t, time.Now(), fresh.At)
	})
}

// The same must hold if the next run hangs too: the age counts from the start of the first run.
func TestRunsThatHangOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files, s := hanging(t, hostsConnections)
		release := files.hang()
		s.Sample()
		time.Sleep(time.Minute)
		release()
		synctest.Wait()
		release = files.hang()

		sample, took := ask(s)
		assert.Equal(t, maxWait, took)
		assert.Equal(t, time.Minute+2*maxWait, sample.Age)
		assert.NoError(t, sample.Memory.Err)
		assert.False(t, sample.Stuck, "the second run has only begun")
		time.Sleep(stuckAfter)
		sample, _ = ask(s)
		assert.True(t, sample.Stuck)
		assert.NoError(t, sample.Memory.Err)
		release()
	})
}

// Without an earlier sample there must be no figure.
func TestSystemThatHangsFromTheBeginning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files, s := hanging(t, hostsConnections)
		release := files.hang()
		first, took := ask(s)
		assert.Equal(t, maxWait, took)
		time.Sleep(stuckAfter - maxWait - 1)
		second, took := ask(s)
		assert.Zero(t, took)
		time.Sleep(time.Second)
		third, took := ask(s)
		assert.Zero(t, took)

		for _, none := range []*Sample{first, second, third} {
			assert.Zero(t, none.Age)
			for _, err := range errorsOf(none) {
				if none.Stuck {
					assert.EqualError(t, err, "the measurement of the system metrics has not ended for 6s: a call to the operating system hangs, and a goroutine dump shows which one")
				} else {
					assert.ErrorIs(t, err, ErrPending)
				}
			}
			assert.Equal(t, Disk{
				Name: "disk", Path: "/", Stuck: none.Stuck,
				Err: none.CPU.Err, InodesPercent: Figure[float64]{Err: none.CPU.Err},
			}, none.Disks[0])
			assert.Positive(t, none.CPU.Count)
			assert.Positive(t, none.Process.Goroutines)
			assert.NoError(t, none.Process.HeapBytes.Err)
		}
		assert.False(t, first.Stuck)
		assert.False(t, second.Stuck, "a moment before the 5 s are over")
		assert.True(t, third.Stuck)
		assert.Equal(t, time.Second, third.At.Sub(second.At))

		release()
		synctest.Wait()
		back, _ := ask(s)
		assert.False(t, back.Stuck)
		assert.Equal(t, 17, back.Connections.Active)
	})
}

// New also reads the system, so it must not hang.
func TestSystemThatHangsInNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := &hangingFS{FS: container(), hangs: "proc/self/mountinfo"}
		release := files.hang()
		begin := time.Now()
		s := sampler(t, files.host(), root)
		assert.Equal(t, maxWait, time.Since(begin))

		none, took := ask(s)
		assert.Zero(t, took, "New has waited already")
		assert.False(t, none.Stuck)
		assert.ErrorIs(t, none.Memory.Err, ErrPending)
		time.Sleep(stuckAfter)
		none, _ = ask(s)
		assert.True(t, none.Stuck)

		release()
		synctest.Wait()
		time.Sleep(time.Second)
		back, took := ask(s)
		assert.Zero(t, took)
		assert.False(t, back.Stuck)
		assert.EqualValues(t, 128*mib, back.Memory.TotalBytes)
		assert.NoError(t, back.CPU.Err, "the window began when the counters were read at last")
	})
}

// This test uses real goroutines and real time. One goroutine must wait for long, and no caller may wait.
func TestHangingSystemUnderLoad(t *testing.T) {
	files, s := hanging(t, "sys/fs/cgroup/memory.stat")
	release := files.hang()
	for range 3 {
		begin := time.Now()
		samples := askAll(s, 200)
		assert.Less(t, time.Since(begin), time.Minute, "the callers waited for the file") // TestHangingSystem has the exact limit
		assert.NotContains(t, samples, (*Sample)(nil))
		s.last.Store(nil) // as if a second had passed
	}
	assert.EqualValues(t, 1, files.caught.Load())
	assert.Equal(t, 1, goroutinesIn("(*Sampler).begin.func1"))

	release()
	assert.Eventually(t, func() bool { return goroutinesIn("(*Sampler).begin.func1") == 0 }, time.Minute, time.Millisecond)
	s.last.Store(nil)
	assert.False(t, s.Sample().Stuck)
}

// A panic would end the process, because no recover of a server is above the goroutine.
func TestPanicWhileMeasuring(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := fakeHost(container())
		broken := true
		m.memory = func() (hostMemory, error) {
			if broken {
				panic("no memory")
			}
			return hostMemory{total: gib, available: gib}, nil
		}
		s := sampler(t, m, root)
		sample, took := ask(s)
		assert.Zero(t, took)
		assert.False(t, sample.Stuck)
		for _, err := range errorsOf(sample) {
			assert.ErrorContains(t, err, "panic: no memory")
		}
		assert.False(t, slices.ContainsFunc(sample.Disks, func(d Disk) bool { return d.Stuck }))

		broken = false
		time.Sleep(time.Second)
		assert.NoError(t, s.Sample().Memory.Err)
	})
}
