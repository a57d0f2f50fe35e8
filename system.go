package echohealth

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/echo-probes/echohealth/internal/engine"
	"github.com/echo-probes/echohealth/internal/reason"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/sysmetrics"
)

// system measures the system metrics and compares them with their thresholds.
type system struct {
	config  *config
	sampler *sysmetrics.Sampler
	changed func([]engine.Change) // called in order with at least one change; it must not block

	background sync.WaitGroup // waits for the goroutine of startMeasurement

	mu        sync.Mutex // guards the fields below
	last      *metrics
	recorded  []*metricRecorder
	measuring bool // the goroutine of startMeasurement is running
	started   bool // there was a CPU window that is long enough to be compared with the threshold
	closed    bool
}

// metrics holds the results for one sample: a Check for each metric. It must not be changed.
type metrics struct {
	sample    *sysmetrics.Sample
	checks    []Check
	errs      []error     // one for each of checks, nil if it is OK
	changedAt []time.Time // one for each of checks: since when it has had its status and its reason
	at        time.Time   // the sample's At, or that of the previous sample if it is later
}

func newSystem(c *config, changed func([]engine.Change)) (*system, error) {
	sampler, err := sysmetrics.New(sysmetrics.Options{Disks: c.disks})
	if err != nil {
		return nil, err
	}
	return &system{config: c, sampler: sampler, changed: changed}, nil
}

// names returns the metrics' names in the order of the answers.
func (s *system) names() []string {
	names := []string{"cpu", "memory"}
	for _, disk := range s.config.disks {
		names = append(names, disk.Name)
	}
	return append(names, "connections", "process")
}

// hasCritical reports whether the i-th metric can be an error.
func (s *system) hasCritical(i int) bool {
	c := s.config
	switch disks := len(c.disks); {
	case i == 0:
		return c.cpu.critical != Never
	case i == 1:
		return c.memory.critical != Never
	case i < 2+disks:
		return c.disk.critical != Never
	case i == 2+disks:
		return c.connections.critical != Never
	}
	return false
}

// percentages returns the thresholds of the i-th metric if they are percentages, otherwise nil.
func (s *system) percentages(i int) *levels {
	c := s.config
	switch disks := len(c.disks); {
	case i == 0:
		return &c.cpu
	case i == 1:
		return &c.memory
	case i < 2+disks:
		return &c.disk
	}
	return nil
}

// metricRecorder is called for each metric of a sample.
type metricRecorder func(i int, check *Check, at time.Time)

// record calls f for each metric of each later sample, with s.mu held, until remove is called. Repeated use
// is additive.
func (s *system) record(f metricRecorder) (remove func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recorded = append(s.recorded, &f)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.recorded = slices.DeleteFunc(s.recorded, func(r *metricRecorder) bool { return r == &f })
	}
}

// read returns the metrics, at most a second old. If it returns the same pointer again, there was no new
// measurement.
func (s *system) read() *metrics { return s.take(s.sampler.Sample()) }

// startMeasurement starts a measurement if one is due, and does not wait for it. Changes are reported as by
// read.
func (s *system) startMeasurement() {
	if s.sampler.Fresh() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.measuring || s.closed {
		return
	}
	s.measuring = true
	s.background.Go(func() {
		s.read()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.measuring = false
	})
}

// close makes startMeasurement start no further measurement, and waits for one that is running. It takes no
// longer than read.
func (s *system) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.background.Wait()
}

// take judges a sample, unless it or a newer one has been judged already, and reports what changed.
func (s *system) take(sample *sysmetrics.Sample) *metrics {
	s.mu.Lock()
	last := s.last
	if last != nil && (last.sample == sample || last.sample.Seq > sample.Seq) {
		s.mu.Unlock()
		return last
	}
	next := s.judge(sample)
	changes := next.diff(last)
	s.last = next
	for _, record := range s.recorded {
		for i := range next.checks {
			(*record)(i, &next.checks[i], next.at)
		}
	}
	if len(changes) > 0 {
		s.changed(changes)
	}
	s.mu.Unlock()
	return next
}

func (s *system) judge(sample *sysmetrics.Sample) *metrics {
	m := &metrics{sample: sample}
	cpu, memory, connections, process := sample.CPU, sample.Memory, sample.Connections, sample.Process
	m.add("cpu", cpuDetails(cpu), s.cpuLevels(cpu), cpu.Err, figure{cpu.Percent, "%", "of the CPU is in use"})
	m.markStale(sample.Stuck, sample.Age)
	m.add("memory", memoryDetails(memory), s.config.memory, memory.Err,
		figure{memory.Percent, "%", "of the memory is in use"})
	m.markStale(sample.Stuck, sample.Age)
	for _, disk := range sample.Disks {
		m.add(disk.Name, diskDetails(disk), s.config.disk, disk.Err, diskFigures(disk)...)
		if disk.BecameReadOnly {
			m.warn(probes.ReasonReadOnly, fmt.Errorf("the file system of %s has become read-only", disk.Path))
		}
		m.markStale(disk.Stuck, disk.Age)
	}
	m.add("connections", connectionsDetails(connections), s.config.connections, connections.Err,
		figure{float64(connections.Active), "", "TCP connections are established"})
	m.markStale(sample.Stuck, sample.Age)
	m.add("process", processDetails(process), levels{openFilesWarning, Never}, nil,
		figure{openFiles(process), "%", "of the open files that the process may have are in use"})
	m.markStale(sample.Stuck, sample.Age)
	return m
}

// figure is a value that is compared with a threshold.
type figure struct {
	value float64
	unit  string
	of    string // follows the value in an error, such as "of the CPU is in use"
}

// add adds a metric and judges it by the worst of its figures. If it can't be read, it is a warning. If it
// does not exist on this system, or is not measured yet, it is OK and has no figures.
func (m *metrics) add(name string, details []slog.Attr, l levels, err error, figures ...figure) {
	check := Check{Name: name, Status: probes.OK, Details: details, metric: true}
	switch {
	case errors.Is(err, sysmetrics.ErrPending), errors.Is(err, sysmetrics.ErrUnsupported):
		err = nil
	case errors.Is(err, sysmetrics.ErrUnmounted):
		check.Status, check.Reason = probes.Warning, probes.ReasonUnmounted
	case err != nil:
		check.Status, check.Reason = probes.Warning, reason.Of(err)
	default:
		check.Status, err = l.judge(figures)
		if err != nil {
			check.Reason = probes.ReasonAboveThreshold
		}
	}
	m.checks = append(m.checks, check)
	m.errs = append(m.errs, err)
}

// judge returns the status of the worst figure, and an error that names the threshold which that figure
// exceeds. Of equally bad figures it uses the first.
func (l levels) judge(figures []figure) (status probes.Status, err error) {
	status = probes.OK
	for _, f := range figures {
		switch {
		case f.value > l.critical && status != probes.Error:
			status, err = probes.Error, f.above("critical", l.critical)
		case f.value > l.warning && status == probes.OK:
			status, err = probes.Warning, f.above("warning", l.warning)
		}
	}
	return status, err
}

func (f figure) above(level string, threshold float64) error {
	value := round1(f.value)
	if value <= threshold {
		value = f.value
	}
	return fmt.Errorf("%s%s %s, more than the %s threshold of %s%s",
		decimal(value), f.unit, f.of, level, decimal(threshold), f.unit)
}

// decimal writes a number without an exponent.
func decimal(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// diskFigures returns the percentages that are compared with the thresholds: the used blocks and the used
// inodes. Without a free inode no file can be created, even if blocks are free. For a read-only image there
// are none, because an image is always full and nothing is written to it. A full file system that has become
// read-only is no image, and is not better than before.
func diskFigures(disk sysmetrics.Disk) []figure {
	if disk.ReadOnly && !disk.BecameReadOnly && disk.FreeBytes == 0 {
		return nil
	}
	figures := []figure{{disk.Percent, "%", "of the file system of " + disk.Path + " is in use"}}
	if disk.InodesPercent.Err == nil {
		inodes := "of the inodes of the file system of " + disk.Path + " are in use"
		figures = append(figures, figure{disk.InodesPercent.Value, "%", inodes})
	}
	return figures
}

// oldAge is the age of its figures from which on a metric shows age_seconds.
const oldAge = 5 * time.Second

// markStale adds age_seconds to the metric that was added last if its figures are old. If stuck is true, the
// source of the figures does not answer, and markStale also makes the metric a warning. It does not warn only
// because of the age, because there may have been no look for a long time.
func (m *metrics) markStale(stuck bool, age time.Duration) {
	check := &m.checks[len(m.checks)-1]
	if len(check.Details) > 0 && (age >= oldAge || stuck && age > 0) {
		check.Details = append(check.Details, slog.Float64("age_seconds", round1(age.Seconds())))
	}
	if stuck {
		m.warn(probes.ReasonStuck, noAnswer(age))
	}
}

// warn makes the metric that was added last a warning for this reason, unless it is an error already.
func (m *metrics) warn(reason probes.Reason, err error) {
	last := len(m.checks) - 1
	if check := &m.checks[last]; check.Status != probes.Error {
		check.Status, check.Reason, m.errs[last] = probes.Warning, reason, err
	}
}

// noAnswer returns the error of a metric that is stuck. age is the age of its figures, or zero if it has
// none.
func noAnswer(age time.Duration) error {
	if age == 0 {
		return errors.New("no answer")
	}
	return fmt.Errorf("no answer; the last one is %v old", age.Round(time.Millisecond))
}

// diff sets the times in the checks of m, and returns the changes since before, which is nil for the first
// sample.
func (m *metrics) diff(before *metrics) []engine.Change {
	var changes []engine.Change
	now := m.sample.At
	if before != nil && before.at.After(now) {
		now = before.at
	}
	m.at = now
	for i := range m.checks {
		check := &m.checks[i]
		old, changedAt := Check{Since: now}, now
		if before != nil {
			old, changedAt = before.checks[i], before.changedAt[i]
		}
		check.Since, check.LastOK = now, old.LastOK
		if old.Status == check.Status {
			check.Since = old.Since
		}
		if check.Status == probes.OK {
			check.LastOK = now
		}
		if old.Status != check.Status || old.Reason != check.Reason {
			changes = append(changes, engine.Change{
				Check: check.Name, From: old.Status, To: check.Status, Reason: check.Reason,
				Lasted: now.Sub(changedAt), Err: m.errs[i], At: now,
			})
			changedAt = now
		}
		m.changedAt = append(m.changedAt, changedAt)
	}
	return changes
}

// stale returns the metrics of a Health that was closed at the time at. Each is an Error with ReasonStale.
func (s *system) stale(at time.Time) *metrics {
	last := s.lastMetrics()
	m := &metrics{}
	for _, before := range last.checks {
		check := Check{
			Name: before.Name, Status: probes.Error, Reason: probes.ReasonStale, metric: true,
			Since: at, LastOK: before.LastOK,
		}
		if before.Status == probes.Error {
			check.Since = before.Since
		}
		m.checks, m.errs = append(m.checks, check), append(m.errs, nil)
	}
	return m
}

// lastMetrics returns the last metrics, however old, and measures nothing. Before the first measurement their
// Status is empty.
func (s *system) lastMetrics() *metrics {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last != nil {
		return s.last
	}
	m := &metrics{}
	for _, name := range s.names() {
		m.checks, m.errs = append(m.checks, Check{Name: name, metric: true}), append(m.errs, nil)
	}
	return m
}

// details collects members of a metric's object.
type details []slog.Attr

// figure adds a number, unless err is set.
func (d *details) figure(key string, value float64, err error) {
	if err == nil {
		*d = append(*d, slog.Float64(key, round1(value)))
	}
}

// count adds a whole number, unless err is set.
func (d *details) count(key string, n int, err error) {
	if err == nil {
		*d = append(*d, slog.Int(key, n))
	}
}

// megabytes adds a size in MiB, unless err is set.
func (d *details) megabytes(key string, bytes uint64, err error) {
	if err == nil {
		*d = append(*d, slog.Uint64(key, bytes>>20))
	}
}

// startWindow is the shortest first window whose CPU use is compared with the threshold. A process that
// starts keeps a CPU busy for a second or two, which is no reason for a warning.
const startWindow = 5 * time.Second

// cpuLevels returns the threshold, or none during the start. Later windows may be as short as a second, after
// a pause in sampling, and are compared like all others. s.mu is held.
func (s *system) cpuLevels(cpu sysmetrics.CPU) levels {
	s.started = s.started || cpu.Window >= startWindow
	if !s.started {
		return levels{Never, Never}
	}
	return s.config.cpu
}

func cpuDetails(cpu sysmetrics.CPU) (d details) {
	d.figure("percent", cpu.Percent, cpu.Err)
	d.count("count", cpu.Count, nil)
	if cpu.LimitCPUs > 0 {
		d = append(d, slog.Float64("limit_cpus", cpu.LimitCPUs))
	}
	d.figure("window_seconds", cpu.Window.Seconds(), cpu.Err)
	d.figure("throttled_percent", 100*cpu.ThrottledRatio.Value, cpu.ThrottledRatio.Err)
	return d
}

func memoryDetails(memory sysmetrics.Memory) (d details) {
	d.figure("percent", memory.Percent, memory.Err)
	d.megabytes("available_mb", memory.AvailableBytes, memory.Err)
	d.megabytes("total_mb", memory.TotalBytes, memory.Err)
	if memory.Err == nil {
		d = append(d, slog.String("source", string(memory.Source)))
	}
	d.count("oom_kills", int(memory.OOMKills.Value), memory.OOMKills.Err)
	return d
}

func diskDetails(disk sysmetrics.Disk) (d details) {
	if disk.Err != nil {
		return nil
	}
	d.figure("percent", disk.Percent, nil)
	d.megabytes("free_mb", disk.FreeBytes, nil)
	d.megabytes("total_mb", disk.TotalBytes, nil)
	d.figure("inodes_percent", disk.InodesPercent.Value, disk.InodesPercent.Err)
	return d
}

func connectionsDetails(connections sysmetrics.Connections) (d details) {
	d.count("active_connections", connections.Active, connections.Err)
	return d
}

func processDetails(process sysmetrics.Process) (d details) {
	d.count("goroutines", process.Goroutines, nil)
	d.figure("uptime_seconds", process.Uptime.Seconds(), nil)
	d.figure("heap_mb", float64(process.HeapBytes.Value)/(1<<20), process.HeapBytes.Err)
	d.count("open_files", process.OpenFiles.Value, process.OpenFiles.Err)
	d.count("max_open_files", process.MaxOpenFiles.Value, process.MaxOpenFiles.Err)
	return d
}

// openFilesWarning is the warning threshold of the process metric: the percentage of the limit on open files
// that is in use. At the limit, new connections fail. There is no critical threshold, and no option changes
// this one.
const openFilesWarning = 80

// openFiles returns the percentage of the limit on open files that is in use. It is zero if the limit or the
// number of open files is not known.
func openFiles(process sysmetrics.Process) float64 {
	if process.OpenFiles.Err != nil || process.MaxOpenFiles.Err != nil || process.MaxOpenFiles.Value == 0 {
		return 0
	}
	return 100 * float64(process.OpenFiles.Value) / float64(process.MaxOpenFiles.Value)
}

func round1(v float64) float64 { return math.Round(v*10) / 10 }
