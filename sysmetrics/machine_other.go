//go:build !linux

package sysmetrics

import (
	"errors"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/mem"
)

func thisMachine() machine {
	return machine{cpu: readHostCPU, memory: readHostMemory, statfs: statfs}
}

// readHostCPU uses gopsutil's counters, never its Percent: that compares with the last
// reading of whoever asked in this process.
func readHostCPU() (cpuTimes, error) {
	all, err := cpu.Times(false)
	if err != nil {
		return cpuTimes{}, err
	}
	if len(all) == 0 {
		return cpuTimes{}, errors.New("the system gives no processor times")
	}
	t := all[0]
	busy := t.User + t.Nice + t.System + t.Irq + t.Softirq + t.Steal
	return cpuTimes{busy: busy, total: busy + t.Idle + t.Iowait}, nil
}

func readHostMemory() (hostMemory, error) {
	m, err := mem.VirtualMemory()
	if err != nil {
		return hostMemory{}, err
	}
	if m.Total == 0 {
		return hostMemory{}, errors.New("the system gives 0 bytes as its memory")
	}
	return hostMemory{total: m.Total, available: m.Available}, nil
}
