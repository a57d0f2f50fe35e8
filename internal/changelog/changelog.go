// Package changelog logs the changes of checks, of metrics and of readiness. Each of these is a subject. No
// outage is missing from the log, and a subject that changes often does not flood it.
//
// A change is logged immediately if its state is new or worse. A state is new if the subject was not in this
// state during the last ten minutes. It is worse if its level is above the level of the last record and of
// all changes since.
//
// Any other change is a repetition. It is logged immediately too, if the subject's quiet time is over.
// Otherwise the change is added to a summary, which is logged at the end of the quiet time. The quiet time is
// one second at first. It doubles, up to one minute, as long as the subject continues to change. After two
// minutes without a change everything about a subject is forgotten.
//
// Thus no record is late by more than a minute. A subject with n states that changes every second for an hour
// makes at most 70 + 12 n records.
package changelog

import (
	"log/slog"
	"math"
	"slices"
	"sync"
	"time"
)

const (
	firstQuiet = time.Second      // the quiet time after the first repetition
	maxQuiet   = time.Minute      // the longest quiet time
	calm       = 2 * maxQuiet     // a subject without a change for this time is forgotten
	memory     = 10 * time.Minute // a state without a change to it for this time is new

	minLevel = slog.Level(math.MinInt) // the level of a subject without a record
)

// Change is one change of a subject.
type Change struct {
	Subject string // what changed, such as "check redis"; only changes of one subject are summarized together
	State   string // the new state
	Bad     bool   // whether the state is a problem
	At      time.Time
	Level   slog.Level
	Message string
	Summary string // the message to use if the change is the last of a summary
	Attrs   []slog.Attr
}

// Log logs the changes of any number of subjects.
type Log struct {
	write   func(slog.Level, string, ...slog.Attr)
	enqueue func(func())

	mu       sync.Mutex // guards the fields below
	subjects map[string]*subject
	closed   bool
}

// subject holds the recent changes of one subject.
type subject struct {
	seen  map[string]time.Time // when the subject last changed to each state
	last  Change
	at    time.Time     // when the last record was written
	level slog.Level    // the level of that record
	quiet time.Duration // the quiet time; zero before the first repetition
	held  *summary      // the changes since the last record; nil if there are none
}

// summary holds the changes that have not been logged yet.
type summary struct {
	changes int
	states  []string // in the order in which they first occurred
	counts  map[string]int
	level   slog.Level    // the highest level of the changes
	bad     time.Duration // how long the state was bad between the last record and the last change
	timer   *time.Timer
}

// New returns a Log. It calls write for each record. write must return soon. When a quiet time ends, the Log
// passes a function to enqueue, which must call the function later and in order with the calls of Add.
func New(write func(slog.Level, string, ...slog.Attr), enqueue func(func())) *Log {
	return &Log{write: write, enqueue: enqueue, subjects: map[string]*subject{}}
}

// Add logs a change, or adds it to the summary.
func (l *Log) Add(c Change) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.subjects[c.Subject]
	if s == nil || s.held == nil && c.At.Sub(s.last.At) >= calm {
		s = &subject{seen: map[string]time.Time{}, level: minLevel}
		l.subjects[c.Subject] = s
	}
	switch {
	case s.isNew(c):
		l.flush(s, c.At) // log the earlier changes first
		l.record(s, c)
	case s.held == nil && (c.At.Sub(s.at) >= s.quiet || l.closed):
		s.grow()
		l.record(s, c)
	default:
		l.hold(s, c)
	}
	s.last, s.seen[c.State] = c, c.At
}

// isNew reports whether a change must be logged immediately because its state is new, or because its level is
// above that of the last record and of all changes since.
func (s *subject) isNew(c Change) bool {
	seen, ok := s.seen[c.State]
	if !ok {
		for state, at := range s.seen {
			if c.At.Sub(at) >= memory {
				delete(s.seen, state)
			}
		}
	}
	worst := s.level
	if s.held != nil {
		worst = max(worst, s.held.level)
	}
	return !ok || c.At.Sub(seen) >= memory || c.Level > worst
}

func (s *subject) grow() {
	s.quiet = min(max(2*s.quiet, firstQuiet), maxQuiet)
}

// record logs a single change.
func (l *Log) record(s *subject, c Change) {
	s.at, s.level = c.At, c.Level
	l.write(c.Level, c.Message, c.Attrs...)
}

// hold adds a change to the summary.
func (l *Log) hold(s *subject, c Change) {
	if s.held == nil {
		held := &summary{counts: map[string]int{}, level: c.Level}
		s.held = held
		held.timer = time.AfterFunc(s.at.Add(s.quiet).Sub(c.At), func() {
			l.enqueue(func() { l.end(s, held) })
		})
	}
	held := s.held
	held.changes++
	held.level = max(held.level, c.Level)
	held.bad += s.badUntil(c.At)
	if held.counts[c.State] == 0 {
		held.states = append(held.states, c.State)
	}
	held.counts[c.State]++
}

// badUntil returns how long the state has been bad since the last change or the last record, whichever is
// later.
func (s *subject) badUntil(now time.Time) time.Duration {
	since := s.last.At
	if s.at.After(since) {
		since = s.at
	}
	if !s.last.Bad || now.Before(since) {
		return 0
	}
	return now.Sub(since)
}

// end logs the summary at the end of a quiet time, unless that has already happened.
func (l *Log) end(s *subject, held *summary) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.held == held {
		l.flush(s, time.Now())
	}
}

// flush logs the summary, if there is one, and begins the next quiet time.
func (l *Log) flush(s *subject, now time.Time) {
	held := s.held
	if held == nil {
		return
	}
	held.timer.Stop()
	message, attrs := s.last.Message, s.last.Attrs
	if held.changes > 1 {
		message, attrs = s.last.Summary, append(held.attrs(now.Sub(s.at), held.bad+s.badUntil(now)), attrs...)
	} else {
		attrs = append(slices.Clip(attrs), slog.Duration("late", now.Sub(s.last.At).Round(time.Millisecond)))
	}
	s.held, s.at, s.level = nil, now, held.level
	s.grow()
	l.write(held.level, message, attrs...)
}

// attrs returns the number of changes, the time since the last record, how long the state was bad, and the
// number of changes to each state.
func (s *summary) attrs(since, bad time.Duration) []slog.Attr {
	return []slog.Attr{
		slog.Int("changes", s.changes),
		slog.Duration("in", since.Round(time.Millisecond)),
		slog.Duration("bad_for", bad.Round(time.Millisecond)),
		s.group(),
	}
}

func (s *summary) group() slog.Attr {
	var counts []any
	for _, state := range s.states {
		counts = append(counts, slog.Int(state, s.counts[state]))
	}
	return slog.Group("states", counts...)
}

// Close logs all summaries without waiting for the quiet times. Later changes are logged immediately.
func (l *Log) Close() {
	l.mu.Lock()
	l.closed = true
	names := make([]string, 0, len(l.subjects))
	for name := range l.subjects {
		names = append(names, name)
	}
	l.mu.Unlock()
	slices.Sort(names)
	for _, name := range names {
		l.enqueue(func() { l.finish(name) })
	}
}

func (l *Log) finish(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flush(l.subjects[name], time.Now())
}
