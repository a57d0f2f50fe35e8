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
	errs   []error // one for each of checks, nil where it is OK
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
	return append(names, "connections")
}

// read returns the metrics, at most a second old. The same pointer means that nothing is new.
func (s *system) read() *metrics { return s.take(s.sampler.Sample()) }

// take judges a sample, unless it or a newer one has been judged already, and tells what changed.
func (s *system) take(sample *sysmetrics.Sample) *metrics {
	s.mu.Lock()
	last := s.last
	if last != nil && (last.sample == sample || last.sample.At.After(sample.At)) {
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
	m.add("memory", memoryDetails(sample.Memory), sample.Memory.Percent, s.config.memory, sample.Memory.Err)
	for _, disk := range sample.Disks {
		m.add(disk.Name, diskDetails(disk), disk.Percent, s.config.disk, disk.Err)
		if disk.Stuck {
			m.warn(probes.ReasonStuck, errors.New("the file system does not answer"))
		}
	}
	connections := sample.Connections
	m.add("connections", connectionsDetails(connections), float64(connections.Active), s.config.connections, connections.Err)
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

// warn makes the metric that was added last a warning, unless it is worse already.
func (m *metrics) warn(reason probes.Reason, err error) {
	last := len(m.checks) - 1
	if m.checks[last].Status != probes.Error {
		m.checks[last].Status, m.checks[last].Reason, m.errs[last] = probes.Warning, reason, err
	}
}

// since fills in since when each metric is as it is, and returns what changed after before.
func (m *metrics) since(before *metrics) []engine.Change {
	var changes []engine.Change
	for i := range m.checks {
		check := &m.checks[i]
		check.Since = m.sample.At
		old := Check{Since: m.sample.At}
		if before != nil {
			old = before.checks[i]
		}
		if old.Status == check.Status {
			check.Since = old.Since
		}
		if old.Status != check.Status || old.Reason != check.Reason {
			changes = append(changes, engine.Change{
				Check: check.Name, From: old.Status, To: check.Status, Reason: check.Reason,
				Lasted: m.sample.At.Sub(old.Since), Err: m.errs[i], At: m.sample.At,
			})
		}
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

func cpuDetails(cpu sysmetrics.CPU) []slog.Attr {
	var details []slog.Attr
	if cpu.Err == nil {
		details = append(details, slog.Float64("percent", round1(cpu.Percent)))
	}
	return append(details, slog.Int("count", cpu.Count))
}

func memoryDetails(memory sysmetrics.Memory) []slog.Attr {
	if memory.Err != nil {
		return nil
	}
	return []slog.Attr{
		slog.Float64("percent", round1(memory.Percent)),
		slog.Uint64("available_mb", megabytes(memory.AvailableBytes)),
		slog.Uint64("total_mb", megabytes(memory.TotalBytes)),
	}
}

func diskDetails(disk sysmetrics.Disk) []slog.Attr {
	if disk.Err != nil {
		return nil
	}
	return []slog.Attr{
		slog.Float64("percent", round1(disk.Percent)),
		slog.Uint64("free_mb", megabytes(disk.FreeBytes)),
		slog.Uint64("total_mb", megabytes(disk.TotalBytes)),
	}
}

func connectionsDetails(connections sysmetrics.Connections) []slog.Attr {
	if connections.Err != nil {
		return nil
	}
	return []slog.Attr{slog.Int("active_connections", connections.Active)}
}

func round1(v float64) float64 { return math.Round(v*10) / 10 }

func megabytes(bytes uint64) uint64 { return bytes / (1 << 20) }
