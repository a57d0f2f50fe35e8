package sysmetrics

import (
	"context"
	"fmt"
	"time"
)

// A file system may answer in a microsecond or never: statfs(2) on a dead NFS or FUSE mount cannot be
// cancelled and blocks its thread. So every call runs in a goroutine of its own. There is at most one for
// each path, and only one sample waits for it.
const (
	// statfsMaxWait is how long a sample waits for all its disks together. Healthy ones need a thousandth of
	// it; the rest is for a busy scheduler.
	statfsMaxWait = 2 * time.Millisecond

	// statfsStuckAfter is the age of a call at which its file system is reported as stuck. The end of
	// statfsMaxWait proves nothing, because on a busy machine the goroutine may not have run yet. Until then
	// a sample has the last figures, with their age.
	statfsStuckAfter = 100 * time.Millisecond
)

// space is the answer of a file system, in bytes and inodes.
type space struct {
	total, free, used  uint64 // free is for an unprivileged user; reserved blocks are only in total
	inodes, inodesFree uint64

	readOnly bool
	depth    int // how many directories the path is below its mount point, or unknownDepth
}

const unknownDepth = -1

// A namedDisk is a file system under its name.
type namedDisk struct {
	name  string
	meter *diskMeter
}

// newDisks makes one meter for each path. Names of the same path share it.
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

// askDisks starts a call for each path without an unanswered one, waits for the new calls, and collects all
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

// A diskMeter asks for the space of one path. Only the unfinished run uses it.
type diskMeter struct {
	path   string
	statfs func(string) (space, error)
	call   *statfsCall  // the unanswered one, or nil
	last   statfsAnswer // of the last call that was answered
	mount  mountHistory
}

// A mountHistory records the mount of a path in earlier answers. The zero value means that there was no
// answer.
type mountHistory struct {
	seen     bool
	depth    int  // of the nearest mount point that the path has had, or unknownDepth
	writable bool // that mount was writable at some time
}

// note adds an answer. A mount that comes later and is nearer to the path begins a new history. The file
// system above an unmounted one is not part of its history.
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
	awaited bool          // a sample has waited for it; later samples do not wait
	overdue bool          // a later sample has found it unanswered
	done    chan struct{} // closed when answer is written
	answer  statfsAnswer
}

type statfsAnswer struct {
	at    time.Time
	space space
	err   error
}

// start makes a call, unless an earlier one is unanswered.
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

// collect stores the answer of the call, if there is one.
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

// report makes a Disk of the last answer, fresh or not.
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

// stuck reports whether two samples have found the call unanswered. One proves nothing: this process may
// itself have been stopped between the call and the check, as in a control group that has used up its quota.
func (d *diskMeter) stuck(at time.Time) bool {
	return d.call != nil && d.call.overdue && at.Sub(d.call.started) >= statfsStuckAfter
}

// fill computes the figures as df does.
func (d *Disk) fill(s space) {
	d.ReadOnly = s.readOnly
	if s.used+s.free == 0 {
		d.Err = ErrUnsupported // /proc and the like have no size
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
