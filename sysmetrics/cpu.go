package sysmetrics

import (
	"time"
)

const (
	// cpuMinWindow is the shortest window that is published. The kernel counts in ticks of 10 ms. A shorter
	// window would show the ticks rather than the load.
	cpuMinWindow = time.Second

	// cpuRotation is how old a reading must be before the next one replaces it.
	cpuRotation = 5 * time.Second

	// cpuMaxWindow is the longest window under steady sampling. Only a pause makes a longer one.
	cpuMaxWindow = 3 * cpuRotation
)

// A cpuReading has the counters at one moment. Two of them make a window.
type cpuReading struct {
	at    time.Time
	quota quota // the zero quota stands for the whole machine

	times    cpuTimes // only busy, in seconds, if there is a quota
	timesErr error

	throttling    throttling
	throttlingErr error
}

// throttling counts the periods of a quota, and those in which the quota was used up.
type throttling struct{ periods, throttled float64 }

// measureCPU reads the counters and compares them with earlier ones.
func (s *Sampler) measureCPU() CPU {
	cpu := CPU{Count: usableCPUs()}
	limit, err := s.cpuQuota()
	if err != nil {
		cpu.Err, cpu.ThrottledRatio.Err = err, err
		return cpu
	}
	now := s.readCPU(limit)
	base := s.cpu.advance(now)
	cpu.LimitCPUs = limit.cpus
	cpu.ThrottledRatio = throttledRatio(base, now)
	cpu.Percent, cpu.Err = cpuPercent(base, now)
	if cpu.Err == nil {
		cpu.Window, cpu.Source = now.at.Sub(base.at), now.source()
	}
	return cpu
}

func (s *Sampler) cpuQuota() (quota, error) {
	if s.cgroupErr != nil {
		return quota{}, s.cgroupErr
	}
	return s.cgroup.tightestQuota()
}

// readCPU reads the counters of the quota, or those of the machine if there is none.
func (s *Sampler) readCPU(limit quota) cpuReading {
	if limit.cpus > 0 {
		return s.cgroup.readCPU(limit)
	}
	times, err := s.machine.cpu()
	err = s.found.cpu.explain(err)
	return cpuReading{at: time.Now(), times: times, timesErr: err, throttlingErr: ErrUnsupported}
}

// comparable reports whether two readings count the same: one quota, or the same processors.
func (r cpuReading) comparable(other cpuReading) bool {
	unknown := r.timesErr != nil || other.timesErr != nil
	return r.quota.level == other.quota.level && (unknown || r.times.of == other.times.of)
}

func (r cpuReading) source() Source {
	if r.quota.cpus > 0 {
		return Cgroup
	}
	return Host
}

// cpuPercent is the busy share between two readings.
func cpuPercent(base, now cpuReading) (float64, error) {
	if err := windowErr(base, now, base.timesErr, now.timesErr); err != nil {
		return 0, err
	}
	if base.times.of != now.times.of {
		return 0, ErrPending
	}
	total := now.times.total - base.times.total
	if now.quota.cpus > 0 {
		// A quota above the number of usable processors limits nothing.
		cpus := min(now.quota.cpus, float64(usableCPUs()))
		total = now.at.Sub(base.at).Seconds() * cpus
	}
	return 100 * share(now.times.busy-base.times.busy, total), nil
}

// throttledRatio is the share of throttled periods between two readings.
func throttledRatio(base, now cpuReading) Figure[float64] {
	if err := windowErr(base, now, base.throttlingErr, now.throttlingErr); err != nil {
		return Figure[float64]{Err: err}
	}
	throttled := now.throttling.throttled - base.throttling.throttled
	periods := now.throttling.periods - base.throttling.periods
	return Figure[float64]{Value: share(throttled, periods)}
}

// windowErr is why two readings make no window: the later one failed, or the window is pending, because the
// earlier one failed or is too recent.
func windowErr(base, now cpuReading, baseErr, nowErr error) error {
	switch {
	case nowErr != nil:
		return nowErr
	case baseErr != nil || now.at.Sub(base.at) < cpuMinWindow:
		return ErrPending
	}
	return nil
}

// share is part of whole, from 0 to 1 even for counters that jump or go back.
func share(part, whole float64) float64 {
	switch {
	case part <= 0:
		return 0
	case part >= whole:
		return 1
	}
	return part / whole
}

// A cpuWindow keeps two earlier readings. A new reading is compared with the old one. The young one later
// replaces the old one. So the window is neither too short nor too long.
type cpuWindow struct{ old, young cpuReading }

// advance adds a reading and returns the earlier one to compare it with. The first reading is compared with
// itself.
func (w *cpuWindow) advance(now cpuReading) (base cpuReading) {
	switch {
	case w.young.at.IsZero() || !w.young.comparable(now):
		w.old, w.young = now, now // counters of different things make no window
	case now.at.Sub(w.young.at) >= cpuRotation:
		w.old, w.young = w.young, now
	}
	// A pause has made the window long. It becomes short again as soon as the young reading is a second old.
	if now.at.Sub(w.old.at) > cpuMaxWindow && now.at.Sub(w.young.at) >= cpuMinWindow {
		return w.young
	}
	return w.old
}
