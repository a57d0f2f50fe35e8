package sysmetrics

import (
	"context"
	"fmt"
	"time"
)

// A file system may answer in a microsecond or never: statfs(2) on a dead NFS or FUSE
// mount cannot be cancelled and holds its thread. So every call runs in a goroutine of its
// own, there is one at most for each path, and nobody waits for it twice.
const (
	// statfsPatience is how long a sample waits for all its disks together. Healthy ones
	// need a thousandth of it; the rest is for a busy scheduler.
	statfsPatience = 2 * time.Millisecond

	// statfsStuckAfter separates a late answer from none. Being out of patience proves
	// nothing on a busy machine, where the goroutine may not have run yet: until then the
	// last figures are given, with their age.
	statfsStuckAfter = 100 * time.Millisecond
)

// space is what a file system says of itself, in bytes and inodes.
type space struct {
	total, free, used  uint64 // free for an unprivileged user; reserved blocks are in total alone
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

// newDisks gives names of the same path the same meter.
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

// askDisks starts a call for each path that has none out, waits for these, and takes in all
// answers.
func askDisks(disks []namedDisk) {
	for _, d := range disks {
		d.meter.start()
	}
	patience, cancel := context.WithTimeout(context.Background(), statfsPatience)
	defer cancel()
	for _, d := range disks {
		if call := d.meter.call; call != nil && !call.awaited {
			call.awaited = true
			select {
			case <-call.done:
			case <-patience.Done():
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

// A diskMeter asks one path. Only the sampler's run touches it.
type diskMeter struct {
	path   string
	statfs func(string) (space, error)
	call   *statfsCall  // the one that is out, or nil
	last   statfsAnswer // of the last call that came back
	mount  mountHistory
}

// A mountHistory is what earlier answers have told about the mount of a path. The zero value is none.
type mountHistory struct {
	seen     bool
	depth    int  // of the nearest mount point that the path has had, or unknownDepth
	writable bool // that mount was writable at some time
}

// note takes in an answer. A mount that comes later, nearer to the path, begins a new history. What is above
// it, where it is unmounted, does not belong to it.
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

// unmounted reports whether the path has had a mount point of its own that it has no more.
func (h *mountHistory) unmounted(s space) bool { return h.depth != unknownDepth && s.depth > h.depth }

type statfsCall struct {
	started time.Time
	awaited bool          // a sample has waited for it; later ones only look
	overdue bool          // a later sample has found it still out
	done    chan struct{} // closed when answer is written
	answer  statfsAnswer
}

type statfsAnswer struct {
	at    time.Time
	space space
	err   error
}

// start asks, unless an earlier call is still out.
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

// collect takes the answer in if there is one.
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

// report gives the last answer, fresh or not.
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

// stuck takes no sample's word alone: this process may itself have been stopped for a while
// between asking and looking, as in a control group that has used up its quota.
func (d *diskMeter) stuck(at time.Time) bool {
	return d.call != nil && d.call.overdue && at.Sub(d.call.started) >= statfsStuckAfter
}

// fill computes as df does.
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
