// Package health knows the words of health answers: which statuses an endpoint may have, and how bad each is.
package health

import (
	"net/http"
	"strings"

	"github.com/echo-probes/echohealth/healthcheck/internal/text"
)

// Level is how bad a status is.
type Level int

// The levels, the worst of them last.
const (
	Unknown Level = iota // no health answer has the status
	Well
	Warning
	Failing
)

var levels = map[string]Level{
	"alive": Well, "ready": Well, "started": Well, "healthy": Well, "ok": Well,
	"degraded": Warning, "warning": Warning,
	"unhealthy": Failing, "not_ready": Failing, "starting": Failing, "error": Failing, "stuck": Failing,
}

// LevelOf returns the level of a status, of an answer or of a check.
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

// StatusesOf returns the statuses that an endpoint may have. The endpoint "" is the index, "checks" is one
// check and "groups" is one group. A status of another endpoint means that a proxy or a wrong prefix leads
// there: a service that is alive need not be ready.
func StatusesOf(endpoint string) []string { return statuses[endpoint] }

// IsStatusCode reports whether a health answer may have this HTTP status.
func IsStatusCode(code int) bool {
	return code == http.StatusOK || code == http.StatusServiceUnavailable
}

// IsCheckName reports whether s matches [A-Za-z0-9][A-Za-z0-9._-]{0,63}, as the name of a check does.
func IsCheckName(s string) bool {
	isName := strings.Trim(s, text.Letters+text.Digits+"._-") == ""
	return isName && s != "" && len(s) <= 64 && strings.IndexByte("._-", s[0]) < 0
}
