package healthcheck

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/echo-probes/echohealth/healthcheck/internal/client"
	"github.com/echo-probes/echohealth/healthcheck/internal/health"
	"github.com/echo-probes/echohealth/healthcheck/internal/text"
)

// outcome is what came of asking a target once.
type outcome struct {
	target   client.Target
	answer   *client.Answer // nil if there was none
	document document
	level    health.Level
	problem  string // what is wrong, where the document doesn't say it
	note     string // more about the problem
}

// askTarget asks a target, and judges the answer.
func askTarget(ctx context.Context, s client.Settings, t client.Target) outcome {
	a, err := s.Ask(ctx, t, http.MethodGet)
	if err != nil {
		return outcome{target: t, level: health.Failing, problem: client.Explain(err, s.Timeout)}
	}
	return judge(t, a)
}

// askTargets asks all targets side by side. The outcomes are in the order of the targets.
func askTargets(ctx context.Context, s client.Settings, targets []client.Target) []outcome {
	outcomes := make([]outcome, len(targets))
	var wg sync.WaitGroup
	for i, t := range targets {
		wg.Go(func() { outcomes[i] = askTarget(ctx, s, t) })
	}
	wg.Wait()
	return outcomes
}

// judge calls only a health answer well that says so. The 200 of a page that answers every path is none, and neither
// is the answer of another endpoint.
func judge(t client.Target, a *client.Answer) outcome {
	o := outcome{target: t, answer: a, level: health.Failing}
	var err error
	sent, _ := http.ParseTime(a.Header.Get("Date")) // for one check alone, which has no timestamp
	o.document, err = parseDocument(a.Body, sent)
	said := health.LevelOf(o.document.status)
	switch {
	case !health.IsStatusCode(a.Status):
		o.problem, o.note = client.StatusText(a.Status), note(a.Status)
	case err != nil:
		o.problem, o.note = client.StatusText(a.Status), err.Error()
	case said == health.Unknown:
		o.problem, o.note = client.StatusText(a.Status), `no health answer has the status "`+o.document.status+`"`
	case t.Statuses != nil && !slices.Contains(t.Statuses, o.document.status):
		o.problem = client.StatusText(a.Status)
		o.note = fmt.Sprintf("its status is %q: here it is one of %q", o.document.status, t.Statuses)
	case a.Status == http.StatusServiceUnavailable && said != health.Failing:
		o.problem, o.note = client.StatusText(a.Status), `and yet its status is "`+o.document.status+`"`
	case said == health.Well && o.document.hasTrouble():
		o.level = health.Warning
	default:
		o.level = said
	}
	return o
}

// note says what a status often comes from.
func note(status int) string {
	switch {
	case status/100 == 3:
		return "redirects are not followed"
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return "it may need a --header"
	case status == http.StatusNotFound:
		return "there is no such check or endpoint, or the prefix is another"
	}
	return ""
}

// line is the outcome for a log and for Docker, which keeps 4096 bytes: what is not ok comes first.
func (o outcome) line() string {
	var bad, good []string
	for _, c := range o.document.checks {
		if c.status == "ok" {
			good = append(good, c.name+" ok")
		} else {
			bad = append(bad, text.JoinWords(c.name, c.status, c.reason, c.lasting.String()))
		}
	}
	var alone []string
	if o.document.lasting.span != "" {
		alone = []string{o.document.lasting.String()}
	}
	rest := strings.Join(slices.Concat(bad, good, alone, o.document.details), ", ")
	if o.problem != "" {
		rest = o.note
	}
	if rest == "" {
		return o.headline()
	}
	return text.Cut(o.headline()+": "+rest, 4000)
}

// headline is the outcome in a few words.
func (o outcome) headline() string {
	if o.answer == nil {
		return o.state()
	}
	return o.state() + " in " + o.took()
}

// state is the status with its reason and phase, or the problem.
func (o outcome) state() string {
	if o.problem != "" {
		return o.problem
	}
	return text.JoinWords(o.document.status, o.document.reason, o.document.phase)
}

// took is empty where there was no answer.
func (o outcome) took() string {
	if o.answer == nil {
		return ""
	}
	return text.Duration(o.answer.Took)
}
