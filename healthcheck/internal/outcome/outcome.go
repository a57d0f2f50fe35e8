// Package outcome sends one request to each target and judges the answers.
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
	Answer   *client.Answer // nil if there was no answer
	Document document.Document
	Level    health.Level
	Problem  string // why the answer is missing or not a valid health answer; "" if it is valid
	note     string // the likely cause of Problem
}

// Ask sends a request to a target and judges the answer.
func Ask(ctx context.Context, s client.Settings, t client.Target) Outcome {
	a, err := s.Ask(ctx, t, http.MethodGet)
	if err != nil {
		return Outcome{Target: t, Level: health.Failing, Problem: s.Explain(err)}
	}
	return Judge(s, t, a)
}

// AskAll calls Ask for all targets concurrently. The outcomes are in the order of the targets.
func AskAll(ctx context.Context, s client.Settings, targets []client.Target) []Outcome {
	outcomes := make([]Outcome, len(targets))
	var wg sync.WaitGroup
	for i, t := range targets {
		wg.Go(func() { outcomes[i] = Ask(ctx, s, t) })
	}
	wg.Wait()
	return outcomes
}

// Judge returns the outcome for an answer. The level is Well only if the answer is a health answer of the
// requested endpoint. A 200 from a page that answers every path does not count, nor does the answer of
// another endpoint.
func Judge(s client.Settings, t client.Target, a *client.Answer) Outcome {
	o := Outcome{Target: t, Answer: a, Level: health.Failing}
	var err error
	// The answer for a single check has no timestamp. The header Date is used instead.
	sent, _ := http.ParseTime(a.Header.Get("Date"))
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

// Line returns the outcome in one line. The checks that are not ok are first, because Docker keeps only the
// first 4096 bytes.
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

// headline returns the state and how long the answer took.
func (o Outcome) headline() string {
	if o.Answer == nil {
		return o.State()
	}
	return o.State() + " in " + o.Took()
}

// State returns the status with its reason and phase. If there is a problem, it returns the problem instead.
func (o Outcome) State() string {
	if o.Problem != "" {
		return o.Problem
	}
	return text.JoinWords(o.Document.Status, o.Document.Reason, o.Document.Phase)
}

// Took returns how long the answer took, or "" if there was no answer.
func (o Outcome) Took() string {
	if o.Answer == nil {
		return ""
	}
	return text.Duration(o.Answer.Took)
}
