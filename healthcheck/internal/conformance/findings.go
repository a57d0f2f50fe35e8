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

// findings is what is wrong with an answer, a sentence for each fault.
type findings []string

// findingsLimit is how many of one answer are kept.
const findingsLimit = 20

func (f *findings) add(format string, args ...any) {
	if len(*f) < findingsLimit {
		*f = append(*f, fmt.Sprintf(format, args...))
	}
}

// requiredHeaders are the headers of every answer.
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

// kubeletTimeout is a probe's timeoutSeconds where it is not set.
const kubeletTimeout = time.Second

func (f *findings) validateTime(a *client.Answer) {
	if a.Took > kubeletTimeout {
		f.add("it took %s: a kubelet waits %s by default", text.Duration(a.Took), kubeletTimeout)
	}
}

// isRefused reports whether a guard refused the request.
func isRefused(a *client.Answer) bool {
	return a.Status == http.StatusUnauthorized || a.Status == http.StatusForbidden
}

// isNotFound reports whether the middleware, and not the application behind it, answers that there is no such
// path.
func isNotFound(a *client.Answer) bool {
	return a.Status == http.StatusNotFound && strings.TrimSpace(string(a.Body)) == `{"error":"not_found"}`
}

// validateOneOf returns the string that raw is, if it must be one of those allowed.
func (f *findings) validateOneOf(name string, raw json.RawMessage, allowed ...string) string {
	s, _ := jsonvalue.AsString(raw)
	if !slices.Contains(allowed, s) {
		f.add("%s is %s: it must be one of %q", name, shown(raw), allowed)
		return ""
	}
	return s
}

// shown quotes a JSON value in a finding.
func shown(raw json.RawMessage) string {
	if raw == nil {
		return "missing"
	}
	return text.CleanWord(string(raw))
}

// validateInstant returns the point in time that raw is, if it is one.
func (f *findings) validateInstant(name string, raw json.RawMessage) time.Time {
	t, ok := jsonvalue.AsTime(raw)
	if !ok {
		f.add("%s is %s: it must be RFC 3339 in UTC, such as 2025-12-27T10:00:00Z", name, shown(raw))
		return time.Time{}
	}
	return t
}
