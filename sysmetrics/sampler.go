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

// Options configure a Sampler. With the zero value, the Sampler measures everything except disks.
type Options struct {
	// Disks are the file systems to measure. The default is none.
	Disks []DiskPath
}

// A DiskPath names a file system by a path on it.
type DiskPath struct {
	// Name becomes Disk.Name. It has no meaning for this package.
	Name string

	// Path must be absolute. It need not exist yet, because a file system may be mounted later.
	Path string
}

func (d DiskPath) validate() error {
	switch {
	case d.Path == "":
		return fmt.Errorf("sysmetrics: disk %q: the path must not be empty", d.Name)
	case strings.ContainsRune(d.Path, 0):
		return fmt.Errorf("sysmetrics: disk %q: the path %q must not contain a zero byte", d.Name, d.Path)
	// On Windows, "/" is the root of the current drive. It is accepted as an absolute path.
	case !filepath.IsAbs(d.Path) && !strings.HasPrefix(d.Path, "/"):
		return fmt.Errorf("sysmetrics: disk %q: the path %q must be absolute", d.Name, d.Path)
	}
	return nil
}

// A Sampler measures on demand. Its methods are safe for concurrent use. It needs no Close, because it has
// goroutines only while it measures: one for the measurement and one for each disk. If the system or a disk
// does not answer, the goroutine waits for the answer.
type Sampler struct {
	last atomic.Pointer[Sample] // the result of Sample

	// mu guards the next three fields, and writes to last. It is not held during a measurement.
	mu        sync.Mutex
	run       *run    // the unfinished run, or nil
	measured  *Sample // the sample of the last run that made one, or nil
	published uint64  // the number of samples published so far

	// Only the unfinished run uses the fields below, except that absent reads the names and paths of disks.
	machine   machine
	cgroup    cgroup
	cgroupErr error // why cgroup is unknown; the next run then searches for it again
	cpu       cpuWindow
	disks     []namedDisk
	found     struct{ cpu, memory, connections presence }
}

// New makes a Sampler and reads the processor's counters once, so that the first window starts now. The error
// joins one error for each invalid entry of opts. A figure that can't be read is not an error of New. If the
// system does not answer, New waits at most 50 ms.
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

// prepare starts the first window. It returns nil, because it makes no sample.
func (s *Sampler) prepare() *Sample {
	s.findCgroup()
	s.measureCPU()
	return nil
}

// Sample returns the present state of the machine. Normally, the sample is at most a second old.
//
// While the last sample is younger than a second, Sample returns it again, as the same pointer. Otherwise
// Sample measures once for all concurrent callers. This takes about 0.2 ms, plus at most 2 ms of waiting for
// disks.
//
// Reading /proc or a control group may be slow or hang, as a disk may. A call waits until at most 50 ms after
// the measurement began, so a later call does not wait at all for the same measurement. If the measurement
// has not ended then, the result depends on the previous sample. A previous sample that is younger than 5 s
// is returned again. The figures of an older one are repeated in a sample that has their [Sample.Age].
// Without a previous sample, the figures are absent with [ErrPending]. After 5 s without an end of the
// measurement, [Sample.Stuck] is true. The result is never nil.
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

// measure makes a sample with all figures.
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
