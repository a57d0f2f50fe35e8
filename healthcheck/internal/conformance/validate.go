package conformance

import (
	"net/http"
	"slices"
	"time"

	"github.com/echo-probes/echohealth/healthcheck/internal/health"
	"github.com/echo-probes/echohealth/healthcheck/internal/jsonvalue"
)

func validateLive(f *findings, status int, body jsonvalue.Object) {
	f.status(body, health.StatusesOf("live"))
	f.code(status, false)
	f.timestamp(body)
}

// phases are those that an answer names.
var phases = []string{"starting", "draining"}

func validateReady(f *findings, status int, body jsonvalue.Object) {
	said := f.status(body, health.StatusesOf("ready"))
	f.code(status, said == "not_ready")
	now := f.timestamp(body)
	if body.Find("checks") == nil {
		return // a guard leaves the status alone
	}
	statuses := f.checks(body, now)
	reason := body.Find("reason")
	if reason != nil {
		f.oneOf("reason", reason, phases...)
	}
	failed := slices.Contains(statuses, "error")
	switch {
	case said == "ready" && (failed || reason != nil):
		f.add("it is ready, and yet a check is an error, or there is a reason why not")
	case said == "not_ready" && !failed && reason == nil:
		f.add("it is not ready, and neither a check nor a reason says why")
	}
}

func validateStartup(f *findings, status int, body jsonvalue.Object) {
	said := f.status(body, health.StatusesOf("startup"))
	f.code(status, said == "starting")
	f.timestamp(body)
}

func validateDetailed(f *findings, status int, body jsonvalue.Object) {
	said := f.status(body, health.StatusesOf("detailed"))
	f.code(status, false)
	if phase := body.Find("phase"); phase != nil {
		f.oneOf("phase", phase, phases...)
	}
	statuses := f.checks(body, f.timestamp(body))
	failed := slices.Contains(statuses, "error")
	allWell := !failed && !slices.Contains(statuses, "warning")
	switch {
	case said == "healthy" && !allWell:
		f.add("it is healthy, and yet a check is not ok")
	case said == "degraded" && allWell:
		f.add("it is degraded, and yet every check is ok")
	case said == "unhealthy" && !failed:
		f.add("it is unhealthy, and yet no check is an error")
	}
}

func validateSingle(f *findings, status int, body jsonvalue.Object) {
	said := f.check("", body, time.Time{})
	f.code(status, said == "error")
}

// code finds an HTTP status that contradicts the document.
func (f *findings) code(status int, unavailable bool) {
	want := http.StatusOK
	if unavailable {
		want = http.StatusServiceUnavailable
	}
	if status != want {
		f.add("the HTTP status is %d: with this document it is %d", status, want)
	}
}

func (f *findings) status(body jsonvalue.Object, allowed []string) string {
	return f.oneOf("status", body.Find("status"), allowed...)
}

func (f *findings) timestamp(body jsonvalue.Object) time.Time {
	return f.instant("timestamp", body.Find("timestamp"))
}
