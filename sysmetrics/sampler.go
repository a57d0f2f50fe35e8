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

// Options configure a Sampler. The zero value measures everything but disks.
type Options struct {
	// Disks are the file systems to measure. None by default.
	Disks []DiskPath
}

// A DiskPath names a file system by a path on it.
type DiskPath struct {
	// Name becomes Disk.Name. It has no meaning for this package.
	Name string

	// Path must be absolute. It need not exist: a mount may come later.
	Path string
}

func (d DiskPath) validate() error {
	switch {
	case d.Path == "":
		return fmt.Errorf("sysmetrics: disk %q: path is empty, an absolute path is required", d.Name)
	case strings.ContainsRune(d.Path, 0):
		return fmt.Errorf("sysmetrics: disk %q: path %q contains a zero byte, an absolute path is required",
			d.Name, d.Path)
	// On Windows "/" is the root of the current drive, which is accepted as absolute.
	case !filepath.IsAbs(d.Path) && !strings.HasPrefix(d.Path, "/"):
		return fmt.Errorf("sysmetrics: disk %q: path %q is relative, an absolute path is required", d.Name, d.Path)
	}
	return nil
}

// A Sampler measures on demand. Its methods may be called from any number of goroutines. It needs no Close,
// because it owns goroutines only while it measures: one in all, and one for each disk. If the system or a
// disk does not answer, the goroutine waits until it answers.
type Sampler struct {
	last atomic.Pointer[Sample] // the result of Sample

	mu        sync.Mutex // guards the next three, and writes to last; nothing is measured under it
	run       *run       // the unfinished run, or nil
	measured  *Sample    // the result of the last run, or nil
	published uint64     // how many samples there have been

	// Only the unfinished run uses the rest.
	machine   machine
	cgroup    cgroup
	cgroupErr error // why cgroup is not known; it is then looked for again
	cpu       cpuWindow
	disks     []namedDisk
	found     struct{ cpu, memory, connections presence }
}

// New makes a Sampler and reads the processor's counters once, as the start of their first window. The error
// joins one error for each invalid entry of opts. A figure that cannot be read is not an error of New. New
// waits at most 50 ms for a system that does not answer.
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

// prepare starts the first window. It makes no sample.
func (s *Sampler) prepare() *Sample {
	s.findCgroup()
	s.measureCPU()
	return nil
}

// Sample returns the present state of the machine, at most a second old.
//
// A sample that is younger than a second is returned again: the same pointer means that nothing is new.
// Otherwise a new one is measured, once for all concurrent callers. That takes about 0.2 ms, and waits at
// most 2 ms for disks.
//
// Reading /proc or a control group may be slow, or hang, as a disk may. A call waits for it at most 50 ms
// after the measurement began, so a later call does not wait at all. Such a call returns the previous sample
// while that is younger than 5 s, and later a sample that repeats its figures, with their [Sample.Age].
// Without a previous sample the figures are absent with [ErrPending]. A measurement that takes 5 s makes the
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
	return s.result()
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
