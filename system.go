package echohealth

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/echo-probes/echohealth/internal/classify"
	"github.com/echo-probes/echohealth/internal/engine"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/sysmetrics"
)

// system holds the system metrics to their thresholds.
type system struct {
	config  *config
	sampler *sysmetrics.Sampler
	changed func([]engine.Change) // called without a lock, where there are any

	mu   sync.Mutex // guards last
	last *metrics
}

// metrics is what one sample says. It is never changed.
type metrics struct {
	sample *sysmetrics.Sample
	checks []Check
	errs   []error     // one for each of checks, nil where it is OK
	as     []time.Time // one for each of checks: since when it has had its status and its reason
	at     time.Time   // the sample's At, unless that of an earlier one is later
}

func newSystem(c *config, changed func([]engine.Change)) (*system, error) {
	sampler, err := sysmetrics.New(sysmetrics.Options{Disks: c.disks})
	if err != nil {
		return nil, err
	}
	return &system{config: c, sampler: sampler, changed: changed}, nil
}

// names are the metrics' names in the order of the answers.
func (s *system) names() []string {
	names := []string{"cpu", "memory"}
	for _, disk := range s.config.disks {
		names = append(names, disk.Name)
	}
	return append(names, "connections", "process")
}

// read returns the metrics, at most a second old. The same pointer means that nothing is new.
func (s *system) read() *metrics { return s.take(s.sampler.Sample()) }

// take judges a sample, unless it or a newer one has been judged already, and tells what changed.
func (s *system) take(sample *sysmetrics.Sample) *metrics {
	s.mu.Lock()
	last := s.last
	if last != nil && (last.sample == sample || last.sample.Seq > sample.Seq) {
		s.mu.Unlock()
		return last
	}
	next := s.judge(sample)
	changes := next.since(last)
	s.last = next
	s.mu.Unlock()
	if len(changes) > 0 {
		s.changed(changes)
	}
	return next
}

func (s *system) judge(sample *sysmetrics.Sample) *metrics {
	m := &metrics{sample: sample}
	m.add("cpu", cpuDetails(sample.CPU), sample.CPU.Percent, s.config.cpu, sample.CPU.Err)
	m.aged(sample.Stuck, sample.Age)
	m.add("memory", memoryDetails(sample.Memory), sample.Memory.Percent, s.config.memory, sample.Memory.Err)
	m.aged(sample.Stuck, sample.Age)
	for _, disk := range sample.Disks {
		m.add(disk.Name, diskDetails(disk), disk.Percent, s.config.disk, disk.Err)
		m.aged(disk.Stuck, disk.Age)
	}
	connections := sample.Connections
	m.add("connections", connectionsDetails(connections), float64(connections.Active), s.config.connections, connections.Err)
	m.aged(sample.Stuck, sample.Age)
	m.add("process", processDetails(sample.Process), openFiles(sample.Process), levels{openFilesWarning, Never}, nil)
	m.aged(sample.Stuck, sample.Age)
	return m
}

// add judges one metric. What can't be read is a warning; what is not there to be read, or not yet, is absent and OK.
func (m *metrics) add(name string, details []slog.Attr, value float64, l levels, err error) {
	check := Check{Name: name, Status: probes.OK, Details: details}
	switch {
	case errors.Is(err, sysmetrics.ErrPending), errors.Is(err, sysmetrics.ErrUnsupported):
		err = nil
	case err != nil:
		check.Status, check.Reason = probes.Warning, classify.Reason(err)
	case value > l.critical:
		check.Status, check.Reason, err = probes.Error, probes.ReasonAboveThreshold, above(value, l.critical)
	case value > l.warning:
		check.Status, check.Reason, err = probes.Warning, probes.ReasonAboveThreshold, above(value, l.warning)
	}
	m.checks = append(m.checks, check)
	m.errs = append(m.errs, err)
}

func above(value, threshold float64) error {
	return fmt.Errorf("%s is more than %s", figure(value), figure(threshold))
}

// figure writes a figure with one decimal, where it has one.
func figure(v float64) string { return fmt.Sprint(round1(v)) }

// oldAge is from which age on figures say how old they are.
const oldAge = 5 * time.Second

// aged says how old the metric is that was added last, where its figures are old ones, and makes it a warning, unless it is worse
// already, where what they are read from is stuck. Being old alone is no warning: it may be that nobody has asked for long.
func (m *metrics) aged(stuck bool, age time.Duration) {
	last := len(m.checks) - 1
	check := &m.checks[last]
	if len(check.Details) > 0 && (age >= oldAge || stuck && age > 0) {
		check.Details = append(check.Details, slog.Float64("age_seconds", round1(age.Seconds())))
	}
	if stuck && check.Status != probes.Error {
		check.Status, check.Reason, m.errs[last] = probes.Warning, probes.ReasonStuck, noAnswer(age)
	}
}

// noAnswer is why a metric is stuck; age is that of its figures, zero without any.
func noAnswer(age time.Duration) error {
	if age == 0 {
		return errors.New("no answer")
	}
	return fmt.Errorf("no answer; the last one is %v old", age.Round(time.Millisecond))
}

// since fills in since when each metric is as it is, and returns what changed after before.
func (m *metrics) since(before *metrics) []engine.Change {
	var changes []engine.Change
	now := m.sample.At
	if before != nil && before.at.After(now) {
		now = before.at
	}
	m.at = now
	for i := range m.checks {
		check := &m.checks[i]
		old, as := Check{Since: now}, now
		if before != nil {
			old, as = before.checks[i], before.as[i]
		}
		check.Since = now
		if old.Status == check.Status {
			check.Since = old.Since
		}
		if old.Status != check.Status || old.Reason != check.Reason {
			changes = append(changes, engine.Change{
				Check: check.Name, From: old.Status, To: check.Status, Reason: check.Reason, Lasted: now.Sub(as), Err: m.errs[i], At: now,
			})
			as = now
		}
		m.as = append(m.as, as)
	}
	return changes
}

// stale are the metrics of a closed Health, which measures nothing any more.
func (s *system) stale() *metrics {
	m := &metrics{}
	for _, name := range s.names() {
		m.checks = append(m.checks, Check{Name: name, Status: probes.Error, Reason: probes.ReasonStale, Since: time.Now()})
	}
	return m
}

// details collects members of a metric's object.
type details []slog.Attr

// figure adds a number, unless err says that there is none.
func (d *details) figure(key string, value float64, err error) {
	if err == nil {
		*d = append(*d, slog.Float64(key, round1(value)))
	}
}

// count adds a whole number, unless err says that there is none.
func (d *details) count(key string, n int, err error) {
	if err == nil {
		*d = append(*d, slog.Int(key, n))
	}
}

// megabytes adds a size, unless err says that there is none.
func (d *details) megabytes(key string, bytes uint64, err error) {
	if err == nil {
		*d = append(*d, slog.Uint64(key, bytes>>20))
	}
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

// openFilesWarning is how many percent of the limit on open files may be used. The process metric warns when there are more, since
// connections fail at the limit; it has no critical level, and no option changes it.
const openFilesWarning = 80

// openFiles is the percentage of the limit that is in use; without a limit, or without a count, it is zero.
func openFiles(process sysmetrics.Process) float64 {
	if process.OpenFiles.Err != nil || process.MaxOpenFiles.Err != nil || process.MaxOpenFiles.Value == 0 {
		return 0
	}
	return 100 * float64(process.OpenFiles.Value) / float64(process.MaxOpenFiles.Value)
}

func round1(v float64) float64 { return math.Round(v*10) / 10 }
