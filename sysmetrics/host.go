package sysmetrics

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/mem"
	"github.com/shirou/gopsutil/v4/net"
)

// The figures of the whole machine come from gopsutil, on every system. On Linux it reads them below
// HOST_PROC, or /proc where that is not set. It takes a context and ignores it.

// readHostCPU uses gopsutil's counters and not its Percent, which compares with the last reading of any caller in
// this process. Guest time is contained in user and nice.
func readHostCPU() (cpuTimes, error) {
	all, err := guarded(func() ([]cpu.TimesStat, error) { return cpu.Times(false) })
	if err != nil {
		return cpuTimes{}, err
	}
	if len(all) == 0 {
		return cpuTimes{}, noCPUTimes()
	}
	t := all[0]
	busy := t.User + t.Nice + t.System + t.Irq + t.Softirq + t.Steal
	return cpuTimes{busy: busy, total: busy + t.Idle + t.Iowait}, nil
}

// noCPUTimes is why cpu.Times has returned no counters: on Linux it hides every error.
func noCPUTimes() error {
	if runtime.GOOS != "linux" {
		return errors.New("the system gives no processor times")
	}
	name := procFile("stat")
	if _, err := os.ReadFile(name); err != nil {
		return err
	}
	return fmt.Errorf("%s: no counters of the processors", name)
}

// procFile is where gopsutil reads a file of /proc.
func procFile(name string) string {
	proc := os.Getenv("HOST_PROC")
	if proc == "" {
		proc = "/proc"
	}
	return filepath.Join(proc, name)
}

func readHostMemory() (hostMemory, error) {
	m, err := guarded(mem.VirtualMemory)
	if err != nil {
		return hostMemory{}, err
	}
	if m.Total == 0 {
		return hostMemory{}, errors.New("the system gives 0 bytes as its memory")
	}
	return hostMemory{total: m.Total, available: min(m.Available, m.Total)}, nil
}

// readHostConnections uses the kernel's own count. gopsutil's Connections walks every socket of every process.
func readHostConnections() (int, error) {
	counters, err := guarded(func() ([]net.ProtoCountersStat, error) { return net.ProtoCounters([]string{"tcp"}) })
	switch {
	case err != nil && runtime.GOOS != "linux":
		return 0, ErrUnsupported // gopsutil's "not implemented yet" is no value to compare with
	case err != nil:
		return 0, err
	}
	for _, c := range counters {
		if n, ok := c.Stats["CurrEstab"]; ok {
			if n < 0 || n > math.MaxInt {
				return 0, fmt.Errorf("%s: CurrEstab %d is not a count", procFile("net/snmp"), n)
			}
			return int(n), nil
		}
	}
	return 0, fmt.Errorf("%s: no CurrEstab", procFile("net/snmp"))
}

// guarded calls a function of gopsutil. Some of them panic on a file that is cut short, and that must not
// take the other figures of the sample with it.
func guarded[T any](read func() (T, error)) (value T, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("gopsutil: panic: %v", v)
		}
	}()
	return read()
}
