package sysmetrics

// measureMemory returns the machine's memory, or the memory that a tighter limit allows.
func (s *Sampler) measureMemory() Memory {
	m := s.machineMemory()
	m.OOMKills = s.oomKills()
	return m
}

func (s *Sampler) machineMemory() Memory {
	if s.cgroupErr != nil {
		return Memory{Err: s.cgroupErr}
	}
	host, err := s.machine.memory()
	if err := s.found.memory.explain(err); err != nil {
		return Memory{Err: err}
	}
	limit, err := s.cgroup.tightestMemory(host.total)
	if err != nil {
		return Memory{Err: err}
	}
	m := Memory{
		AvailableBytes: min(host.available, limit.room, limit.total),
		TotalBytes:     limit.total,
		Source:         Host,
	}
	if limit.total < host.total {
		m.Source = Cgroup
	}
	m.Percent = 100 * share(float64(m.TotalBytes-m.AvailableBytes), float64(m.TotalBytes))
	return m
}

func (s *Sampler) oomKills() Figure[uint64] {
	if s.cgroupErr != nil {
		return Figure[uint64]{Err: s.cgroupErr}
	}
	kills, err := s.cgroup.oomKills()
	return Figure[uint64]{Value: kills, Err: err}
}
