package httpprobe

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/echo-probes/echohealth/internal/redact"
)

func parse(rawURL string) (*url.URL, error) {
	u, err := url.Parse(rawURL)
	switch {
	case err != nil:
		return nil, invalid(err.Error())
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, invalid(fmt.Sprintf("%q: the scheme must be http or https", redacted(rawURL)))
	case u.Hostname() == "":
		return nil, invalid(fmt.Sprintf("%q: the host must not be empty", redacted(rawURL)))
	}
	if why := strayDelimiter(rawURL); why != "" {
		return nil, invalid(fmt.Sprintf("%q: %s", redacted(rawURL), why))
	}
	return u, nil
}

// invalid returns an error with text, which may quote a URL. It masks the URL's password.
func invalid(text string) error {
	return errors.New("httpprobe.New: " + redact.Text(text))
}

// strayDelimiter returns what is wrong in the text after the host, or "". If a password contains a /, ? or #,
// the URL parser takes the user for the host. The request would then be sent to a host with the user's name,
// and would contain the rest of the password.
func strayDelimiter(rawURL string) string {
	_, rest, _ := strings.Cut(rawURL, "://")
	tail := strings.TrimLeftFunc(rest, func(r rune) bool { return !strings.ContainsRune("/?#", r) })
	switch {
	case strings.Contains(tail, "#"):
		return "a # and the text after it are never sent: in a password # must be written as %23"
	case strings.Contains(tail, "@"):
		return "an @ after the host must be written as %40, and a special character in a password as %2F or similar"
	}
	return ""
}

// redacted returns a URL for the text of an error, without user, password, query and fragment. The URL may be
// invalid.
func redacted(rawURL string) string {
	scheme, rest, found := strings.Cut(rawURL, "://")
	if found && !strings.ContainsAny(scheme, ":@") {
		scheme += "://"
	} else {
		scheme, rest = "", rawURL
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		if strings.ContainsAny(rest[:at], "?#") {
			return scheme + "***" // the text after the @ may be part of the query
		}
		rest = "***" + rest[at:]
	}
	if i := strings.IndexAny(rest, "?#"); i >= 0 {
		rest = rest[:i+1] + "…"
	}
	return scheme + rest
}
