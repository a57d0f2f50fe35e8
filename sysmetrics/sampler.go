package sysmetrics

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Options are what [New] needs to know. The zero value measures everything but
// disks.
type Options struct {
	// Disks are the file systems to measure. None by default.
	Disks []DiskPath
}

// A DiskPath names a file system by a path on it.
type DiskPath struct {
	// Name becomes Disk.Name. This package gives it no meaning.
	Name string

	// Path must be absolute. It need not exist: a mount may come later.
	Path string
}

func (d DiskPath) validate() error {
	switch {
	case d.Path == "":
		return fmt.Errorf("sysmetrics: disk %q: path is empty, an absolute path is required", d.Name)
	case strings.ContainsRune(d.Path, 0):
		return fmt.Errorf("sysmetrics: disk %q: path %q contains a zero byte, an absolute path is required", d.Name, d.Path)
	// On Windows "/" is the root of the current drive and as good as absolute.
	case !filepath.IsAbs(d.Path) && !strings.HasPrefix(d.Path, "/"):
		return fmt.Errorf("sysmetrics: disk %q: path %q is relative, an absolute path is required", d.Name, d.Path)
	}
	return nil
}

// A Sampler measures on demand. Its methods may be called from any number of
// goroutines. There is nothing to close: it owns a goroutine while it measures, however
// many wait for it, and one for each disk that has left a call unanswered. Between two
// calls there is none, unless the system does not answer.
type Sampler struct {
	last atomic.Pointer[Sample] // what is given out

	mu       sync.Mutex // guards what follows, and who may replace last; nothing is measured under it
	run      *run       // the one that is out, or nil
	measured *Sample    // what the last run brought, or nil
	given    uint64     // how many samples there have been

	// The rest belongs to the run that is out.
	machine   machine
	cgroup    cgroup
	cgroupErr error // why cgroup is not known; it is then looked for again
	cpu       cpuWindow
	disks     []namedDisk
	found     struct{ cpu, memory, connections presence }
}

// New makes a Sampler and reads the processor's counters once, as the start of
// their first window. It reports every invalid entry of opts, joined into one error;
// a figure that cannot be read is no error here, and it waits no longer than 50 ms for
// a system that does not answer.
func New(opts Options) (*Sampler, error) {
	return newSampler(opts, thisMachine())
}

func newSampler(opts Options, m machine) (*Sampler, error) {
	var invalid []error
	for _, d := range opts.Disks {
		invalid = append(invalid, d.validate())
	}
	if err := errors.Join(invalid...); err != nil {
		return nil, err
	}
	s := &Sampler{machine: m, disks: newDisks(slices.Clone(opts.Disks), m.statfs)}
	<-s.begin(s.prepare).over.Done()
	return s, nil
}

// prepare starts the first window. It brings no sample.
func (s *Sampler) prepare() *Sample {
	s.findCgroup()
	s.measureCPU()
	return nil
}

// Sample returns the present state of the machine, at most a second old.
//
// A sample that is younger than a second is returned as it is: the same pointer
// means that nothing is new. Otherwise it is measured, once for all who ask meanwhile,
// which takes 0.1 to 0.2 ms and never waits for disks longer than 2 ms.
//
// Reading /proc or a control group may be slow, or hang, as a disk may. Nobody waits longer than
// 50 ms for that, and who comes later does not wait at all: the previous sample is returned
// while it is younger than 5 s, and then its figures once more, with their [Sample.Age]. Where
// there are none yet, they are absent with [ErrPending]. Only if the measuring takes 5 s is the
// sample [Sample.Stuck]. The result is never nil.
func (s *Sampler) Sample() *Sample {
	if last := s.last.Load(); last.serves() {
		return last
	}
	r, last := s.join()
	if r == nil {
		return last
	}
	<-r.over.Done()
	return s.outcome()
}

// measure reads everything.
func (s *Sampler) measure() *Sample {
	next := &Sample{At: time.Now()}
	if s.cgroupErr != nil {
		s.findCgroup()
	}
	next.CPU = s.measureCPU()
	next.Memory = s.measureMemory()
	next.Connections = s.measureConnections()
	next.Process = measureProcess(s.machine.files)
	askDisks(s.disks)
	next.Disks = reportDisks(s.disks, time.Now())
	return next
}

func (s *Sampler) measureConnections() Connections {
	active, err := s.machine.connections()
	return Connections{Active: active, Err: s.found.connections.explain(err)}
}

func (s *Sampler) findCgroup() {
	s.cgroup, s.cgroupErr = findCgroup(s.machine.files)
}
