package sysmetrics

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"time"
)

// No read of a file in /proc or of a control group can be cancelled, and a kernel thread that is
// frozen, or a file system in between that is dead, may keep it for ever. So it all happens in a
// goroutine of its own, there is one at most, and nobody waits for it twice.
const (
	// minAge is how long a sample serves.
	minAge = time.Second

	// patience is how long callers wait for a run, which needs a three-hundredth of it.
	patience = 50 * time.Millisecond

	// stuckAfter is how long a run is out before it is said that the system does not answer. Being out of patience
	// proves no more than that a file is slow, or the machine busy.
	stuckAfter = 5 * time.Second

	// oldAge is how old figures get before they say how old they are.
	oldAge = 5 * time.Second
)

// A run measures once.
type run struct {
	began time.Time
	over  context.Context // done when the run has ended, or the patience of those who wait for it
	end   context.CancelFunc
	timer *time.Timer
}

// newRun starts the patience. It has two halves, of which the second begins when the first is noticed to be over: a
// process that was itself stopped for a while, as by a quota, has used up no more than one of them, and blames nobody.
func newRun() *run {
	over, end := context.WithCancel(context.Background())
	timer := time.AfterFunc(patience/2, func() { time.AfterFunc(patience/2, end) })
	return &run{began: time.Now(), over: over, end: end, timer: timer}
}

// join returns the run that is out, or begins one; none if there is a sample by now that serves.
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

// begin begins a run. None may be out.
func (s *Sampler) begin(measure func() *Sample) *run {
	r := newRun()
	s.run = r
	go func() {
		defer r.end()
		s.finish(r, s.attempt(measure))
	}()
	return r
}

// attempt turns a panic into a sample without figures. In a goroutine of its own it would take the process down.
func (s *Sampler) attempt(measure func() *Sample) (next *Sample) {
	began := time.Now()
	defer func() {
		if v := recover(); v != nil {
			next = s.absent(began, fmt.Errorf("panic: %v\n%s", v, debug.Stack()))
		}
	}()
	return measure()
}

// finish takes in what a run has brought.
func (s *Sampler) finish(r *run, next *Sample) {
	r.timer.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.run = nil
	if next != nil {
		s.measured = next
		s.give(next)
	}
}

// give puts a sample in the place of the one before. The mutex is held.
func (s *Sampler) give(next *Sample) {
	s.given++
	next.Seq = s.given
	s.last.Store(next)
}

// outcome is for those who have waited: the sample that has come, or else what can be said without it.
func (s *Sampler) outcome() *Sample {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last := s.last.Load(); last.serves() {
		return last
	}
	now := time.Now()
	if s.measured != nil && now.Sub(s.measured.At) < oldAge {
		return s.measured
	}
	next := s.without(now)
	s.give(next)
	return next
}

// without is the sample of those who get no new figures: the last ones, or none. That these are old says only that nobody
// has asked for a while. It takes a run which has been out for too long to call the system stuck.
func (s *Sampler) without(now time.Time) (next *Sample) {
	stuck := s.run != nil && now.Sub(s.run.began) >= stuckAfter
	switch {
	case s.measured != nil:
		next = s.measured.again(now)
	case stuck:
		next = s.absent(now, fmt.Errorf("the system does not answer: no figures for %v", now.Sub(s.run.began).Round(time.Millisecond)))
	default:
		next = s.absent(now, ErrPending)
	}
	if stuck {
		next.markStuck()
	}
	return next
}

// again gives the figures once more, and says how old they are.
func (s *Sample) again(now time.Time) *Sample {
	again := *s
	again.At, again.Age, again.Disks = now, now.Sub(s.At), slices.Clone(s.Disks)
	for i := range again.Disks {
		if disk := &again.Disks[i]; disk.Err == nil {
			disk.Age += again.Age
		}
	}
	return &again
}

// absent is a sample of what can be had without asking the system; err is why there is no more.
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
		none.Disks = append(none.Disks, Disk{Name: d.name, Path: d.meter.path, Err: err, InodesPercent: Figure[float64]{Err: err}})
	}
	return none
}

// Fresh reports whether Sample would return a sample without measuring.
func (s *Sampler) Fresh() bool { return s.last.Load().serves() }

// serves reports whether the sample need not be replaced yet. A nil sample does not serve. The wall clock counts too: the
// monotonic one stands still while a machine is suspended.
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
