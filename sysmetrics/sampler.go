package sysmetrics

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// minAge is how long a sample serves.
const minAge = time.Second

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
// goroutines. There is nothing to close: between two calls it owns no goroutine,
// but for one for each disk that has left a call unanswered.
type Sampler struct {
	last atomic.Pointer[Sample]

	// turn is held by the one caller that measures, and guards what follows. It is
	// a channel of capacity 1 and not a mutex because a goroutine that waits for a
	// mutex would stop the clock of testing/synctest.
	turn chan struct{}

	machine   machine
	cgroup    cgroup
	cgroupErr error // why cgroup is not known; it is then looked for again
	cpu       cpuWindow
	disks     []namedDisk
}

// New makes a Sampler and reads the processor's counters once, as the start of
// their first window. It reports every invalid entry of opts, joined into one error;
// a figure that cannot be read is no error here.
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
	s := &Sampler{
		turn:    make(chan struct{}, 1),
		machine: m,
		disks:   newDisks(slices.Clone(opts.Disks), m.statfs),
	}
	s.findCgroup()
	s.measureCPU()
	return s, nil
}

// Sample returns the present state of the machine, at most a second old.
//
// A sample that is younger than a second is returned as it is: the same pointer
// means that nothing is new. Otherwise one caller measures, which takes 0.1 to 0.2
// ms and never waits for disks longer than 2 ms, and the others get the previous sample.
// Only before there is a first sample do they wait for it. The result is never nil.
func (s *Sampler) Sample() *Sample {
	last := s.last.Load()
	if last != nil && time.Since(last.At) < minAge {
		return last
	}
	if !s.takeTurn(last == nil) {
		return last
	}
	defer s.giveTurn()
	if newer := s.last.Load(); newer != last {
		return newer
	}
	next := s.measure()
	s.last.Store(next)
	return next
}

// takeTurn reports whether the caller may measure. It fails only where the caller
// is not willing to wait for one that does so already.
func (s *Sampler) takeTurn(wait bool) bool {
	if wait {
		s.turn <- struct{}{}
		return true
	}
	select {
	case s.turn <- struct{}{}:
		return true
	default:
		return false
	}
}

func (s *Sampler) giveTurn() { <-s.turn }

// measure reads everything.
func (s *Sampler) measure() *Sample {
	if s.cgroupErr != nil {
		s.findCgroup()
	}
	next := &Sample{
		CPU:         s.measureCPU(),
		Memory:      s.measureMemory(),
		Connections: measureConnections(s.machine.files),
		Process:     measureProcess(s.machine.files),
	}
	askDisks(s.disks)
	next.At = time.Now()
	next.Disks = reportDisks(s.disks, next.At)
	return next
}

func (s *Sampler) findCgroup() {
	s.cgroup, s.cgroupErr = findCgroup(s.machine.files)
}
