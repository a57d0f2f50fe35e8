package sysmetrics

import (
	"time"
)

const (
	// cpuMinWindow is the shortest window that is published. The kernel counts in ticks of 10 ms, so the figure
	// of a much shorter window would be too coarse.
	cpuMinWindow = time.Second

	// cpuRotation is the age of cpuWindow.young at which a new reading replaces it.
	cpuRotation = 5 * time.Second

	// cpuMaxWindow is the longest window if samples are taken steadily. The window is longer only after a pause.
	cpuMaxWindow = 3 * cpuRotation
)

// A cpuReading holds the counters at one moment. The time between two readings is a window.
type cpuReading struct {
	at    time.Time
	quota quota // the zero quota means that the counters are the machine's

	times    cpuTimes // with a quota, only busy is set, in seconds
	timesErr error

	throttling    throttling
	throttlingErr error
}

// throttling counts the periods of a quota, and the periods in which the group was stopped because it had
// used up the quota.
type throttling struct{ periods, throttled float64 }

// measureCPU reads the counters and compares them with an earlier reading.
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

// readCPU reads the counters of the group that has the quota. Without a quota it reads the machine's
// counters.
func (s *Sampler) readCPU(limit quota) cpuReading {
	if limit.cpus > 0 {
		return s.cgroup.readCPU(limit)
	}
	times, err := s.machine.cpu()
	err = s.found.cpu.explain(err)
	return cpuReading{at: time.Now(), times: times, timesErr: err, throttlingErr: ErrUnsupported}
}

// comparable reports whether the counters of two readings are about the same group, or about the same
// processors.
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

// cpuPercent returns the busy percentage of the window between two readings.
func cpuPercent(base, now cpuReading) (float64, error) {
	if err := windowErr(base, now, base.timesErr, now.timesErr); err != nil {
		return 0, err
	}
	if base.times.of != now.times.of {
		return 0, ErrPending
	}
	total := now.times.total - base.times.total
	if now.quota.cpus > 0 {
		// If the quota exceeds the number of usable processors, only this number limits the process.
		cpus := min(now.quota.cpus, float64(usableCPUs()))
		total = now.at.Sub(base.at).Seconds() * cpus
	}
	return 100 * share(now.times.busy-base.times.busy, total), nil
}

// throttledRatio returns the share of periods between two readings in which the group was throttled.
func throttledRatio(base, now cpuReading) Figure[float64] {
	if err := windowErr(base, now, base.throttlingErr, now.throttlingErr); err != nil {
		return Figure[float64]{Err: err}
	}
	throttled := now.throttling.throttled - base.throttling.throttled
	periods := now.throttling.periods - base.throttling.periods
	return Figure[float64]{Value: share(throttled, periods)}
}

// windowErr returns why there is no figure for the window between two readings. If the later reading failed,
// the result is its error. If the earlier reading failed or is too recent, the result is ErrPending.
func windowErr(base, now cpuReading, baseErr, nowErr error) error {
	switch {
	case nowErr != nil:
		return nowErr
	case baseErr != nil || now.at.Sub(base.at) < cpuMinWindow:
		return ErrPending
	}
	return nil
}

// share returns part divided by whole. The result is between 0 and 1 even if a counter jumps or goes back.
func share(part, whole float64) float64 {
	switch {
	case part <= 0:
		return 0
	case part >= whole:
		return 1
	}
	return part / whole
}

// A cpuWindow keeps two earlier readings. New readings are compared with old. When young is as old as
// cpuRotation, it replaces old. So the window is neither too short nor too long.
type cpuWindow struct{ old, young cpuReading }

// advance adds a reading and returns the earlier reading to compare it with. The first reading is returned
// itself.
func (w *cpuWindow) advance(now cpuReading) (base cpuReading) {
	switch {
	case w.young.at.IsZero() || !w.young.comparable(now):
		// Readings of different counters can't be compared, so a new window begins.
		w.old, w.young = now, now
	case now.at.Sub(w.young.at) >= cpuRotation:
		w.old, w.young = w.young, now
	}
	// After a pause in sampling, the window since old is too long. The window since young is used as soon as it
	// has the minimum length.
	if now.at.Sub(w.old.at) > cpuMaxWindow && now.at.Sub(w.young.at) >= cpuMinWindow {
		return w.young
	}
	return w.old
}
