// Package watch requests the health of targets periodically and draws the answers.
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

// Settings are the settings of a watch.
type Settings struct {
	Request  client.Settings
	Targets  []client.Target
	FailOn   health.Level // the lowest level at which an answer counts as failed
	Interval time.Duration
}

// watcher is one run of a watch.
type watcher struct {
	Settings
	out      *terminal.Output
	replicas replicas
	printed  map[string]printedState // last printed states by Target.Identity; used only without a terminal
	summary  summary
}

// printedState is the last printed state of a target.
type printedState struct{ name, signature string }

// summary holds the counts that are printed at the end.
type summary struct {
	began           time.Time
	answers, failed int
	lastFailure     string
}

// Run draws the answers until ctx ends, and then prints the summary. It reports whether all answers of the
// last round were below FailOn.
func (s Settings) Run(ctx context.Context, out *terminal.Output) bool {
	w := &watcher{Settings: s, out: out, replicas: newReplicas(s.Targets)}
	w.summary.began = time.Now()
	if out.Terminal {
		out.Clear()
	}
	ticker := time.NewTicker(s.Interval)
	defer ticker.Stop()
	well := false
	for {
		outcomes := w.askAll(ctx)
		if ctx.Err() != nil { // the end of ctx has interrupted the requests
			break
		}
		well = w.count(outcomes)
		w.show(outcomes)
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
	w.summary.print(out)
	return well
}

// askAll sends one request to each replica. It looks up the host names each time, because replicas start and
// end.
func (w *watcher) askAll(ctx context.Context) []outcome.Outcome {
	lookup, cancel := context.WithTimeout(ctx, w.Request.Timeout)
	defer cancel()
	outcomes := outcome.AskAll(ctx, w.Request, w.replicas.targets(lookup))
	w.replicas.store(outcomes)
	return outcomes
}

// count adds outcomes to the summary. It reports whether all of them are below FailOn.
func (w *watcher) count(outcomes []outcome.Outcome) bool {
	well := true
	for _, o := range outcomes {
		w.summary.answers++
		if o.Level < w.FailOn {
			continue
		}
		well = false
		w.summary.failed++
		line := text.Cut(o.Line(), 200)
		w.summary.lastFailure = text.TimeOfDay(time.Now()) + " " + o.Target.Name() + ": " + line
	}
	return well
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

// showChanges prints a line for each target whose state has changed and for each target that is gone.
func (w *watcher) showChanges(outcomes []outcome.Outcome) {
	now := map[string]printedState{}
	for _, o := range outcomes {
		id := o.Target.Identity()
		now[id] = printedState{o.Target.Name(), signature(o)}
		if w.printed[id] != now[id] {
			w.out.Printf("%s %s: %s\n", text.TimeOfDay(time.Now()), now[id].name, o.Line())
		}
	}
	for _, name := range removed(w.printed, now) {
		w.out.Printf("%s %s: is gone\n", text.TimeOfDay(time.Now()), name)
	}
	w.printed = now
}

func removed(before, now map[string]printedState) []string {
	var names []string
	for id := range before {
		if _, ok := now[id]; !ok {
			names = append(names, before[id].name)
		}
	}
	slices.Sort(names)
	return names
}

// signature returns the state of an outcome without figures, times and texts of errors. showChanges prints an
// outcome only if its signature has changed.
func signature(o outcome.Outcome) string {
	s := o.State()
	for _, c := range o.Document.Checks {
		s += "," + c.Name + " " + c.Status + " " + c.Reason
	}
	return s
}

func (s summary) print(out *terminal.Output) {
	took := text.Duration(time.Since(s.began))
	out.Printf("%s of %s answers failed in %s", text.Thousands(s.failed), text.Thousands(s.answers), took)
	if s.failed > 0 {
		out.Printf(", the last at %s", s.lastFailure)
	}
	out.Print("\n")
}
