package healthcheck

import (
	"net/http"
	"strings"

	"github.com/echo-probes/echohealth/healthcheck/internal/text"
)

// level is how bad a status is.
type level int

const (
	unknown level = iota // no health answer has the status
	well
	warning
	failing
)

var levels = map[string]level{
	"alive": well, "ready": well, "started": well, "healthy": well, "ok": well,
	"degraded": warning, "warning": warning,
	"unhealthy": failing, "not_ready": failing, "starting": failing, "error": failing,
}

// levelOf returns the level of a status, of an answer or of a check.
func levelOf(status string) level { return levels[status] }

var statuses = map[string][]string{
	"live":     {"alive"},
	"ready":    {"ready", "not_ready"},
	"startup":  {"started", "starting"},
	"detailed": {"healthy", "degraded", "unhealthy"},
	"":         {"healthy", "degraded", "unhealthy"},
	"checks":   {"ok", "warning", "error"},
}

// statusesOf returns the statuses that an endpoint may have; "" is the index, and "checks" one check alone. The
// status of another endpoint means that a proxy, or a wrong prefix, leads elsewhere: a service that is alive need
// not be ready.
func statusesOf(endpoint string) []string { return statuses[endpoint] }

// isHealthCode reports whether a health answer may have this HTTP status.
func isHealthCode(code int) bool {
	return code == http.StatusOK || code == http.StatusServiceUnavailable
}

// isCheckName reports whether s matches [A-Za-z0-9][A-Za-z0-9._-]{0,63}, as the name of a check does.
func isCheckName(s string) bool {
	isName := strings.Trim(s, text.Letters+text.Digits+"._-") == ""
	return isName && s != "" && len(s) <= 64 && strings.IndexByte("._-", s[0]) < 0
}
