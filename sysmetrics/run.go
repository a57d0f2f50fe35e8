package sysmetrics

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"time"
)

// No read of a file in /proc or of a control group can be cancelled. A frozen kernel thread, or a dead file
// system in between, may block it forever. So all reads happen in a goroutine of their own. There is at most
// one such goroutine, and a caller waits for it only a limited time.
const (
	// minAge is how long a sample is returned before a new one is measured.
	minAge = time.Second

	// maxWait is how long callers wait for a run. A run needs a two-hundredth of it.
	maxWait = 50 * time.Millisecond

	// stuckAfter is the duration of a run at which the system is reported as stuck. The end of maxWait proves
	// only that a file is slow, or the machine busy.
	stuckAfter = 5 * time.Second

	// oldAge is the age from which a sample shows the age of its figures.
	oldAge = 5 * time.Second
)

// A run measures once.
type run struct {
	began time.Time
	over  context.Context // done when the run has ended, or maxWait has
	end   context.CancelFunc
	timer *time.Timer
}

// newRun makes a run and starts the timer of maxWait. The timer has two halves. The second half starts when
// the first one fires. So if the process is stopped for a while, for example by a CPU quota, only one half
// passes.
func newRun() *run {
	over, end := context.WithCancel(context.Background())
	timer := time.AfterFunc(maxWait/2, func() { time.AfterFunc(maxWait/2, end) })
	return &run{began: time.Now(), over: over, end: end, timer: timer}
}

// join returns the unfinished run, or begins one. If there is a fresh sample by now, join returns that
// sample.
func (s *Sampler) join() (*run, *Sample) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last := s.last.Load(); last.serves() {
		return nil, last
	}
	if s.run == nil {
		s.begin(s.measure)
	}
	return s.run, nil
}

// begin begins a run. The last one must have ended.
func (s *Sampler) begin(measure func() *Sample) *run {
	r := newRun()
	s.run = r
	go func() {
		defer r.end()
		s.finish(r, s.recovered(measure))
	}()
	return r
}

// recovered measures, and turns a panic into a sample without figures. A panic in this goroutine would end
// the process.
func (s *Sampler) recovered(measure func() *Sample) (next *Sample) {
	began := time.Now()
	defer func() {
		if v := recover(); v != nil {
			next = s.absent(began, fmt.Errorf("panic: %v\n%s", v, debug.Stack()))
		}
	}()
	return measure()
}

// finish ends a run and publishes its sample, if it has made one.
func (s *Sampler) finish(r *run, next *Sample) {
	r.timer.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.run = nil
	if next != nil {
		s.measured = next
		s.publish(next)
	}
}

// publish replaces the last sample. The mutex must be held.
func (s *Sampler) publish(next *Sample) {
	s.published++
	next.Seq = s.published
	s.last.Store(next)
}

// result is the sample for a caller that has waited for a run: the run's, or a substitute for it.
func (s *Sampler) result() *Sample {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last := s.last.Load(); last.serves() {
		return last
	}
	now := time.Now()
	if s.measured != nil && now.Sub(s.measured.At) < oldAge {
		return s.measured
	}
	next := s.substitute(now)
	s.publish(next)
	return next
}

// substitute returns a sample without new figures. It has the last figures, if there are any. Old figures do
// not set Stuck, because perhaps no sample was requested meanwhile. Only a run that takes too long sets
// Stuck.
func (s *Sampler) substitute(now time.Time) (next *Sample) {
	stuck := s.run != nil && now.Sub(s.run.began) >= stuckAfter
	switch {
	case s.measured != nil:
		next = s.measured.repeated(now)
	case stuck:
		waited := now.Sub(s.run.began).Round(time.Millisecond)
		next = s.absent(now, fmt.Errorf("the system does not answer: no figures for %v", waited))
	default:
		next = s.absent(now, ErrPending)
	}
	if stuck {
		next.markStuck()
	}
	return next
}

// repeated is a later sample with the same figures and their age.
func (s *Sample) repeated(now time.Time) *Sample {
	repeated := *s
	repeated.At, repeated.Age, repeated.Disks = now, now.Sub(s.At), slices.Clone(s.Disks)
	for i := range repeated.Disks {
		if disk := &repeated.Disks[i]; disk.Err == nil {
			disk.Age += repeated.Age
		}
	}
	return &repeated
}

// absent returns a sample with only the figures that need no answer from the system. Its Err values explain
// why the others are absent.
func (s *Sampler) absent(at time.Time, err error) *Sample {
	none := &Sample{
		At:          at,
		CPU:         CPU{Err: err, Count: usableCPUs(), ThrottledRatio: Figure[float64]{Err: err}},
		Memory:      Memory{Err: err, OOMKills: Figure[uint64]{Err: err}},
		Connections: Connections{Err: err},
		Process:     measureProcess(nil),
	}
	none.Process.OpenFiles.Err = err
	for _, d := range s.disks {
		none.Disks = append(none.Disks, Disk{
			Name: d.name, Path: d.meter.path, Err: err, InodesPercent: Figure[float64]{Err: err},
		})
	}
	return none
}

// Fresh reports whether Sample would return a sample without measuring.
func (s *Sampler) Fresh() bool { return s.last.Load().serves() }

// serves reports whether the sample need not be replaced yet. For a nil sample it returns false. It checks
// the wall clock too, because the monotonic clock stands still while the machine is suspended.
func (s *Sample) serves() bool {
	if s == nil {
		return false
	}
	now := time.Now()
	return now.Sub(s.At) < minAge && now.Round(0).Sub(s.At.Round(0)) < minAge
}

func (s *Sample) markStuck() {
	s.Stuck = true
	for i := range s.Disks {
		s.Disks[i].Stuck = true
	}
}
