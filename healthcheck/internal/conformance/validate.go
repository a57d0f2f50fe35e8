package conformance

import (
	"net/http"
	"slices"
	"time"

	"github.com/echo-probes/echohealth/healthcheck/internal/health"
	"github.com/echo-probes/echohealth/healthcheck/internal/jsonvalue"
)

func validateLive(f *findings, status int, body jsonvalue.Object) {
	said := f.validateStatus(body, health.StatusesOf("live"))
	f.validateCode(status, said == "stuck")
	f.validateTimestamp(body)
}

// phases are those that an answer names.
var phases = []string{"starting", "draining"}

func validateReady(f *findings, status int, body jsonvalue.Object) {
	said := f.validateStatus(body, health.StatusesOf("ready"))
	f.validateCode(status, said == "not_ready")
	now := f.validateTimestamp(body)
	if body.Find("checks") == nil {
		return // a guard leaves the status alone
	}
	statuses := f.validateChecks(body, now)
	reason := body.Find("reason")
	if reason != nil {
		f.validateOneOf("reason", reason, phases...)
	}
	failed := slices.Contains(statuses, "error")
	switch {
	case said == "ready" && (failed || reason != nil):
		f.add("it is ready, but a check is an error, or it has a reason")
	case said == "not_ready" && !failed && reason == nil:
		f.add("it is not ready, but no check is an error, and it has no reason")
	}
}

func validateStartup(f *findings, status int, body jsonvalue.Object) {
	said := f.validateStatus(body, health.StatusesOf("startup"))
	f.validateCode(status, said == "starting")
	f.validateTimestamp(body)
}

func validateDetailed(f *findings, status int, body jsonvalue.Object) {
	said := f.validateStatus(body, health.StatusesOf("detailed"))
	f.validateCode(status, false)
	if phase := body.Find("phase"); phase != nil {
		f.validateOneOf("phase", phase, phases...)
	}
	statuses := f.validateChecks(body, f.validateTimestamp(body))
	failed := slices.Contains(statuses, "error")
	allWell := !failed && !slices.Contains(statuses, "warning")
	switch {
	case said == "healthy" && !allWell:
		f.add("it is healthy, but a check is not ok")
	case said == "degraded" && allWell:
		f.add("it is degraded, but every check is ok")
	case said == "unhealthy" && !failed:
		f.add("it is unhealthy, but no check is an error")
	}
}

func validateSingle(f *findings, status int, body jsonvalue.Object) {
	said := f.validateCheck("", body, time.Time{})
	f.validateCode(status, said == "error")
}

// validateCode finds an HTTP status that contradicts the document.
func (f *findings) validateCode(status int, unavailable bool) {
	want := http.StatusOK
	if unavailable {
		want = http.StatusServiceUnavailable
	}
	if status != want {
		f.add("the HTTP status is %d: with this document it must be %d", status, want)
	}
}

func (f *findings) validateStatus(body jsonvalue.Object, allowed []string) string {
	return f.validateOneOf("status", body.Find("status"), allowed...)
}

func (f *findings) validateTimestamp(body jsonvalue.Object) time.Time {
	return f.validateInstant("timestamp", body.Find("timestamp"))
}
