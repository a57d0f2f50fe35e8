package healthcheck

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// level is how bad something is.
type level int

const (
	unjudged level = iota
	well
	warning
	failing
)

// levels are those of the words that an answer and a check may have as their status.
var levels = map[string]level{
	"alive": well, "ready": well, "started": well, "healthy": well, "ok": well,
	"degraded": warning, "warning": warning,
	"unhealthy": failing, "not_ready": failing, "starting": failing, "error": failing,
}

// statusesOf are the words that each endpoint may have as its status; "" is the index, and "checks" one check alone. Another's word means
// that a proxy, or a mistaken prefix, leads elsewhere: a service that is alive need not be ready.
var statusesOf = map[string][]string{
	"live":     {"alive"},
	"ready":    {"ready", "not_ready"},
	"startup":  {"started", "starting"},
	"detailed": {"healthy", "degraded", "unhealthy"},
	"":         {"healthy", "degraded", "unhealthy"},
	"checks":   {"ok", "warning", "error"},
}

// outcome is what came of asking a target once.
type outcome struct {
	target   target
	answer   *answer // nil if there was none
	document document
	level    level
	problem  string // what is wrong, if it is not the document that says so
	note     string // more about the problem
}

// ask asks a target, and judges the answer.
func (s requestSettings) ask(ctx context.Context, t target) outcome {
	a, err := s.askOnce(ctx, t, http.MethodGet)
	if err != nil {
		return outcome{target: t, level: failing, problem: explain(err, s.timeout)}
	}
	return judge(t, a)
}

// judge takes nothing for well but a health answer that says so: the 200 of a page for everything, at a mistaken path, is none, and
// neither is the answer of another endpoint.
func judge(t target, a *answer) outcome {
	o := outcome{target: t, answer: a, level: failing}
	var err error
	sent, _ := http.ParseTime(a.header.Get("Date")) // for one check alone, which has no timestamp
	o.document, err = parseDocument(a.body, sent)
	said := levels[o.document.status]
	switch {
	case !isHealthStatus(a.status):
		o.problem, o.note = statusText(a.status), note(a.status)
	case err != nil:
		o.problem, o.note = statusText(a.status), err.Error()
	case said == unjudged:
		o.problem, o.note = statusText(a.status), `no health answer has the status "`+o.document.status+`"`
	case t.statuses != nil && !slices.Contains(t.statuses, o.document.status):
		o.problem, o.note = statusText(a.status), fmt.Sprintf("its status is %q: here it is one of %q", o.document.status, t.statuses)
	case a.status == http.StatusServiceUnavailable && said != failing:
		o.problem, o.note = statusText(a.status), `and yet its status is "`+o.document.status+`"`
	case said == well && o.document.hasTrouble():
		o.level = warning
	default:
		o.level = said
	}
	return o
}

// hasTrouble reports whether a check is not ok. A service may be ready, or degraded and no more, all the same.
func (d document) hasTrouble() bool {
	for _, c := range d.checks {
		if c.status != "ok" {
			return true
		}
	}
	return false
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

// isHealthStatus reports whether a health answer may have this status.
func isHealthStatus(status int) bool {
	return status == http.StatusOK || status == http.StatusServiceUnavailable
}

// line is the outcome for a log and for Docker, which keeps 4096 bytes: what is not ok comes first.
func (o outcome) line() string {
	var bad, good []string
	for _, c := range o.document.checks {
		if c.status == "ok" {
			good = append(good, c.name+" ok")
		} else {
			bad = append(bad, spaced(c.name, c.status, c.reason, c.lasting.String()))
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
	return cut(o.headline()+": "+rest, 4000)
}

// headline is the outcome in a few words.
func (o outcome) headline() string {
	if o.answer == nil {
		return o.state()
	}
	return o.state() + " in " + o.took()
}

func (o outcome) state() string {
	if o.problem != "" {
		return o.problem
	}
	return spaced(o.document.status, o.document.reason, o.document.phase)
}

// took is empty where there was no answer.
func (o outcome) took() string {
	if o.answer == nil {
		return ""
	}
	return brief(o.answer.took)
}
