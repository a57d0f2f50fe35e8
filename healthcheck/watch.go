package healthcheck

import (
	"context"
	"slices"
	"time"

	"github.com/echo-probes/echohealth/healthcheck/internal/client"
	"github.com/echo-probes/echohealth/healthcheck/internal/health"
	"github.com/echo-probes/echohealth/healthcheck/internal/terminal"
	"github.com/echo-probes/echohealth/healthcheck/internal/text"
)

// watchSettings is what to watch, and how.
type watchSettings struct {
	request  client.Settings
	targets  []client.Target
	failOn   health.Level // from which level on an answer has failed
	interval time.Duration
}

// watcher asks again and again.
type watcher struct {
	watchSettings
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

// run draws the answers until ctx ends, and then prints the sum. All is well if it was at the last look.
func (s watchSettings) run(ctx context.Context, out *terminal.Output) bool {
	w := &watcher{watchSettings: s, out: out, replicas: newReplicas(s.targets)}
	w.tally.began = time.Now()
	if out.Terminal {
		out.Clear()
	}
	ticker := time.NewTicker(s.interval)
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
func (w *watcher) look(ctx context.Context) []outcome {
	lookup, cancel := context.WithTimeout(ctx, w.request.Timeout)
	defer cancel()
	outcomes := askTargets(ctx, w.request, w.replicas.targets(lookup))
	w.replicas.remember(outcomes)
	return outcomes
}

// count adds a look to the tally, and reports whether all was well.
func (w *watcher) count(outcomes []outcome) bool {
	good := true
	for _, o := range outcomes {
		w.tally.answers++
		if o.level < w.failOn {
			continue
		}
		good = false
		w.tally.failed++
		w.tally.lastFailure = text.TimeOfDay(time.Now()) + " " + o.target.Name() + ": " + text.Cut(o.line(), 200)
	}
	return good
}

func (w *watcher) show(outcomes []outcome) {
	if w.out.Terminal {
		width, height := w.out.Size()
		v := view{title: w.replicas.title(), interval: w.interval, at: time.Now(), outcomes: outcomes}
		v.notAsked = w.replicas.notAsked
		w.out.Redraw(v.draw(w.out, width, height))
		return
	}
	w.showChanges(outcomes)
}

// showChanges prints a line for each target whose state has changed, and for each that is gone.
func (w *watcher) showChanges(outcomes []outcome) {
	now := map[string]shownState{}
	for _, o := range outcomes {
		id := o.target.Identity()
		now[id] = shownState{o.target.Name(), signature(o)}
		if w.shown[id] != now[id] {
			w.out.Printf("%s %s: %s\n", text.TimeOfDay(time.Now()), now[id].name, o.line())
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
func signature(o outcome) string {
	s := o.state()
	for _, c := range o.document.checks {
		s += "," + c.name + " " + c.status + " " + c.reason
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
