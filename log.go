package echohealth

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/echo-probes/echohealth/internal/classify"
	"github.com/echo-probes/echohealth/internal/engine"
	"github.com/echo-probes/echohealth/probes"
)

// changeLog writes one record for each change, and none while everything stays as it is. It is the engine's listener.
type changeLog struct {
	health *Health
	logger *slog.Logger // nil: slog.Default(), as it is when the record is written

	mu      sync.Mutex // guards what follows
	known   bool       // readiness is known
	ready   bool
	readyAt time.Time
}

// Changed logs a check's change, and what it means for readiness.
func (l *changeLog) Changed(change engine.Change) {
	l.record(change)
	l.readiness(change.At)
}

// Complained logs what a probe does wrong.
func (l *changeLog) Complained(check string, err error) {
	l.warn("health check gives what can't be shown", slog.String("check", check), slog.String("error", classify.Text(err)))
}

// record logs a change. That something which was unknown is well is no news.
func (l *changeLog) record(change engine.Change) {
	if change.From == "" && change.To == probes.OK {
		return
	}
	attrs := []slog.Attr{slog.String("check", change.Check)}
	attrs = append(attrs, fromTo(string(change.From), string(change.To), change.Lasted)...)
	if change.Reason != "" {
		attrs = append(attrs, slog.String("reason", string(change.Reason)))
	}
	if change.Err != nil {
		attrs = append(attrs, slog.String("error", classify.Text(change.Err)))
	}
	l.write(levelOf(change.To), "health check changed", attrs...)
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

// readiness logs a change of readiness, once every check that it depends on has a result.
func (l *changeLog) readiness(at time.Time) {
	ready, failing := true, []string{}
	for _, check := range l.health.readiness {
		last := check.Last()
		if last == nil {
			return
		}
		if last.Status == probes.Error {
			ready, failing = false, append(failing, check.Name)
		}
	}
	l.mu.Lock()
	known, before, lasted := l.known, l.ready, at.Sub(l.readyAt)
	news := !known || before != ready
	if news {
		l.known, l.ready, l.readyAt = true, ready, at
	}
	l.mu.Unlock()
	switch {
	case !news, !known && ready:
	case ready:
		l.write(slog.LevelInfo, "readiness changed", fromTo("not_ready", "ready", lasted)...)
	default:
		from := ""
		if known {
			from = "ready"
		}
		l.write(slog.LevelError, "readiness changed", append(fromTo(from, "not_ready", lasted), slog.Any("failing", failing))...)
	}
}

func (l *changeLog) warn(message string, attrs ...slog.Attr) {
	l.write(slog.LevelWarn, message, attrs...)
}

func (l *changeLog) write(level slog.Level, message string, attrs ...slog.Attr) {
	logger := l.logger
	if logger == nil {
		logger = slog.Default()
	}
	logger.LogAttrs(context.Background(), level, message, attrs...)
}
