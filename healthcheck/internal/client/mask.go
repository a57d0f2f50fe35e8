package client

import (
	"strings"

	"github.com/echo-probes/echohealth/healthcheck/internal/text"
)

// Mask returns raw with its user, password and query hidden. raw need not be a valid URL.
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
			return scheme // the text after the @ may belong to the query
		}
		rest = rest[at:]
	}
	if i := strings.IndexAny(rest, "?#"); i >= 0 {
		rest = rest[:i+1] + "…"
	}
	return scheme + rest
}
