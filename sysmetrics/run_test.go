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

// hangingFS keeps whoever opens one of its files, as long as the gate is closed.
type hangingFS struct {
	fs.FS
	hangs  string // the file
	gate   atomic.Pointer[chan struct{}]
	caught atomic.Int32
}

// hang closes the gate, until the function that it returns is called.
func (h *hangingFS) hang() (release func()) {
	gate := make(chan struct{})
	h.gate.Store(&gate)
	return sync.OnceFunc(func() {
		h.gate.Store(nil)
		close(gate)
	})
}

func (h *hangingFS) Open(name string) (fs.File, error) {
	if gate := h.gate.Load(); gate != nil && name == h.hangs {
		h.caught.Add(1)
		<-*gate
	}
	return h.FS.Open(name)
}

// container is a host with every file that a sample reads, with 128 MiB of which 48 are available, and half a processor.
func container() fs.FS {
	return merge(proc("0::/\n", v2Mount), v2Group("sys/fs/cgroup", bytesOf(128*mib), halfCPU), fixture(
		"proc/net/snmp", "Tcp: CurrEstab\nTcp: 17\n",
		"proc/self/fd", "7 bytes",
	))
}

func hanging(t *testing.T, file string) (*hangingFS, *Sampler) {
	files := &hangingFS{FS: container(), hangs: file}
	return files, sampler(t, fakeHost(files), root)
}

// ask asks and measures how long it takes.
func ask(s *Sampler) (*Sample, time.Duration) {
	begin := time.Now()
	sample := s.Sample()
	return sample, time.Since(begin)
}

// errorsOf are those of all figures that are read from the system.
func errorsOf(s *Sample) []error {
	errs := []error{
		s.CPU.Err, s.CPU.ThrottledRatio.Err, s.Memory.Err, s.Memory.OOMKills.Err, s.Connections.Err, s.Process.OpenFiles.Err,
	}
	for _, d := range s.Disks {
		errs = append(errs, d.Err)
	}
	return errs
}

// Whatever file hangs, the first caller waits a little, later ones do not, and the figures say how old they are.
func TestSystemThatHangs(t *testing.T) {
	for _, file := range []string{
		"sys/fs/cgroup/cpu.max", "sys/fs/cgroup/cpu.stat", "sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory.stat",
		"sys/fs/cgroup/memory.events", "proc/net/snmp", "proc/self/fd",
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
				assert.Equal(t, patience, took)

				time.Sleep(2 * time.Second)
				late, took = ask(s)
				assert.Same(t, good, late, "4 s old")
				assert.Zero(t, took, "a second one waited")

				time.Sleep(time.Second)
				stuck, took := ask(s)
				assert.Zero(t, took)
				assert.True(t, stuck.Stuck)
				assert.Equal(t, 5*time.Second+patience, stuck.Age)
				assert.Equal(t, time.Now(), stuck.At)
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
				assert.EqualValues(t, 1, files.caught.Load(), "nobody asked again")

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

// What a run has read before it hung is old when it ends. It is not given out as new.
func TestRunThatHungIsOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files, s := hanging(t, "proc/net/snmp") // read after the memory
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

// Nor is it where the next run hangs too: its figures are as old as when it began.
func TestRunsThatHangOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files, s := hanging(t, "proc/net/snmp")
		release := files.hang()
		s.Sample()
		time.Sleep(time.Minute)
		release()
		synctest.Wait()
		release = files.hang()

		sample, took := ask(s)
		assert.Equal(t, patience, took)
		assert.True(t, sample.Stuck)
		assert.Equal(t, time.Minute+2*patience, sample.Age)
		assert.NoError(t, sample.Memory.Err)
		release()
	})
}

// Where there never was a sample, nothing is made up.
func TestSystemThatHangsFromTheBeginning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files, s := hanging(t, "proc/net/snmp")
		release := files.hang()
		first, took := ask(s)
		assert.Equal(t, patience, took)
		time.Sleep(time.Second)
		second, took := ask(s)
		assert.Zero(t, took)

		for _, none := range []*Sample{first, second} {
			assert.True(t, none.Stuck)
			assert.Zero(t, none.Age)
			for _, err := range errorsOf(none) {
				assert.ErrorContains(t, err, "the system does not answer")
			}
			assert.Equal(t, Disk{
				Name: "disk", Path: "/", Stuck: true,
				Err: none.CPU.Err, InodesPercent: Figure[float64]{Err: none.CPU.Err},
			}, none.Disks[0])
			assert.Positive(t, none.CPU.Count)
			assert.Positive(t, none.Process.Goroutines)
			assert.NoError(t, none.Process.HeapBytes.Err)
		}
		assert.Equal(t, time.Second, second.At.Sub(first.At))

		release()
		synctest.Wait()
		back, _ := ask(s)
		assert.False(t, back.Stuck)
		assert.Equal(t, 17, back.Connections.Active)
	})
}

// New reads too.
func TestSystemThatHangsInNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := &hangingFS{FS: container(), hangs: "proc/self/mountinfo"}
		release := files.hang()
		begin := time.Now()
		s := sampler(t, fakeHost(files), root)
		assert.Equal(t, patience, time.Since(begin))

		stuck, took := ask(s)
		assert.Zero(t, took, "New has waited already")
		assert.True(t, stuck.Stuck)
		assert.Error(t, stuck.Memory.Err)

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

// With real goroutines and real time: nobody is held up for long, and one goroutine is.
func TestHangingSystemUnderLoad(t *testing.T) {
	files, s := hanging(t, "sys/fs/cgroup/memory.stat")
	release := files.hang()
	for range 3 {
		begin := time.Now()
		samples := askAll(s, 200)
		assert.Less(t, time.Since(begin), 5*time.Second, "they wait for what never comes")
		assert.NotContains(t, samples, (*Sample)(nil))
		s.last.Store(nil) // as if a second had passed
	}
	assert.EqualValues(t, 1, files.caught.Load())
	assert.Equal(t, 1, goroutinesIn("(*Sampler).begin.func1"))

	release()
	assert.Eventually(t, func() bool { return goroutinesIn("(*Sampler).begin.func1") == 0 }, 10*time.Second, time.Millisecond)
	s.last.Store(nil)
	assert.False(t, s.Sample().Stuck)
}

// A panic would take the process down, since no server's recover is above it.
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
