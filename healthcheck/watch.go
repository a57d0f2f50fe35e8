package healthcheck

import (
	"context"
	"os/signal"
	"slices"
	"time"
)

// watcher asks again and again.
type watcher struct {
	*askSettings
	out      *output
	replicas replicas
	shown    map[string]said // without a terminal, by the targets' identities
	tally    watchTally
}

// said is what was last said of a target.
type said struct{ name, signature string }

// watchTally is what is said at the end.
type watchTally struct {
	began           time.Time
	answers, failed int
	lastFailure     string
}

// watch draws the answers until a signal comes, and then says what there was. All is well if it was at the last look.
func (s *askSettings) watch(ctx context.Context, out *output) bool {
	ctx, stop := signal.NotifyContext(ctx, stopSignals...)
	context.AfterFunc(ctx, stop) // a second signal ends the process
	defer stop()
	w := &watcher{askSettings: s, out: out, replicas: newReplicas(s.targets), shown: map[string]said{}, tally: watchTally{began: time.Now()}}
	if out.terminal {
		out.print(clearScreen)
	}
	ticker := time.NewTicker(s.interval)
	defer ticker.Stop()
	good := false
	for {
		outcomes := w.look(ctx)
		if ctx.Err() != nil { // it cut the look short
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

// look asks all replicas once. The names' addresses are looked up anew, since replicas come and go.
func (w *watcher) look(ctx context.Context) []outcome {
	lookup, cancel := context.WithTimeout(ctx, w.request.timeout)
	defer cancel()
	outcomes := w.request.askAll(ctx, w.replicas.targets(lookup))
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
		w.tally.lastFailure = clock(time.Now()) + " " + o.target.name() + ": " + cut(o.line(), 200)
	}
	return good
}

func (w *watcher) show(outcomes []outcome) {
	if w.out.terminal {
		width, height := w.out.size()
		v := view{title: w.replicas.title(), interval: w.interval, at: time.Now(), outcomes: outcomes, hidden: w.replicas.hidden}
		w.out.redraw(w.out.screen(v, width, height))
		return
	}
	w.showChanges(outcomes)
}

// showChanges prints a line for each target of which the state is another than before, and for each that is gone.
func (w *watcher) showChanges(outcomes []outcome) {
	now := map[string]said{}
	for _, o := range outcomes {
		id := o.target.identity()
		now[id] = said{o.target.name(), o.signature()}
		if w.shown[id] != now[id] {
			w.out.printf("%s %s: %s\n", clock(time.Now()), now[id].name, o.line())
		}
	}
	for _, name := range gone(w.shown, now) {
		w.out.printf("%s %s: is gone\n", clock(time.Now()), name)
	}
	w.shown = now
}

func gone(before, now map[string]said) []string {
	var names []string
	for id := range before {
		if _, ok := now[id]; !ok {
			names = append(names, before[id].name)
		}
	}
	slices.Sort(names)
	return names
}

// signature is what of an outcome makes a change: all but figures, times and an error's text.
func (o outcome) signature() string {
	signature := o.state()
	for _, c := range o.document.checks {
		signature += "," + c.name + " " + c.status + " " + c.reason
	}
	return signature
}

func (t watchTally) print(out *output) {
	out.printf("%s of %s answers failed in %s", thousands(t.failed), thousands(t.answers), brief(time.Since(t.began)))
	if t.failed > 0 {
		out.printf(", the last at %s", t.lastFailure)
	}
	out.print("\n")
}
