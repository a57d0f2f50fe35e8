package conformance

import (
	"net/http"
	"slices"
	"time"

	"github.com/echo-probes/echohealth/healthcheck/internal/health"
	"github.com/echo-probes/echohealth/healthcheck/internal/jsonvalue"
)

func validateLive(f *findings, code int, body jsonvalue.Object) {
	said := f.validateStatus(body, health.StatusesOf("live"))
	f.validateCode(code, said == "stuck")
	f.validateTimestamp(body)
}

// phases are the valid values of "phase", and of "reason" in readiness.
var phases = []string{"starting", "draining"}

func validateReady(f *findings, code int, body jsonvalue.Object) {
	status := f.validateStatus(body, health.StatusesOf("ready"))
	f.validateCode(code, status == "not_ready")
	now := f.validateTimestamp(body)
	if body.Find("checks") == nil {
		return // a guard removes the checks from the answer
	}
	statuses := f.validateChecks(body, now)
	reason := body.Find("reason")
	if reason != nil {
		f.validateOneOf("reason", reason, phases...)
	}
	failed := slices.Contains(statuses, "error")
	switch {
	case status == "ready" && (failed || reason != nil):
		f.add("it is ready, but a check is an error, or it has a reason")
	case status == "not_ready" && !failed && reason == nil:
		f.add("it is not ready, but no check is an error, and it has no reason")
	}
}

func validateStartup(f *findings, code int, body jsonvalue.Object) {
	status := f.validateStatus(body, health.StatusesOf("startup"))
	f.validateCode(code, status == "starting")
	f.validateTimestamp(body)
}

func validateDetailed(f *findings, code int, body jsonvalue.Object) {
	status := f.validateStatus(body, health.StatusesOf("detailed"))
	f.validateCode(code, false)
	if phase := body.Find("phase"); phase != nil {
		f.validateOneOf("phase", phase, phases...)
	}
	statuses := f.validateChecks(body, f.validateTimestamp(body))
	failed := slices.Contains(statuses, "error")
	allWell := !failed && !slices.Contains(statuses, "warning")
	switch {
	case status == "healthy" && !allWell:
		f.add("it is healthy, but a check is not ok")
	case status == "degraded" && allWell:
		f.add("it is degraded, but every check is ok")
	case status == "unhealthy" && !failed:
		f.add("it is unhealthy, but no check is an error")
	}
}

func validateSingle(f *findings, code int, body jsonvalue.Object) {
	status := f.validateCheck("", body, time.Time{})
	f.validateCode(code, status == "error")
}

// validateCode validates the HTTP status. It must be 503 if the document means unavailable, and otherwise
// 200.
func (f *findings) validateCode(code int, unavailable bool) {
	want := http.StatusOK
	if unavailable {
		want = http.StatusServiceUnavailable
	}
	if code != want {
		f.add("the HTTP status is %d: with this document it must be %d", code, want)
	}
}

func (f *findings) validateStatus(body jsonvalue.Object, allowed []string) string {
	return f.validateOneOf("status", body.Find("status"), allowed...)
}

func (f *findings) validateTimestamp(body jsonvalue.Object) time.Time {
	return f.validateTime("timestamp", body.Find("timestamp"))
}
