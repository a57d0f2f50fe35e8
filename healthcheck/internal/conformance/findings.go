package conformance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/echo-probes/echohealth/healthcheck/internal/client"
	"github.com/echo-probes/echohealth/healthcheck/internal/jsonvalue"
	"github.com/echo-probes/echohealth/healthcheck/internal/text"
)

// findings are the faults of an answer. Each is one sentence.
type findings []string

// findingsLimit is the maximum number of findings for one answer.
const findingsLimit = 20

func (f *findings) add(format string, args ...any) {
	if len(*f) < findingsLimit {
		*f = append(*f, fmt.Sprintf(format, args...))
	}
}

// requiredHeaders are the headers that every answer must have.
var requiredHeaders = []struct{ name, value string }{
	{"Content-Type", "application/json"},
	{"Cache-Control", "no-store"},
	{"X-Content-Type-Options", "nosniff"},
}

func (f *findings) validateHeaders(a *client.Answer) {
	for _, w := range requiredHeaders {
		if got := a.Header.Get(w.name); got != w.value {
			f.add("%s is %q: it must be %q", w.name, text.CleanWord(got), w.value)
		}
	}
	if _, err := strconv.Atoi(a.Header.Get("Content-Length")); err != nil {
		f.add("there is no Content-Length")
	}
}

// KubeletTimeout is the default of timeoutSeconds in a Kubernetes probe. Only tests change it.
var KubeletTimeout = time.Second

func (f *findings) validateDuration(a *client.Answer) {
	if a.Took > KubeletTimeout {
		f.add("it took %s: a kubelet waits %s by default", text.Duration(a.Took), KubeletTimeout)
	}
}

// isRefused reports whether a guard refused the request.
func isRefused(a *client.Answer) bool {
	return a.Status == http.StatusUnauthorized || a.Status == http.StatusForbidden
}

// isNotFound reports whether the answer is a 404 of the health middleware, not of the application.
func isNotFound(a *client.Answer) bool {
	return a.Status == http.StatusNotFound && strings.TrimSpace(string(a.Body)) == `{"error":"not_found"}`
}

// validateOneOf returns the string in raw if it is one of allowed. Otherwise it adds a finding and returns
// "".
func (f *findings) validateOneOf(name string, raw json.RawMessage, allowed ...string) string {
	s, _ := jsonvalue.AsString(raw)
	if !slices.Contains(allowed, s) {
		f.add("%s is %s: it must be one of %q", name, quoted(raw), allowed)
		return ""
	}
	return s
}

// quoted formats a JSON value for a finding.
func quoted(raw json.RawMessage) string {
	if raw == nil {
		return "missing"
	}
	return text.CleanWord(string(raw))
}

// validateTime returns the time in raw. If raw is not a valid time, it adds a finding and returns the zero
// time.
func (f *findings) validateTime(name string, raw json.RawMessage) time.Time {
	t, ok := jsonvalue.AsTime(raw)
	if !ok {
		f.add("%s is %s: it must be RFC 3339 in UTC, such as 2025-12-27T10:00:00Z", name, quoted(raw))
		return time.Time{}
	}
	return t
}
