package httpprobe

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/echo-probes/echohealth/internal/classify"
)

func parse(rawURL string) (*url.URL, error) {
	u, err := url.Parse(rawURL)
	switch {
	case err != nil:
		return nil, invalid(err.Error())
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, invalid(fmt.Sprintf("%q: the scheme is http or https", shown(rawURL)))
	case u.Hostname() == "":
		return nil, invalid(fmt.Sprintf("%q: a host is required", shown(rawURL)))
	}
	if why := stray(rawURL); why != "" {
		return nil, invalid(fmt.Sprintf("%q: %s", shown(rawURL), why))
	}
	return u, nil
}

// invalid masks the password in a text that quotes a URL.
func invalid(text string) error {
	return errors.New("httpprobe.New: " + classify.Mask(text))
}

// stray says what is wrong behind the host. A password with a /, a ? or a # in it ends there, its rest is
// found behind them, and its user is taken for the host: the rest would be sent to whoever has that name.
func stray(rawURL string) string {
	_, rest, _ := strings.Cut(rawURL, "://")
	tail := strings.TrimLeftFunc(rest, func(r rune) bool { return !strings.ContainsRune("/?#", r) })
	switch {
	case strings.Contains(tail, "#"):
		return "a # is never sent with what follows it: in a password it is written as %23"
	case strings.Contains(tail, "@"):
		return "an @ behind the host is written as %40, and what is special in a password as %2F or the like"
	}
	return ""
}

// shown is a URL as an error may quote it, without user, password, query and fragment. It need not be a right
// one.
func shown(rawURL string) string {
	scheme, rest, found := strings.Cut(rawURL, "://")
	if found && !strings.ContainsAny(scheme, ":@") {
		scheme += "://"
	} else {
		scheme, rest = "", rawURL
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		if strings.ContainsAny(rest[:at], "?#") {
			return scheme + "***" // what follows the @ may be of the query
		}
		rest = "***" + rest[at:]
	}
	if i := strings.IndexAny(rest, "?#"); i >= 0 {
		rest = rest[:i+1] + "…"
	}
	return scheme + rest
}
