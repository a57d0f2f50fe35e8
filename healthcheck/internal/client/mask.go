package client

import (
	"strings"

	"github.com/echo-probes/echohealth/healthcheck/internal/text"
)

// Mask returns what may be shown of a text that is meant for a URL, be it valid or not: neither a user, nor
// a password, nor a query.
func Mask(raw string) string {
	scheme, rest, found := strings.Cut(raw, "://")
	if found && strings.Trim(scheme, text.Letters) == "" {
		scheme += "://"
	} else {
		scheme, rest = "", raw
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		scheme += "***"
		if strings.ContainsAny(rest[:at], "?#") {
			return scheme // what follows the @ may be of the query
		}
		rest = rest[at:]
	}
	if i := strings.IndexAny(rest, "?#"); i >= 0 {
		rest = rest[:i+1] + "…"
	}
	return scheme + rest
}
