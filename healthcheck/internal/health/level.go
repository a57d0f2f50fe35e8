// Package health defines the statuses of health answers: which statuses each endpoint may have, and how bad
// each status is.
package health

import (
	"net/http"
	"strings"

	"github.com/echo-probes/echohealth/healthcheck/internal/text"
)

// Level is how bad a status is.
type Level int

// The levels are in order. The last is the worst.
const (
	Unknown Level = iota // the status is not one of a health answer
	Well
	Warning
	Failing
)

var levels = map[string]Level{
	"alive": Well, "ready": Well, "started": Well, "healthy": Well, "ok": Well,
	"degraded": Warning, "warning": Warning,
	"unhealthy": Failing, "not_ready": Failing, "starting": Failing, "error": Failing, "stuck": Failing,
}

// LevelOf returns the level of a status. The status may be that of an answer or of a check.
func LevelOf(status string) Level { return levels[status] }

var statuses = map[string][]string{
	"live":     {"alive", "stuck"},
	"ready":    {"ready", "not_ready"},
	"startup":  {"started", "starting"},
	"detailed": {"healthy", "degraded", "unhealthy"},
	"":         {"healthy", "degraded", "unhealthy"},
	"checks":   {"ok", "warning", "error"},
	"groups":   {"ready", "not_ready"},
}

// StatusesOf returns the statuses that an endpoint may have. The endpoint "" is the index, "checks" is a
// single check and "groups" is a single group. If an answer has a status of another endpoint, a proxy or a
// wrong prefix has sent the request to that endpoint. Such an answer must not count, because a service that
// is alive need not be ready, for example.
func StatusesOf(endpoint string) []string { return statuses[endpoint] }

// IsStatusCode reports whether code is an HTTP status that a health answer may have.
func IsStatusCode(code int) bool {
	return code == http.StatusOK || code == http.StatusServiceUnavailable
}

// IsCheckName reports whether s is a valid name of a check, which matches [A-Za-z0-9][A-Za-z0-9._-]{0,63}.
func IsCheckName(s string) bool {
	isName := strings.Trim(s, text.Letters+text.Digits+"._-") == ""
	return isName && s != "" && len(s) <= 64 && strings.IndexByte("._-", s[0]) < 0
}
