package healthcheck

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// findings is what is wrong with an answer, one sentence each.
type findings []string

// findingsLimit is how many of one answer are kept.
const findingsLimit = 20

func (f *findings) add(format string, args ...any) {
	if len(*f) < findingsLimit {
		*f = append(*f, fmt.Sprintf(format, args...))
	}
}

// wanted are the headers of every answer.
var wanted = []struct{ name, value string }{
	{"Content-Type", "application/json"},
	{"Cache-Control", "no-store"},
	{"X-Content-Type-Options", "nosniff"},
}

func (f *findings) headers(a *answer) {
	for _, w := range wanted {
		if got := a.header.Get(w.name); got != w.value {
			f.add("%s is %q: it is %q", w.name, clean(got, wordLimit), w.value)
		}
	}
	if _, err := strconv.Atoi(a.header.Get("Content-Length")); err != nil {
		f.add("there is no Content-Length")
	}
}

// kubeletPatience is a probe's timeoutSeconds where it is not set.
const kubeletPatience = time.Second

func (f *findings) time(a *answer) {
	if a.took > kubeletPatience {
		f.add("it took %s: a kubelet waits %s by default", brief(a.took), kubeletPatience)
	}
}

// isClosed reports whether a guard refused.
func isClosed(a *answer) bool {
	return a.status == http.StatusUnauthorized || a.status == http.StatusForbidden
}

// isNotFound reports whether the middleware itself, and not the application behind it, says that something is not there.
func isNotFound(a *answer) bool {
	return a.status == http.StatusNotFound && strings.TrimSpace(string(a.body)) == `{"error":"not_found"}`
}

func validateLive(f *findings, status int, document []member) {
	f.status(document, statusesOf["live"])
	f.code(status, false)
	f.timestamp(document)
}

// phases are those that an answer names.
var phases = []string{"starting", "draining"}

func validateReady(f *findings, status int, document []member) {
	said := f.status(document, statusesOf["ready"])
	f.code(status, said == "not_ready")
	now := f.timestamp(document)
	if find(document, "checks") == nil {
		return // a guard leaves the status alone
	}
	statuses := f.checks(document, now)
	reason := find(document, "reason")
	if reason != nil {
		f.oneOf("reason", reason, phases...)
	}
	broken := slices.Contains(statuses, "error")
	switch {
	case said == "ready" && (broken || reason != nil):
		f.add("it is ready, and yet a check is an error, or there is a reason why not")
	case said == "not_ready" && !broken && reason == nil:
		f.add("it is not ready, and neither a check nor a reason says why")
	}
}

func validateStartup(f *findings, status int, document []member) {
	said := f.status(document, statusesOf["startup"])
	f.code(status, said == "starting")
	f.timestamp(document)
}

func validateDetailed(f *findings, status int, document []member) {
	said := f.status(document, statusesOf["detailed"])
	f.code(status, false)
	if phase := find(document, "phase"); phase != nil {
		f.oneOf("phase", phase, phases...)
	}
	statuses := f.checks(document, f.timestamp(document))
	broken := slices.Contains(statuses, "error")
	allWell := !broken && !slices.Contains(statuses, "warning")
	switch {
	case said == "healthy" && !allWell:
		f.add("it is healthy, and yet a check is not ok")
	case said == "degraded" && allWell:
		f.add("it is degraded, and yet every check is ok")
	case said == "unhealthy" && !broken:
		f.add("it is unhealthy, and yet no check is an error")
	}
}

func validateSingle(f *findings, status int, document []member) {
	said := f.check("", document, time.Time{})
	f.code(status, said == "error")
}

// code holds the HTTP status to what the document says.
func (f *findings) code(status int, unavailable bool) {
	want := http.StatusOK
	if unavailable {
		want = http.StatusServiceUnavailable
	}
	if status != want {
		f.add("the HTTP status is %d: with this document it is %d", status, want)
	}
}

func (f *findings) status(document []member, allowed []string) string {
	return f.oneOf("status", find(document, "status"), allowed...)
}

// oneOf returns the string that raw is, if it is one of those allowed.
func (f *findings) oneOf(name string, raw json.RawMessage, allowed ...string) string {
	s, _ := str(raw)
	if !slices.Contains(allowed, s) {
		f.add("%s is %s: it is one of %q", name, shown(raw), allowed)
		return ""
	}
	return s
}

// shown quotes a JSON value in a finding.
func shown(raw json.RawMessage) string {
	if raw == nil {
		return "missing"
	}
	return clean(string(raw), wordLimit)
}

func (f *findings) timestamp(document []member) time.Time {
	return f.instant("timestamp", find(document, "timestamp"))
}

// instant returns the point in time that raw is, if it is one.
func (f *findings) instant(name string, raw json.RawMessage) time.Time {
	t, ok := instant(raw)
	if !ok {
		f.add("%s is %s: it is RFC 3339 in UTC, such as 2025-12-27T10:00:00Z", name, shown(raw))
		return time.Time{}
	}
	return t
}

// checks validates the member "checks" of an answer that was made at now, and returns the statuses in it.
func (f *findings) checks(document []member, now time.Time) []string {
	raw := find(document, "checks")
	list, err := members(raw)
	if err != nil {
		f.add("checks is %s: it is an object", shown(raw))
		return nil
	}
	var statuses []string
	for _, m := range list {
		if !isName(m.name) {
			f.add("a check is named %q: a name matches [A-Za-z0-9][A-Za-z0-9._-]{0,63}", clean(m.name, wordLimit))
		}
		check, err := members(m.value)
		if err != nil {
			f.add("%s is %s: a check is an object", clean(m.name, wordLimit), shown(m.value))
			continue
		}
		statuses = append(statuses, f.check(clean(m.name, wordLimit)+".", check, now))
	}
	return statuses
}

// check validates one check's object, and returns its status. Its members are named with the prefix. A zero now is
// unknown.
func (f *findings) check(prefix string, check []member, now time.Time) string {
	status := f.oneOf(prefix+"status", find(check, "status"), statusesOf["checks"]...)
	f.reason(prefix, find(check, "reason"), status)
	f.times(prefix, check, status, now)
	for _, m := range check {
		switch m.name {
		case "status", "reason", "since", "last_ok":
		case "response_time_ms":
			f.milliseconds(prefix, m.value)
		case "error":
			f.errorText(prefix, m.value, status)
		default:
			f.detail(prefix, m)
		}
	}
	return status
}

func (f *findings) reason(prefix string, raw json.RawMessage, status string) {
	reason, isString := str(raw)
	switch {
	case status == "ok" && raw != nil:
		f.add("%sreason is %s: what is ok has none", prefix, shown(raw))
	case status != "ok" && (!isString || !isReason(reason)):
		f.add("%sreason is %s: what is not ok has one, which matches [a-z][a-z0-9_]{0,31}", prefix, shown(raw))
	}
}

// times holds since and last_ok to their rules. A service of an earlier version has neither.
func (f *findings) times(prefix string, check []member, status string, now time.Time) {
	rawSince, rawOK := find(check, "since"), find(check, "last_ok")
	var since time.Time
	if rawSince != nil {
		since = f.instant(prefix+"since", rawSince)
	}
	if !now.IsZero() && since.After(now) {
		f.add("%ssince is %s: it is not after the timestamp", prefix, shown(rawSince))
	}
	if rawOK == nil {
		return
	}
	lastOK := f.instant(prefix+"last_ok", rawOK)
	switch {
	case status != "error":
		f.add("%slast_ok is %s: what is no error has none", prefix, shown(rawOK))
	case rawSince == nil || !since.IsZero() && lastOK.After(since):
		f.add("%slast_ok is %s: it is not after since, which is %s", prefix, shown(rawOK), shown(rawSince))
	}
}

// errorLength is how long an error's text may be: 1 KiB and an ellipsis.
const errorLength = 1024 + len("…")

// errorText holds the error that a private port may show to what it may be.
func (f *findings) errorText(prefix string, raw json.RawMessage, status string) {
	text, isString := str(raw)
	switch {
	case status == "ok":
		f.add("%serror is %s: what is ok has none", prefix, shown(raw))
	case !isString || len(text) > errorLength:
		f.add("%serror is %s: it is a string, of 1 KiB at most", prefix, shown(raw))
	}
}

func isReason(s string) bool {
	return s != "" && len(s) <= 32 && strings.IndexByte(lower, s[0]) >= 0 && strings.Trim(s, lower+digits+"_") == ""
}

func (f *findings) milliseconds(prefix string, raw json.RawMessage) {
	ms, ok := number(raw)
	_, decimals, _ := strings.Cut(string(raw), ".")
	if !ok || ms < 0 || len(decimals) > 2 {
		f.add("%sresponse_time_ms is %s: it is a number, at most with two decimals", prefix, shown(raw))
	}
}

// detail holds a further member to what can't carry an address, a DSN or an error's text.
func (f *findings) detail(prefix string, m member) {
	s, isString := str(m.value)
	_, isNumber := number(m.value)
	isBool := string(m.value) == "true" || string(m.value) == "false"
	isWord := isString && s != "" && len(s) <= 64 && strings.Trim(s, letters+digits+"._-") == ""
	if !isNumber && !isBool && !isWord {
		f.add("%s%s is %s: it is a number, a boolean, or a string that matches [A-Za-z0-9._-]{1,64}", prefix, clean(m.name, wordLimit), shown(m.value))
	}
}
