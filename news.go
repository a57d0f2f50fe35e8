package echohealth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/echo-probes/echohealth/internal/classify"
	"github.com/echo-probes/echohealth/internal/engine"
	"github.com/echo-probes/echohealth/probes"
)

// Change is what WithOnChange's functions are told: the first failure of a check or a metric, every later change of its status or reason, and
// every change of readiness.
type Change struct {
	Check  string        // the check's or the metric's name; empty for a change of readiness
	From   probes.Status // empty where it was unknown
	To     probes.Status // readiness is OK or Error
	Reason probes.Reason // empty where To is OK; of readiness "starting" or "draining", or empty where a check is why
	Lasted time.Duration // how long From, with its reason, lasted; zero where it was unknown
	Err    error         // the whole error, for a log alone: its text is masked, what it wraps is not
	At     time.Time
}

// news takes what happens to those who want to know: the log, and the functions of WithOnChange. It is the engine's listener, so that it
// is called once at a time, in order, and under no lock. The log and the functions each have a relay of their own, so that neither can
// silence the other, or the engine.
type news struct {
	health *Health
	log    changeLog
	calls  engine.Relay
	heard  readiness
}

func (n *news) init(h *Health) {
	n.health = h
	n.log.logger, n.log.tell, n.log.spans = h.config.logger, h.engine.Tell, map[string]*span{}
	n.log.relay.Lossy = func() { n.log.lost.Store(true) }
	n.heard = readiness{known: h.config.gated, at: time.Now()} // behind a gate it is known not to be ready
	n.calls.Lossy = func() {
		n.log.write(slog.LevelError, "OnChange does not return, and the oldest changes are forgotten")
	}
}

// close lets the log and the functions hear what has happened so far, with patience. Nothing is told afterwards.
func (n *news) close(patience time.Duration) error {
	n.log.close()
	deadline := time.Now().Add(patience)
	n.health.engine.Settle(patience)
	log := make(chan bool, 1)
	go func() { log <- n.log.relay.Close(time.Until(deadline)) }()
	var errs []error
	if !n.calls.Close(time.Until(deadline)) {
		errs = append(errs, fmt.Errorf("echohealth: a function of WithOnChange has not returned for %s; what it has not been told is forgotten", patience))
	}
	if !<-log {
		errs = append(errs, fmt.Errorf("echohealth: the logger has not returned for %s; what it has not been given is forgotten", patience))
	}
	return errors.Join(errs...)
}

// readiness is what was last told of it.
type readiness struct {
	known bool
	ready bool
	at    time.Time
}

// Changed takes on a check's change, and what it means for readiness.
func (n *news) Changed(change engine.Change) {
	n.check(change)
	n.readiness(change.At)
}

// Complained logs what a probe does wrong.
func (n *news) Complained(check string, err error) {
	n.log.write(slog.LevelWarn, "health check gives what can't be shown", slog.String("check", check), slog.String("error", classify.Text(err)))
}

// check takes on a change of a check or a metric. That something which was unknown is well is no news.
func (n *news) check(change engine.Change) {
	if change.From == "" && change.To == probes.OK {
		return
	}
	n.log.change(change.Check, change.At, levelOf(change.To), "health check changed", checkAttrs(change))
	change.Err = mask(change.Err)
	n.call(Change(change))
}

func checkAttrs(change engine.Change) []slog.Attr {
	attrs := []slog.Attr{slog.String("check", change.Check)}
	attrs = append(attrs, fromTo(string(change.From), string(change.To), change.Lasted)...)
	if change.Reason != "" {
		attrs = append(attrs, slog.String("reason", string(change.Reason)))
	}
	if change.Err != nil {
		attrs = append(attrs, slog.String("error", classify.Text(change.Err)))
	}
	return attrs
}

// readiness takes on a change of readiness, once every check that it depends on has a result. That it becomes ready from unknown is no
// news.
func (n *news) readiness(at time.Time) {
	phase := n.health.phase()
	if phase == closed && n.health.draining.Load() {
		phase = draining // it drained first, if only for a moment
	}
	failing := []string{}
	for _, check := range n.health.readiness {
		switch last := check.Last(); {
		case last == nil && phase == running:
			return
		case last != nil && last.Status == probes.Error:
			failing = append(failing, check.Name)
		}
	}
	before := n.heard
	if at.Before(before.at) {
		at = before.at // two checks that change at once may be heard of in the other order
	}
	now := readiness{known: true, ready: phase == running && len(failing) == 0, at: at}
	if phase == closed || before.known && before.ready == now.ready {
		return
	}
	n.heard = now
	if !before.known && now.ready {
		return
	}
	change := Change{To: probes.OK, Reason: probes.Reason(phase.reason()), At: at}
	if !now.ready {
		change.To = probes.Error
	}
	if before.known {
		change.From, change.Lasted = opposite(change.To), at.Sub(before.at)
	}
	level := levelOf(change.To)
	if change.Reason != "" {
		level = slog.LevelInfo // a start or a drain is planned, and nobody is to be woken by it
	}
	n.log.change("", at, level, "readiness changed", readinessAttrs(change, failing))
	n.call(change)
}

func readinessAttrs(change Change, failing []string) []slog.Attr {
	words := map[probes.Status]string{probes.OK: "ready", probes.Error: "not_ready"}
	attrs := fromTo(words[change.From], words[change.To], change.Lasted)
	if change.Reason != "" {
		attrs = append(attrs, slog.String("reason", string(change.Reason)))
	}
	if change.To == probes.Error {
		attrs = append(attrs, slog.Any("failing", failing))
	}
	return attrs
}

func opposite(status probes.Status) probes.Status {
	if status == probes.OK {
		return probes.Error
	}
	return probes.OK
}

// fromTo are the attributes that every change has. Before the first result there is nothing that could have lasted.
func fromTo(from, to string, lasted time.Duration) []slog.Attr {
	if from == "" {
		return []slog.Attr{slog.String("from", "unknown"), slog.String("to", to)}
	}
	return []slog.Attr{slog.String("from", from), slog.String("to", to), slog.Duration("lasted", lasted.Round(time.Millisecond))}
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

// call tells the functions of WithOnChange.
func (n *news) call(change Change) {
	for _, f := range n.health.config.onChange {
		n.calls.Tell(func() { n.callOne(f, change) })
	}
}

// callOne contains a panic: it would end the process from a goroutine that the application can't see.
func (n *news) callOne(f func(Change), change Change) {
	defer func() {
		if v := recover(); v != nil {
			n.log.write(slog.LevelError, "OnChange panicked", slog.String("error", classify.Mask(fmt.Sprint(v))))
		}
	}()
	f(change)
}

// masked is an error whose text holds no password.
type masked struct{ err error }

func mask(err error) error {
	if err == nil {
		return nil
	}
	return &masked{err}
}

func (m *masked) Error() string { return classify.Text(m.err) }
func (m *masked) Unwrap() error { return m.err }

const (
	calm      = 2           // as many changes of a check in flapSpan are written one by one
	flapSpan  = time.Minute // after which the rest is written as a summary
	flapWords = "health check is flapping"
)

// changeLog writes one record for each change, and none while all stays as it is. Of a check that flaps it writes the first changes
// of a minute, and at the minute's end how many there were and how it is by then: the last word on a check is never a wrong one.
type changeLog struct {
	logger *slog.Logger // nil: slog.Default(), as it is when the record is written
	relay  engine.Relay // for what is written
	lost   atomic.Bool  // records were forgotten since the last one was written
	tell   func(func()) // for what a timer finds, which has to come in the order of the changes

	mu     sync.Mutex // guards what follows
	spans  map[string]*span
	closed bool
}

// span is a minute in which a check changed.
type span struct {
	began   time.Time
	changes int
	timer   *time.Timer
	level   slog.Level  // of the last change
	attrs   []slog.Attr // likewise
}

// change writes a change, or keeps it for the summary.
func (l *changeLog) change(name string, at time.Time, level slog.Level, message string, attrs []slog.Attr) {
	if l.note(name, at, level, attrs) <= calm {
		l.write(level, message, attrs...)
	}
}

// note counts a change, and returns how many there were in its minute. After close, what no summary will tell counts as the first.
func (l *changeLog) note(name string, at time.Time, level slog.Level, attrs []slog.Attr) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.spans[name]
	if s == nil || at.Sub(s.began) >= flapSpan && s.timer == nil {
		s = &span{began: at}
		l.spans[name] = s
	}
	s.changes, s.level, s.attrs = s.changes+1, level, attrs
	if l.closed && s.timer == nil {
		return 0 // no summary comes after it
	}
	if s.changes == calm+1 {
		s.timer = time.AfterFunc(flapSpan-at.Sub(s.began), func() {
			l.tell(func() { l.summarize(name, s) })
		})
	}
	return s.changes
}

// summarize writes how a minute ended, once.
func (l *changeLog) summarize(name string, s *span) {
	l.mu.Lock()
	if l.spans[name] != s {
		l.mu.Unlock()
		return
	}
	delete(l.spans, name)
	l.mu.Unlock()
	l.write(s.level, flapWords, append([]slog.Attr{slog.Int("changes", s.changes), slog.Duration("in", flapSpan)}, s.attrs...)...)
}

// close writes the summaries that are due later.
func (l *changeLog) close() {
	l.mu.Lock()
	l.closed = true
	due := map[string]*span{}
	for name, s := range l.spans {
		if s.timer != nil && s.timer.Stop() {
			due[name] = s
		}
	}
	l.mu.Unlock()
	for name, s := range due {
		l.tell(func() { l.summarize(name, s) })
	}
}

// write hands a record over, and returns at once: a handler may hang.
func (l *changeLog) write(level slog.Level, message string, attrs ...slog.Attr) {
	l.relay.Tell(func() {
		if l.lost.Swap(false) {
			l.writeNow(slog.LevelError, "the log's handler did not return, and the oldest records are lost")
		}
		l.writeNow(level, message, attrs...)
	})
}

func (l *changeLog) writeNow(level slog.Level, message string, attrs ...slog.Attr) {
	logger := l.logger
	if logger == nil {
		logger = slog.Default()
	}
	logger.LogAttrs(context.Background(), level, message, attrs...)
}
