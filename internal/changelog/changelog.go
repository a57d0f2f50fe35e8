// Package changelog writes the changes of checks, of metrics and of readiness to a log, so that no outage
// is missing from it and none floods it.
//
// A change is written at once if its state is new, or worse than what the log says: the subject was not in
// this state during the last ten minutes, or its level is above those since the last record. Any other
// change is a repetition. It is written at once too, unless the subject has changed within its quiet time.
// Then it is summed up, and the summary is written at the end of the quiet time, which doubles from one
// second to one minute while the subject continues to change. A subject that has not changed for two
// minutes begins anew.
//
// So no record is late by more than a minute, and a subject with n states that changes every second for an
// hour makes at most 70 records, and 12 n more.
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
	maxQuiet   = time.Minute      // the longest one
	calm       = 2 * maxQuiet     // a subject that has not changed for so long begins anew
	memory     = 10 * time.Minute // a state that was not there for so long is new

	minLevel = slog.Level(math.MinInt) // of a subject without a record
)

// Change is one change of a subject.
type Change struct {
	Subject string // whose changes are summed up together
	State   string // the new state; a state that the subject has had before is a repetition
	Bad     bool   // the state is a problem
	At      time.Time
	Level   slog.Level
	Message string
	Summary string // the message of a summary
	Attrs   []slog.Attr
}

// Log sums up the changes of any number of subjects.
type Log struct {
	write   func(slog.Level, string, ...slog.Attr)
	enqueue func(func())

	mu       sync.Mutex // guards the fields below
	subjects map[string]*subject
	closed   bool
}

// subject holds the recent changes of one subject.
type subject struct {
	seen  map[string]time.Time // when the subject last changed to a state
	last  Change
	at    time.Time     // when the last record was written
	level slog.Level    // of that record
	quiet time.Duration // zero before the first repetition
	held  *summary      // nil if nothing is to be summed up
}

// summary holds changes that are not written yet.
type summary struct {
	changes int
	states  []string // in the order of their first change
	counts  map[string]int
	level   slog.Level    // the worst
	bad     time.Duration // how long the subject has been bad since the last record, up to the last change
	timer   *time.Timer
}

// New returns a Log that writes with write, which must return soon. It makes what a timer finds in order
// with the changes by enqueue, which must call its argument later.
func New(write func(slog.Level, string, ...slog.Attr), enqueue func(func())) *Log {
	return &Log{write: write, enqueue: enqueue, subjects: map[string]*subject{}}
}

// Add writes a change, or keeps it for a summary.
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
		l.flush(s, c.At) // write the earlier changes first
		l.record(s, c)
	case s.held == nil && (c.At.Sub(s.at) >= s.quiet || l.closed):
		s.grow()
		l.record(s, c)
	default:
		l.hold(s, c)
	}
	s.last, s.seen[c.State] = c, c.At
}

// isNew reports whether a change must be written at once: to a state that the subject has not been in of
// late, or to a worse one than the log has, or is about to have, since the last record.
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

// record writes a change by itself.
func (l *Log) record(s *subject, c Change) {
	s.at, s.level = c.At, c.Level
	l.write(c.Level, c.Message, c.Attrs...)
}

// hold keeps a change for the summary.
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

// badUntil is how long the subject has been bad since its last change, or since the last record, whichever
// is later.
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

// end writes the summary of a quiet time, unless it has been written already.
func (l *Log) end(s *subject, held *summary) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.held == held {
		l.flush(s, time.Now())
	}
}

// flush writes the summary, if there is one, and begins the next quiet time.
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

// attrs says how often the subject has changed since the last record, how long it was bad, and how often it
// changed to each of its states.
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

// Close writes the summaries that are due later. What is added afterwards is written at once.
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
