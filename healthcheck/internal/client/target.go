// Package client sends requests to a target and reads the answers. It speaks HTTP/1.1. It uses no proxy,
// follows no redirect and retries no request.
package client

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"github.com/echo-probes/echohealth/healthcheck/internal/health"
)

const (
	defaultPrefix = "/api/health"
	unixScheme    = "unix://"
)

// Target is a URL together with the address to connect to.
type Target struct {
	network, Address string
	socket           string   // path of the UNIX socket; "" for TCP
	URL              *url.URL // with the host localhost if the target is a UNIX socket
	replica          bool     // WithAddress has set Address
	Statuses         []string // the statuses that its endpoint may have; nil for a path that the user gave
}

// ParseTarget parses a URL with the scheme http, https or unix.
func ParseTarget(raw string) (Target, error) {
	if rest, ok := strings.CutPrefix(raw, unixScheme); ok {
		return parseSocket(rest)
	}
	u, err := url.Parse(raw)
	switch {
	case !strings.Contains(raw, "://"):
		return Target{}, fmt.Errorf("the URL %q must begin with http://, https:// or unix://", Mask(raw))
	case err != nil:
		return Target{}, fmt.Errorf("the URL %q can't be read: %s", Mask(raw), parseProblem(err, raw))
	case u.Scheme != "http" && u.Scheme != "https":
		return Target{}, fmt.Errorf("the URL %q must begin with http://, https:// or unix://", Mask(raw))
	case u.Hostname() == "":
		return Target{}, fmt.Errorf("the URL %q must have a host", Mask(raw))
	}
	if fault := misplacedCharacter(afterHost(raw)); fault != "" {
		return Target{}, fmt.Errorf("the URL %q must not have %s", Mask(raw), fault)
	}
	return Target{network: "tcp", URL: u, Address: net.JoinHostPort(u.Hostname(), port(u))}, nil
}

// afterHost returns the path, the query and the fragment of a URL, not decoded.
func afterHost(raw string) string {
	_, rest, _ := strings.Cut(raw, "://")
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		return rest[i:]
	}
	return ""
}

// misplacedCharacter checks the part of a URL after its host. It describes a character that must not be
// there, and how to write it, or returns "". If a password contains #, ? or /, package url ends the host
// there, and the rest of the password becomes part of tail. The request would then go to another host, and
// messages would show the rest of the password.
func misplacedCharacter(tail string) string {
	switch {
	case strings.Contains(tail, "#"):
		return "a #: what follows it is never sent; in a password write it as %23"
	case strings.Contains(tail, "@"):
		return "an @ after its host: write it as %40 there, " +
			"and special characters in a password as %2F or the like"
	}
	return ""
}

// parseProblem returns the text of package url's error. If this text may quote a password, parseProblem
// returns another text.
func parseProblem(err error, raw string) string {
	parse, ok := errors.AsType[*url.Error](err)
	if !ok || strings.Contains(raw, "@") {
		return "special characters in a password must be written as %40 or the like"
	}
	return parse.Err.Error()
}

// parseSocket parses the part of a URL after unix://. This part is a file, with or without a path after a
// colon, such as /run/app.sock:/api/health/live/.
func parseSocket(rest string) (Target, error) {
	shown := Mask(unixScheme + rest)
	file, path := splitSocket(rest)
	fault := misplacedCharacter(path)
	switch {
	case !isSocketPath(file):
		const rule = "must name a socket by an absolute path after unix://, without a user, a ? or a #"
		return Target{}, fmt.Errorf("the URL %q %s", shown, rule)
	case fault != "":
		return Target{}, fmt.Errorf("the URL %q must not have %s", shown, fault)
	}
	u, err := url.Parse("http://localhost" + path)
	if err != nil {
		return Target{}, fmt.Errorf("the URL %q must have a path of a URL after the colon", shown)
	}
	return Target{network: "unix", Address: file, socket: file, URL: u}, nil
}

// splitSocket splits rest at the last colon before a slash. It ignores colons in the query.
func splitSocket(rest string) (file, path string) {
	beforeQuery, _, _ := strings.Cut(rest, "?")
	if i := strings.LastIndex(beforeQuery, ":/"); i >= 0 {
		return rest[:i], rest[i+1:]
	}
	return rest, ""
}

// isSocketPath reports whether s is an absolute path and contains no user with a password. An @ alone is
// allowed, because systemd uses names such as app@1.sock.
func isSocketPath(s string) bool {
	hasPassword := strings.Contains(s[:max(strings.LastIndexByte(s, '@'), 0)], ":")
	return strings.HasPrefix(s, "/") && !strings.ContainsAny(s, "?#") && !hasPassword
}

func port(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}

// String returns the URL as the user wrote it, with its secrets hidden.
func (t Target) String() string {
	switch {
	case t.socket == "":
		return Mask(t.URL.String())
	case t.hasPath():
		return unixScheme + t.socket + ":" + Mask(t.URL.RequestURI())
	}
	return unixScheme + t.socket
}

// Name returns the URL, followed by the address if WithAddress has set it.
func (t Target) Name() string {
	if t.replica {
		return t.String() + " (" + t.Address + ")"
	}
	return t.String()
}

// Identity returns a text that is different for each target, even if their Names are equal because the URLs
// differ only in the query. The text may contain a secret, so it must not be printed.
func (t Target) Identity() string { return t.Address + " " + t.URL.String() }

// IsTLS reports whether the URL's scheme is https.
func (t Target) IsTLS() bool { return t.URL.Scheme == "https" }

// HasUser reports whether the URL has a user.
func (t Target) HasUser() bool { return t.URL.User != nil }

func (t Target) hasPath() bool { return strings.Trim(t.URL.Path, "/") != "" }

// OrBelow returns t if its URL has a path. Otherwise it returns the target of an endpoint below the default
// prefix.
func (t Target) OrBelow(endpoint string) Target {
	if t.hasPath() {
		return t
	}
	return t.Below(endpoint)
}

// Below returns the target of an endpoint, such as "ready/". The URL's path is the prefix. If the URL has no
// path, the prefix is the default prefix.
func (t Target) Below(endpoint string) Target {
	u := *t.URL
	if !t.hasPath() {
		u.Path, u.RawPath = defaultPrefix, ""
	}
	t.URL = u.JoinPath(endpoint)
	kind, _, _ := strings.Cut(endpoint, "/")
	t.Statuses = health.StatusesOf(kind)
	return t
}

// HasHostName reports whether the host is a name whose addresses must be looked up. localhost is not looked
// up, because its IPv4 and IPv6 addresses are the same host.
func (t Target) HasHostName() bool {
	_, err := netip.ParseAddr(t.URL.Hostname())
	return err != nil && t.socket == "" && t.URL.Hostname() != "localhost"
}

// WithAddress returns t with one of its host's addresses. A request for this target still names the host.
func (t Target) WithAddress(addr netip.Addr) Target {
	t.Address = net.JoinHostPort(addr.String(), port(t.URL))
	t.replica = true
	return t
}
