package sysmetrics

import (
	"context"
	"fmt"
	"time"
)

// A file system may answer in a microsecond or never, because statfs(2) on a dead NFS or FUSE mount can't be
// cancelled and blocks its thread. So every call runs in a separate goroutine. There is at most one call for
// each path at a time, and only one sample waits for each call.
const (
	// statfsMaxWait is how long a sample waits for all its disks together. Healthy disks answer in a thousandth
	// of this time. The rest is for a machine that is too busy to run the goroutines immediately.
	statfsMaxWait = 2 * time.Millisecond

	// statfsStuckAfter is the age of a call at which its file system is reported as stuck. A call that lasts
	// only longer than statfsMaxWait does not prove that, because on a busy machine the call's goroutine may not
	// have run yet. Until statfsStuckAfter, a sample has the last figures and their age.
	statfsStuckAfter = 100 * time.Millisecond
)

// space is the answer of a file system, in bytes and numbers of inodes.
type space struct {
	// free is the space that an unprivileged user can still use. Free blocks that are reserved for root are a
	// part of total, but not of free and not of used.
	total, free, used  uint64
	inodes, inodesFree uint64

	readOnly bool
	depth    int // the number of directories between the path and its mount point, or unknownDepth
}

const unknownDepth = -1

// A namedDisk is one of Options.Disks.
type namedDisk struct {
	name  string
	meter *diskMeter
}

// newDisks makes one meter for each path. Disks with the same path share the meter.
func newDisks(paths []DiskPath, statfs func(string) (space, error)) []namedDisk {
	meters := make(map[string]*diskMeter)
	var disks []namedDisk
	for _, d := range paths {
		meter := meters[d.Path]
		if meter == nil {
			meter = &diskMeter{path: d.Path, statfs: statfs}
			meters[d.Path] = meter
		}
		disks = append(disks, namedDisk{name: d.Name, meter: meter})
	}
	return disks
}

// askDisks starts a call for each path that has no unanswered call, waits for the new calls, and stores all
// answers.
func askDisks(disks []namedDisk) {
	for _, d := range disks {
		d.meter.start()
	}
	wait, cancel := context.WithTimeout(context.Background(), statfsMaxWait)
	defer cancel()
	for _, d := range disks {
		if call := d.meter.call; call != nil && !call.awaited {
			call.awaited = true
			select {
			case <-call.done:
			case <-wait.Done():
			}
		}
		d.meter.collect()
	}
}

func reportDisks(disks []namedDisk, at time.Time) []Disk {
	var report []Disk
	for _, d := range disks {
		report = append(report, d.meter.report(d.name, at))
	}
	return report
}

// A diskMeter measures the space of the file system at one path. Only the unfinished run uses it.
type diskMeter struct {
	path   string
	statfs func(string) (space, error)
	call   *statfsCall  // the unanswered call, or nil
	last   statfsAnswer // the last answer; zero if there was none
	mount  mountHistory
}

// A mountHistory records how a path was mounted in earlier answers. The zero value means that there was no
// answer yet.
type mountHistory struct {
	seen     bool
	depth    int  // depth of the nearest mount point that the path has had, or unknownDepth
	writable bool // whether this mount was writable in any answer
}

// note adds an answer. If a new mount point is nearer to the path than the earlier one, a new history begins.
// If the path's file system was unmounted, the answer comes from the file system above, so that note does not
// record whether it is writable.
func (h *mountHistory) note(s space) {
	if !h.seen || s.depth != unknownDepth && s.depth < h.depth {
		*h = mountHistory{seen: true, depth: s.depth}
	}
	if h.depth == unknownDepth {
		h.depth = s.depth
	}
	if !s.readOnly && !h.unmounted(s) {
		h.writable = true
	}
}

// unmounted reports whether the nearest earlier mount point of the path is no longer a mount point.
func (h *mountHistory) unmounted(s space) bool { return h.depth != unknownDepth && s.depth > h.depth }

type statfsCall struct {
	started time.Time
	awaited bool          // whether a sample has waited for the call; later samples do not wait
	overdue bool          // whether a later sample has found the call unanswered
	done    chan struct{} // closed when answer is written
	answer  statfsAnswer
}

type statfsAnswer struct {
	at    time.Time
	space space
	err   error
}

// start starts a call, unless an earlier call is unanswered.
func (d *diskMeter) start() {
	d.collect()
	if d.call != nil {
		d.call.overdue = d.call.awaited
		return
	}
	call := &statfsCall{started: time.Now(), done: make(chan struct{})}
	d.call = call
	go func() {
		defer close(call.done)
		s, err := d.statfs(d.path)
		call.answer = statfsAnswer{at: time.Now(), space: s, err: err}
	}()
}

// collect stores the answer of the call if the call has ended.
func (d *diskMeter) collect() {
	if d.call == nil {
		return
	}
	select {
	case <-d.call.done:
		d.last, d.call = d.call.answer, nil
		if d.last.err == nil {
			d.mount.note(d.last.space)
		}
	default:
	}
}

// report returns the Disk for the last answer, which may come from an earlier call.
func (d *diskMeter) report(name string, at time.Time) Disk {
	disk := Disk{Name: name, Path: d.path, Stuck: d.stuck(at)}
	never := d.last.at.IsZero()
	if !never {
		disk.Age = at.Sub(d.last.at)
	}
	switch {
	case never && disk.Stuck:
		disk.Err = fmt.Errorf("statfs %s: no answer for %v", d.path, at.Sub(d.call.started).Round(time.Millisecond))
	case never:
		disk.Err = ErrPending
	case d.last.err != nil:
		disk.Err = d.last.err
	case d.mount.unmounted(d.last.space):
		disk.Err = fmt.Errorf("%s: %w", d.path, ErrUnmounted)
	default:
		disk.fill(d.last.space)
		disk.BecameReadOnly = disk.ReadOnly && d.mount.writable
		return disk
	}
	disk.InodesPercent.Err = disk.Err
	return disk
}

// stuck reports whether two samples have found the call unanswered. The first of them does not prove that the
// file system is stuck. A control group with a used-up quota, for example, may have stopped this process
// between the call and the check.
func (d *diskMeter) stuck(at time.Time) bool {
	return d.call != nil && d.call.overdue && at.Sub(d.call.started) >= statfsStuckAfter
}

// fill sets the figures, computed as df computes them.
func (d *Disk) fill(s space) {
	d.ReadOnly = s.readOnly
	if s.used+s.free == 0 {
		d.Err = ErrUnsupported // pseudo file systems such as /proc have no size
	} else {
		d.Percent = 100 * share(float64(s.used), float64(s.used)+float64(s.free))
		d.FreeBytes, d.TotalBytes = s.free, s.total
	}
	if s.inodes == 0 {
		d.InodesPercent.Err = ErrUnsupported
	} else {
		d.InodesPercent.Value = 100 * share(float64(s.inodes)-float64(s.inodesFree), float64(s.inodes))
	}
}
