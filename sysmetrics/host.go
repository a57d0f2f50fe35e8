package sysmetrics

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/mem"
	"github.com/shirou/gopsutil/v4/net"
)

// On every system, the figures of the whole machine come from gopsutil. On Linux, gopsutil reads them below
// the directory HOST_PROC, or below /proc if HOST_PROC is not set. Its functions ignore the context that they
// take.

// readHostCPU adds up the counters of the processors that this process may run on. It ignores other
// processors, because the process can't use them. It does not use gopsutil's Percent, because Percent
// compares with the last call in this process, which another package may have made. User and Nice include
// guest time.
func readHostCPU() (sum cpuTimes, err error) {
	all, err := hostTimes()
	if err != nil {
		return cpuTimes{}, err
	}
	var of strings.Builder
	for _, t := range usable(all, affinity()) {
		busy := t.User + t.Nice + t.System + t.Irq + t.Softirq + t.Steal
		sum.busy += busy
		sum.total += busy + t.Idle + t.Iowait
		of.WriteString(t.CPU)
	}
	sum.of = of.String()
	return sum, nil
}

// hostTimes returns the counters of each processor on Linux. On other systems it returns one element with the
// sum of all processors. It also does so in a Linux sandbox that shows only the sum.
func hostTimes() (all []cpu.TimesStat, err error) {
	if runtime.GOOS == "linux" {
		err = contain(func() (err error) { all, err = cpu.Times(true); return err })
	}
	if err == nil && len(all) == 0 {
		err = contain(func() (err error) { all, err = cpu.Times(false); return err })
	}
	if err == nil && len(all) == 0 {
		err = noCPUTimes()
	}
	return all, err
}

// usable returns the elements of all whose processors are in set. A nil set contains every processor. If all
// has no more elements than set, usable returns all, because lxcfs in a container shows the processors of the
// set under other numbers.
func usable(all []cpu.TimesStat, set processors) []cpu.TimesStat {
	if set == nil || len(all) <= set.Count() {
		return all
	}
	var kept []cpu.TimesStat
	for _, t := range all {
		number, err := strconv.Atoi(strings.TrimPrefix(t.CPU, "cpu"))
		if err == nil && set.IsSet(number) {
			kept = append(kept, t)
		}
	}
	if len(kept) == 0 {
		return all
	}
	return kept
}

// processors is a set of processor numbers.
type processors interface {
	Count() int
	IsSet(number int) bool
}

// usableCPUs returns how many processors this process may run on. A change of the process's cpuset can change
// this number.
func usableCPUs() int {
	if set := affinity(); set != nil {
		return set.Count()
	}
	return runtime.NumCPU()
}

// noCPUTimes returns the reason why cpu.Times has returned no counters. On Linux, cpu.Times hides every
// error.
func noCPUTimes() error {
	if runtime.GOOS != "linux" {
		return errors.New("the operating system reports no CPU times")
	}
	name := procFile("stat")
	if _, err := os.ReadFile(name); err != nil {
		return err
	}
	return fmt.Errorf("%s: there are no CPU counters in it", name)
}

// presence records whether a figure of the machine was ever read. So explain can distinguish a file that is
// hidden on purpose from a file that has failed.
type presence struct{ known bool }

// explain wraps err in ErrUnsupported if the figure's file never existed. This is so if /proc is mounted with
// subset=pid or not at all. If HOST_PROC names a directory that does not exist, this is a mistake, so the
// error does not wrap ErrUnsupported.
func (p *presence) explain(err error) error {
	if err == nil {
		p.known = true
	}
	if p.known || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if dir := os.Getenv("HOST_PROC"); dir != "" {
		if _, wrong := os.Stat(dir); wrong != nil {
			return fmt.Errorf("HOST_PROC: %w", wrong)
		}
	}
	return fmt.Errorf("%w: %w", ErrUnsupported, err)
}

// procFile returns the path at which gopsutil reads the file name of /proc.
func procFile(name string) string {
	proc := os.Getenv("HOST_PROC")
	if proc == "" {
		proc = "/proc"
	}
	return filepath.Join(proc, name)
}

func readHostMemory() (hostMemory, error) {
	var m *mem.VirtualMemoryStat
	err := contain(func() (err error) { m, err = mem.VirtualMemory(); return err })
	if err != nil {
		return hostMemory{}, err
	}
	if m.Total == 0 {
		return hostMemory{}, errors.New("the system gives 0 bytes as its memory")
	}
	return hostMemory{total: m.Total, available: min(m.Available+zfsCache(), m.Total)}, nil
}

// readHostConnections reads the number that the kernel keeps. It does not use gopsutil's Connections, which
// walks every socket of every process.
func readHostConnections() (int, error) {
	var counters []net.ProtoCountersStat
	err := contain(func() (err error) { counters, err = net.ProtoCounters([]string{"tcp"}); return err })
	switch {
	case err != nil && runtime.GOOS != "linux":
		return 0, ErrUnsupported // gopsutil exports no variable for its error "not implemented yet"
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
	return 0, fmt.Errorf("%s: the TCP counter CurrEstab is missing", procFile("net/snmp"))
}

// contain calls a function of gopsutil and turns its panic into an error. Some functions panic on a truncated
// file, and the other figures of the sample must not be lost then.
func contain(read func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("gopsutil: panic: %v", v)
		}
	}()
	return read()
}
