package sysmetrics

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"time"
)

// Reading a file in /proc or in a control group can't be cancelled. A frozen kernel thread or a dead file
// system may block the read forever. So all reads happen in a separate goroutine. There is at most one such
// goroutine at a time, and a caller waits for it only for a limited time.
const (
	// minAge is how long a sample is returned before a new one is measured.
	minAge = time.Second

	// maxWait is how long callers wait for a run. A run normally takes a two-hundredth of this time.
	maxWait = 50 * time.Millisecond

	// stuckAfter is the duration of a run at which the system is reported as stuck. A run that lasts only longer
	// than maxWait does not prove that, because a file may be slow or the machine busy.
	stuckAfter = 5 * time.Second

	// oldAge is the age at which result stops returning the last measured sample and repeats its figures with
	// their age.
	oldAge = 5 * time.Second
)

// A run is one measurement.
type run struct {
	began time.Time
	over  context.Context // done when the run has ended or maxWait has passed
	end   context.CancelFunc
	timer *time.Timer
}

// newRun makes a run and starts the timer for maxWait. The timer has two halves, and the second starts when
// the first has fired. If the process is stopped for a while, for example by a CPU quota, only one half can
// pass during that time. So the run still has the other half afterwards.
func newRun() *run {
	over, end := context.WithCancel(context.Background())
	timer := time.AfterFunc(maxWait/2, func() { time.AfterFunc(maxWait/2, end) })
	return &run{began: time.Now(), over: over, end: end, timer: timer}
}

// join returns the unfinished run, or begins a run. If another goroutine has published a fresh sample in the
// meantime, join returns this sample instead.
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

// begin begins a run. The previous run must have ended. The caller must hold the mutex, except in newSampler.
func (s *Sampler) begin(measure func() *Sample) *run {
	r := newRun()
	s.run = r
	go func() {
		defer r.end()
		s.finish(r, s.recovered(measure))
	}()
	return r
}

// recovered calls measure. If measure panics, recovered returns a sample without figures, because otherwise
// the panic would end the process.
func (s *Sampler) recovered(measure func() *Sample) (next *Sample) {
	began := time.Now()
	defer func() {
		if v := recover(); v != nil {
			next = s.absent(began, fmt.Errorf("panic: %v\n%s", v, debug.Stack()))
		}
	}()
	return measure()
}

// finish ends a run and publishes its sample. A nil sample is not published.
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

// publish makes next the last sample. The caller must hold the mutex.
func (s *Sampler) publish(next *Sample) {
	s.published++
	next.Seq = s.published
	s.last.Store(next)
}

// result returns the sample for a caller that has waited for a run. If the run has not ended, this is the
// last measured sample or, if that is old or missing, a substitute.
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

// substitute returns a sample without new figures. It repeats the last figures, if there are any. Their age
// does not set Stuck, because perhaps no sample was requested for a long time. Only a run that takes too long
// sets Stuck.
func (s *Sampler) substitute(now time.Time) (next *Sample) {
	stuck := s.run != nil && now.Sub(s.run.began) >= stuckAfter
	switch {
	case s.measured != nil:
		next = s.measured.repeated(now)
	case stuck:
		waited := now.Sub(s.run.began).Round(time.Millisecond)
		next = s.absent(now, fmt.Errorf("the measurement of the system metrics has not ended for %v: "+
			"a call to the operating system hangs, and a goroutine dump shows which one", waited))
	default:
		next = s.absent(now, ErrPending)
	}
	if stuck {
		next.markStuck()
	}
	return next
}

// repeated returns a copy of s, made at now, that has the same figures and sets their age.
func (s *Sample) repeated(now time.Time) *Sample {
	repeated := *s
	repeated.At, repeated.Age, repeated.Disks = now, now.Sub(s.At), slices.Clone(s.Disks)
	for i := range repeated.Disks {
		if disk := &repeated.Disks[i]; disk.Err == nil || disk.Age > 0 { // else there never was an answer
			disk.Age += repeated.Age
		}
	}
	return &repeated
}

// absent returns a sample with only the figures that need no file: the number of processors and the figures
// of Process except OpenFiles. The Err of each other figure is err.
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

// Fresh reports whether Sample would return the last sample without measuring.
func (s *Sampler) Fresh() bool { return s.last.Load().serves() }

// serves reports whether Sample may return s again. It returns false for a nil sample. It compares the wall
// clock too, because the monotonic clock does not advance while the machine is suspended.
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
