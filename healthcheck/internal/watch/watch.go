// Package watch asks targets again and again, and draws the answers.
package watch

import (
	"context"
	"slices"
	"time"

	"github.com/echo-probes/echohealth/healthcheck/internal/client"
	"github.com/echo-probes/echohealth/healthcheck/internal/health"
	"github.com/echo-probes/echohealth/healthcheck/internal/outcome"
	"github.com/echo-probes/echohealth/healthcheck/internal/terminal"
	"github.com/echo-probes/echohealth/healthcheck/internal/text"
)

// Settings is what to watch, and how.
type Settings struct {
	Request  client.Settings
	Targets  []client.Target
	FailOn   health.Level // from which level on an answer has failed
	Interval time.Duration
}

// watcher asks again and again.
type watcher struct {
	Settings
	out      *terminal.Output
	replicas replicas
	shown    map[string]shownState // without a terminal, by the targets' identities
	tally    watchTally
}

// shownState is what was last printed of a target.
type shownState struct{ name, signature string }

// watchTally is what is printed at the end.
type watchTally struct {
	began           time.Time
	answers, failed int
	lastFailure     string
}

// Run draws the answers until ctx ends, and then prints the sum. All is well if it was at the last look.
func (s Settings) Run(ctx context.Context, out *terminal.Output) bool {
	w := &watcher{Settings: s, out: out, replicas: newReplicas(s.Targets)}
	w.tally.began = time.Now()
	if out.Terminal {
		out.Clear()
	}
	ticker := time.NewTicker(s.Interval)
	defer ticker.Stop()
	good := false
	for {
		outcomes := w.look(ctx)
		if ctx.Err() != nil { // the look is not complete
			break
		}
		good = w.count(outcomes)
		w.show(outcomes)
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
	w.tally.print(out)
	return good
}

// look asks all replicas once. It looks up the names' addresses anew, since replicas come and go.
func (w *watcher) look(ctx context.Context) []outcome.Outcome {
	lookup, cancel := context.WithTimeout(ctx, w.Request.Timeout)
	defer cancel()
	outcomes := outcome.AskAll(ctx, w.Request, w.replicas.targets(lookup))
	w.replicas.remember(outcomes)
	return outcomes
}

// count adds a look to the tally, and reports whether all was well.
func (w *watcher) count(outcomes []outcome.Outcome) bool {
	good := true
	for _, o := range outcomes {
		w.tally.answers++
		if o.Level < w.FailOn {
			continue
		}
		good = false
		w.tally.failed++
		line := text.Cut(o.Line(), 200)
		w.tally.lastFailure = text.TimeOfDay(time.Now()) + " " + o.Target.Name() + ": " + line
	}
	return good
}

func (w *watcher) show(outcomes []outcome.Outcome) {
	if w.out.Terminal {
		width, height := w.out.Size()
		v := view{title: w.replicas.title(), interval: w.Interval, at: time.Now(), outcomes: outcomes}
		v.notAsked = w.replicas.notAsked
		w.out.Redraw(v.draw(w.out, width, height))
		return
	}
	w.showChanges(outcomes)
}

// showChanges prints a line for each target whose state has changed, and for each that is gone.
func (w *watcher) showChanges(outcomes []outcome.Outcome) {
	now := map[string]shownState{}
	for _, o := range outcomes {
		id := o.Target.Identity()
		now[id] = shownState{o.Target.Name(), signature(o)}
		if w.shown[id] != now[id] {
			w.out.Printf("%s %s: %s\n", text.TimeOfDay(time.Now()), now[id].name, o.Line())
		}
	}
	for _, name := range gone(w.shown, now) {
		w.out.Printf("%s %s: is gone\n", text.TimeOfDay(time.Now()), name)
	}
	w.shown = now
}

func gone(before, now map[string]shownState) []string {
	var names []string
	for id := range before {
		if _, ok := now[id]; !ok {
			names = append(names, before[id].name)
		}
	}
	slices.Sort(names)
	return names
}

// signature is the part of an outcome that makes a change: all but figures, times and an error's text.
func signature(o outcome.Outcome) string {
	s := o.State()
	for _, c := range o.Document.Checks {
		s += "," + c.Name + " " + c.Status + " " + c.Reason
	}
	return s
}

func (t watchTally) print(out *terminal.Output) {
	took := text.Duration(time.Since(t.began))
	out.Printf("%s of %s answers failed in %s", text.Thousands(t.failed), text.Thousands(t.answers), took)
	if t.failed > 0 {
		out.Printf(", the last at %s", t.lastFailure)
	}
	out.Print("\n")
}
