package sysmetrics

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

func thisMachine() machine {
	files := rootFS{}
	return machine{
		files:  files,
		cpu:    func() (cpuTimes, error) { return procStat(files) },
		memory: func() (hostMemory, error) { return procMeminfo(files) },
		statfs: statfs,
	}
}

// rootFS is os.DirFS("/") for files that never block. os.Open would enter each of them into
// the runtime's poller and take it out again, which doubles the price of reading it.
type rootFS struct{}

func (r rootFS) Open(name string) (fs.File, error) {
	d, err := r.descriptor(name)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(d.fd), name), nil
}

// open spares making an os.File, which costs as much as reading a short file.
func (r rootFS) open(name string) (io.ReadCloser, error) {
	return r.descriptor(name)
}

func (rootFS) descriptor(name string) (descriptor, error) {
	if !fs.ValidPath(name) {
		return descriptor{}, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	fd, err := uninterrupted(func() (int, error) { return unix.Open("/"+name, unix.O_RDONLY|unix.O_CLOEXEC, 0) })
	if err != nil {
		return descriptor{}, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return descriptor{fd: fd, name: name}, nil
}

// A descriptor is an open file, which one goroutine reads.
type descriptor struct {
	fd   int
	name string
}

func (d descriptor) Read(p []byte) (int, error) {
	n, err := uninterrupted(func() (int, error) { return unix.Read(d.fd, p) })
	switch {
	case err != nil:
		return 0, &fs.PathError{Op: "read", Path: d.name, Err: err}
	case n == 0 && len(p) > 0:
		return 0, io.EOF
	}
	return n, nil
}

func (d descriptor) Close() error { return unix.Close(d.fd) }

// uninterrupted calls again where a signal came in between, such as those by which Go preempts goroutines.
func uninterrupted(call func() (int, error)) (int, error) {
	for {
		if n, err := call(); !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

// Stat spares opening the file, which matters when it is the directory of open files.
func (rootFS) Stat(name string) (fs.FileInfo, error) { return os.Stat("/" + name) }

// procStat reads the counters here rather than through gopsutil, whose package cpu
// reads them twice in its init already, for everybody who imports it.
//
// The line is "cpu", then user nice system idle iowait irq softirq steal in ticks, see
// proc_stat(5). The two that follow, for guests, are contained in user and nice.
func procStat(files fs.FS) (cpuTimes, error) {
	const name, idle, iowait, steal = "proc/stat", 3, 4, 7
	text, err := readHead(files, name, 512) // it is the first line; the rest grows with the machine
	if err != nil {
		return cpuTimes{}, err
	}
	line, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(line)
	if len(fields) <= 1+steal || fields[0] != "cpu" {
		return cpuTimes{}, fmt.Errorf("%s: %.40q is not the line of all processors", name, line)
	}
	var t cpuTimes
	for i, field := range fields[1 : 2+steal] {
		ticks, err := parseCount(name, field)
		if err != nil {
			return cpuTimes{}, err
		}
		t.total += float64(ticks)
		if i != idle && i != iowait {
			t.busy += float64(ticks)
		}
	}
	return t, nil
}

// procMeminfo reads the two lines that matter. gopsutil's package mem reads all fifty, which takes longer than the rest of a
// sample, and makes every program 32 KB larger. MemAvailable is the kernel's own estimate, see proc_meminfo(5).
func procMeminfo(files fs.FS) (hostMemory, error) {
	const name = "proc/meminfo"
	text, err := readFile(files, name)
	if err != nil {
		return hostMemory{}, err
	}
	total, err := kilobytes(name, text, "MemTotal:")
	if err != nil {
		return hostMemory{}, err
	}
	available, err := kilobytes(name, text, "MemAvailable:")
	if err != nil {
		return hostMemory{}, err
	}
	if total == 0 {
		return hostMemory{}, fmt.Errorf("%s: MemTotal is 0", name)
	}
	return hostMemory{total: total << 10, available: min(available, total) << 10}, nil
}

// kilobytes finds the line "KEY   COUNT kB" in a file's text.
func kilobytes(name, text, key string) (uint64, error) {
	for line := range strings.Lines(text) {
		if k, v, _ := strings.Cut(line, " "); k == key {
			n, err := parseCount(name, strings.TrimSuffix(strings.TrimSpace(v), " kB"))
			if err == nil && n > math.MaxInt64>>10 {
				err = fmt.Errorf("%s: %s %d kB is more than any machine has", name, key, n)
			}
			return n, err
		}
	}
	return 0, fmt.Errorf("%s: %s %w", name, key, errNoKey)
}
