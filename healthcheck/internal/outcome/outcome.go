// Package outcome asks targets once, and judges their answers.
package outcome

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/echo-probes/echohealth/healthcheck/internal/client"
	"github.com/echo-probes/echohealth/healthcheck/internal/document"
	"github.com/echo-probes/echohealth/healthcheck/internal/health"
	"github.com/echo-probes/echohealth/healthcheck/internal/text"
)

// Outcome is the result of one request.
type Outcome struct {
	Target   client.Target
	Answer   *client.Answer // nil if there was none
	Document document.Document
	Level    health.Level
	Problem  string // a fault that is not in the document
	note     string // the cause of the problem
}

// Ask sends a request to a target, and judges the answer.
func Ask(ctx context.Context, s client.Settings, t client.Target) Outcome {
	a, err := s.Ask(ctx, t, http.MethodGet)
	if err != nil {
		return Outcome{Target: t, Level: health.Failing, Problem: s.Explain(err)}
	}
	return Judge(s, t, a)
}

// AskAll asks all targets concurrently. The outcomes have the order of the targets.
func AskAll(ctx context.Context, s client.Settings, targets []client.Target) []Outcome {
	outcomes := make([]Outcome, len(targets))
	var wg sync.WaitGroup
	for i, t := range targets {
		wg.Go(func() { outcomes[i] = Ask(ctx, s, t) })
	}
	wg.Wait()
	return outcomes
}

// Judge returns the outcome for an answer. Only a health answer can be well: not the 200 of a page that
// answers every path, and not the answer of another endpoint.
func Judge(s client.Settings, t client.Target, a *client.Answer) Outcome {
	o := Outcome{Target: t, Answer: a, Level: health.Failing}
	var err error
	sent, _ := http.ParseTime(a.Header.Get("Date")) // the answer for one check has no timestamp
	o.Document, err = document.Parse(a.Body, sent)
	level := health.LevelOf(o.Document.Status)
	switch {
	case !health.IsStatusCode(a.Status):
		o.Problem, o.note = client.StatusText(a.Status), s.ExplainStatus(t, a)
	case err != nil:
		o.Problem, o.note = client.StatusText(a.Status), err.Error()
	case level == health.Unknown:
		o.Problem = client.StatusText(a.Status)
		o.note = `no health answer has the status "` + o.Document.Status + `"`
	case t.Statuses != nil && !slices.Contains(t.Statuses, o.Document.Status):
		o.Problem = client.StatusText(a.Status)
		o.note = fmt.Sprintf("its status is %q: here it must be one of %q", o.Document.Status, t.Statuses)
	case a.Status == http.StatusServiceUnavailable && level != health.Failing:
		o.Problem, o.note = client.StatusText(a.Status), `but its status is "`+o.Document.Status+`"`
	case level == health.Well && o.Document.HasCheckNotOK():
		o.Level = health.Warning
	default:
		o.Level = level
	}
	return o
}

// Line returns the outcome in one line, with the checks that are not ok first. Docker keeps 4096 bytes of it.
func (o Outcome) Line() string {
	var bad, good []string
	for _, c := range o.Document.Checks {
		if c.Status == "ok" {
			good = append(good, c.Name+" ok")
		} else {
			bad = append(bad, text.JoinWords(c.Name, c.Status, c.Reason, c.Lasting.String()))
		}
	}
	for _, g := range o.Document.Groups {
		good = append(good, text.JoinWords("group", g.Name, g.Status))
	}
	var single []string
	if o.Document.Lasting.Span != "" {
		single = []string{o.Document.Lasting.String()}
	}
	rest := strings.Join(slices.Concat(bad, good, single, o.Document.Details), ", ")
	if o.Problem != "" {
		rest = o.note
	}
	if rest == "" {
		return o.headline()
	}
	return text.Cut(o.headline()+": "+rest, 4000)
}

// headline returns the state and the time.
func (o Outcome) headline() string {
	if o.Answer == nil {
		return o.State()
	}
	return o.State() + " in " + o.Took()
}

// State returns the status with its reason and phase, or the problem.
func (o Outcome) State() string {
	if o.Problem != "" {
		return o.Problem
	}
	return text.JoinWords(o.Document.Status, o.Document.Reason, o.Document.Phase)
}

// Took returns the time of the answer, or "" without an answer.
func (o Outcome) Took() string {
	if o.Answer == nil {
		return ""
	}
	return text.Duration(o.Answer.Took)
}
