package echohealth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/echo-probes/echohealth/internal/changelog"
	"github.com/echo-probes/echohealth/internal/engine"
	"github.com/echo-probes/echohealth/internal/redact"
	"github.com/echo-probes/echohealth/probes"
)

// notifier reports changes to the log and to the application's functions. It is the engine's listener: the
// engine makes one call at a time, in order, and holds no lock. The log and the functions have separate
// queues. So if one of them hangs, it blocks neither the other nor the engine.
type notifier struct {
	monitor  *monitor
	logger   *slog.Logger // nil: slog.Default() at the time of each record
	changes  *changelog.Log
	reported readiness

	records engine.CallQueue // log records to write
	dropped atomic.Bool      // records were dropped since the last one was written

	calls     engine.CallQueue // calls of functions to make
	mu        sync.Mutex       // guards functions
	functions []func(Change)

	guardPanic sync.Once // logs only the first panic of a guard
}

// readiness is the last reported readiness.
type readiness struct {
	known    bool
	ready    bool
	switched bool // it is not ready only because of switches
	at       time.Time
	since    time.Time // when ready last changed
}

func newNotifier(logger *slog.Logger, functions []func(Change)) *notifier {
	n := &notifier{logger: logger, functions: slices.Clone(functions)}
	n.records.OnDrop = func() { n.dropped.Store(true) }
	n.calls.OnDrop = func() {
		n.log(slog.LevelError, "a function of WithOnChange or OnChange does not return: "+
			"too many changes wait, and the oldest are dropped")
	}
	return n
}

// watch sets the monitor that n reports on. n is the listener of its engine.
func (n *notifier) watch(m *monitor) {
	n.monitor = m
	n.changes = changelog.New(n.log, m.engine.Enqueue)
}

// add adds a function that is called for every later change.
func (n *notifier) add(f func(Change)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.functions = append(slices.Clip(n.functions), f)
}

// close waits up to limit until the log and the functions have received all earlier changes. Later changes
// are not reported.
func (n *notifier) close(limit time.Duration) error {
	n.changes.Close()
	deadline := time.Now().Add(limit)
	if !n.monitor.engine.Flush(limit) {
		n.calls.Close(0)
		n.records.Close(0)
		return fmt.Errorf("echohealth: not all changes were reported within %s; %w", limit, ErrLeftAlone)
	}
	var errs []error
	log := make(chan bool, 1)
	go func() { log <- n.records.Close(time.Until(deadline)) }()
	if !n.calls.Close(time.Until(deadline)) {
		errs = append(errs, fmt.Errorf("echohealth: a function of WithOnChange has not returned for %s, "+
			"and was not called for later changes; %w", limit, ErrLeftAlone))
	}
	if !<-log {
		errs = append(errs, fmt.Errorf("echohealth: the slog handler has not returned for %s, "+
			"and later records were dropped; %w", limit, ErrLeftAlone))
	}
	return errors.Join(errs...)
}

// Changed reports a change of a check or of a metric, and the change of readiness if there is one.
func (n *notifier) Changed(change engine.Change) {
	n.reportCheck(change)
	n.reportReadiness(change.At)
}

// Invalid logs that a probe breaks the rules of package probes.
func (n *notifier) Invalid(check string, err error) {
	n.log(slog.LevelWarn, "the probe breaks the rules of package probes",
		slog.String("check", check), slog.String("error", redact.Error(err)))
}

// reportCheck reports a change of a check or of a metric. It does not report a first result that is OK.
func (n *notifier) reportCheck(change engine.Change) {
	if change.From == "" && change.To == probes.OK {
		return
	}
	level := levelOf(change.To)
	if n.monitor.areSwitches(change.Check) {
		level = slog.LevelInfo // the application itself turned it
	}
	n.changes.Add(changelog.Change{
		Subject: "check " + change.Check, State: state(change.To, change.Reason), Bad: change.To != probes.OK,
		At: change.At, Level: level,
		Message: "health check changed", Summary: "health check is flapping", Attrs: checkAttrs(change),
	})
	change.Err = mask(change.Err)
	n.call(Change(change))
}

// state returns a status and its reason as one word.
func state(status probes.Status, reason probes.Reason) string {
	if reason == "" {
		return string(status)
	}
	return string(status) + "_" + string(reason)
}

func checkAttrs(change engine.Change) []slog.Attr {
	attrs := []slog.Attr{slog.String("check", change.Check)}
	attrs = append(attrs, fromTo(string(change.From), string(change.To), change.Lasted)...)
	if change.Reason != "" {
		attrs = append(attrs, slog.String("reason", string(change.Reason)))
	}
	if change.Err != nil {
		attrs = append(attrs, slog.String("error", redact.Error(change.Err)))
	}
	return attrs
}

// reportReadiness reports a change of readiness. While the service runs, it reports nothing until every check
// that readiness depends on has a result. It does not report a change from unknown to ready. If the service
// was not ready only because of switches, and then another check fails, it reports that too: the earlier
// record was no ERROR.
func (n *notifier) reportReadiness(at time.Time) {
	phase := n.monitor.lifecycle.phase()
	if e := n.monitor.engine; e.Closed() && phase != draining && !at.Before(e.ClosedAt()) {
		return // the end of readiness by Close is not reported
	}
	failing, known := n.failing()
	if phase == running && !known {
		return
	}
	before := n.reported
	if at.Before(before.at) {
		at = before.at // the changes of two checks may arrive out of order
	}
	now := readiness{known: true, ready: phase == running && len(failing) == 0, at: at, since: at}
	if before.known && before.ready == now.ready {
		now.since = before.since
	}
	now.switched = phase == running && !now.ready && n.monitor.areSwitches(failing...)
	failed := before.switched && !now.ready && !now.switched && phase == running
	if before.known && before.ready == now.ready && !failed {
		return
	}
	n.reported = now
	if !before.known && now.ready {
		return
	}
	n.tellReadiness(before, now, phase, failing)
}

// failing returns the names of the checks that make the service not ready, and whether every check that
// readiness depends on has a result.
func (n *notifier) failing() (names []string, known bool) {
	names, known = []string{}, true
	for _, check := range n.monitor.gating {
		switch last := check.Last(); {
		case last == nil:
			known = false
		case last.Status == probes.Error:
			names = append(names, check.Name)
		}
	}
	return names, known
}

func (n *notifier) tellReadiness(before, now readiness, phase phase, failing []string) {
	change := Change{To: now.status(), Reason: probes.Reason(phase.word()), At: now.at}
	if before.known {
		change.From, change.Lasted = before.status(), now.at.Sub(before.since)
	}
	level := levelOf(change.To)
	if change.Reason != "" || now.switched {
		level = slog.LevelInfo // a start, a drain and a switch are no failure
	}
	n.changes.Add(changelog.Change{
		Subject: "readiness", State: readinessState(change, failing), Bad: !now.ready, At: now.at, Level: level,
		Message: "readiness changed", Summary: "readiness is flapping", Attrs: readinessAttrs(change, failing),
	})
	if change.From != change.To {
		n.call(change)
	}
}

func (r readiness) status() probes.Status {
	if r.ready {
		return probes.OK
	}
	return probes.Error
}

var readinessWords = map[probes.Status]string{probes.OK: "ready", probes.Error: "not_ready"}

// readinessState returns a text for the state of readiness. Different causes have different texts.
func readinessState(change Change, failing []string) string {
	word := readinessWords[change.To]
	switch {
	case change.Reason != "":
		return word + "/" + string(change.Reason)
	case change.To == probes.Error:
		return word + ":" + strings.Join(failing, ",")
	}
	return word
}

func readinessAttrs(change Change, failing []string) []slog.Attr {
	attrs := fromTo(readinessWords[change.From], readinessWords[change.To], change.Lasted)
	if change.Reason != "" {
		attrs = append(attrs, slog.String("reason", string(change.Reason)))
	}
	if change.To == probes.Error {
		attrs = append(attrs, slog.Any("failing", failing))
	}
	return attrs
}

// reportLoop logs that a loop of WithLiveness hangs, or that it has recovered.
func (n *notifier) reportLoop(name string, stuck bool, at time.Time, lasted time.Duration) {
	change := changelog.Change{
		Subject: "loop " + name, State: "alive", At: at, Level: slog.LevelInfo,
		Message: "liveness changed", Summary: "liveness is flapping",
		Attrs: append([]slog.Attr{slog.String("loop", name)}, fromTo("stuck", "alive", lasted)...),
	}
	if stuck {
		change.State, change.Bad, change.Level = "stuck", true, slog.LevelError
		change.Attrs = append(change.Attrs[:1], fromTo("alive", "stuck", lasted)...)
	}
	n.changes.Add(change)
}

// fromTo returns the log attributes that every change has. lasted is left out if from is unknown.
func fromTo(from, to string, lasted time.Duration) []slog.Attr {
	if from == "" {
		return []slog.Attr{slog.String("from", "unknown"), slog.String("to", to)}
	}
	return []slog.Attr{
		slog.String("from", from), slog.String("to", to), slog.Duration("lasted", lasted.Round(time.Millisecond)),
	}
}

func levelOf(status probes.Status) slog.Level {
	switch status {
	case probes.OK:
		return slog.LevelInfo
	case probes.Warning:
		return slog.LevelWarn
	}
	return slog.LevelError
}

// call calls the application's functions.
func (n *notifier) call(change Change) {
	n.mu.Lock()
	functions := n.functions
	n.mu.Unlock()
	if len(functions) == 0 {
		return
	}
	n.calls.Add(func() {
		for _, f := range functions {
			n.callOne(f, change)
		}
	})
}

// callOne calls f. A panic of f would end the process, because f runs on a goroutine of this package.
func (n *notifier) callOne(f func(Change), change Change) {
	err := contain("a function of WithOnChange or OnChange", func() error { f(change); return nil })
	if err != nil {
		n.log(slog.LevelError, "a change could not be reported", slog.String("error", err.Error()))
	}
}

// guardPanicked logs the first panic of a guard.
func (n *notifier) guardPanicked(err error) {
	n.guardPanic.Do(func() {
		n.log(slog.LevelError, "a guard failed (only its first panic is logged)",
			slog.String("error", err.Error()))
	})
}

// log puts a record into the queue and returns immediately, because the slog handler may hang.
func (n *notifier) log(level slog.Level, message string, attrs ...slog.Attr) {
	n.records.Add(func() {
		if n.dropped.Swap(false) {
			n.write(slog.LevelError, "the slog handler was blocked, "+
				"and the oldest log records of the health checks were dropped")
		}
		n.write(level, message, attrs...)
	})
}

func (n *notifier) write(level slog.Level, message string, attrs ...slog.Attr) {
	logger := n.logger
	if logger == nil {
		logger = slog.Default()
	}
	args := make([]any, len(attrs))
	for i, attr := range attrs {
		args[i] = attr
	}
	// A call of LogAttrs would make a program 8 KB larger, unless the program calls LogAttrs itself.
	logger.Log(context.Background(), level, message, args...)
}

// masked is an error with the passwords in its text masked.
type masked struct{ err error }

func mask(err error) error {
	if err == nil {
		return nil
	}
	return &masked{err}
}

func (m *masked) Error() string { return redact.Error(m.err) }
func (m *masked) Unwrap() error { return m.err }
