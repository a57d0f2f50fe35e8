// Package client sends requests to a target and reads the answers. It speaks HTTP/1.1 over connections of its
// own, without proxies, redirects and retries.
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

// Target is what to ask: a URL, and the address to connect to.
type Target struct {
	network, Address string
	socket           string   // the path of a UNIX socket; empty over TCP
	URL              *url.URL // over a UNIX socket the host in it is localhost
	replica          bool     // Address is one of those of the URL's host
	Statuses         []string // that its answer may have; nil for a path of the user's own
}

// ParseTarget reads a URL: http, https or unix.
func ParseTarget(raw string) (Target, error) {
	if rest, ok := strings.CutPrefix(raw, unixScheme); ok {
		return parseSocket(rest)
	}
	u, err := url.Parse(raw)
	switch {
	case !strings.Contains(raw, "://"):
		return Target{}, fmt.Errorf("the URL %q must begin with http://, https:// or unix://", Mask(raw))
	case err != nil:
		return Target{}, fmt.Errorf("the URL %q can't be read: %s", Mask(raw), whyUnreadable(err, raw))
	case u.Scheme != "http" && u.Scheme != "https":
		return Target{}, fmt.Errorf("the URL %q must begin with http://, https:// or unix://", Mask(raw))
	case u.Hostname() == "":
		return Target{}, fmt.Errorf("the URL %q must have a host", Mask(raw))
	}
	if why := misplacedCharacter(behindHost(raw)); why != "" {
		return Target{}, fmt.Errorf("the URL %q must not have %s", Mask(raw), why)
	}
	return Target{network: "tcp", URL: u, Address: net.JoinHostPort(u.Hostname(), port(u))}, nil
}

// behindHost returns the path, the query and the fragment, as they are written.
func behindHost(raw string) string {
	_, rest, _ := strings.Cut(raw, "://")
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		return rest[i:]
	}
	return ""
}

// misplacedCharacter says what is wrong with the part of a URL behind its host. A password with a #, a ? or a /
// in it ends there, its rest is in this part, and its user is taken for the host: the request would go
// elsewhere, and the password would be shown.
func misplacedCharacter(tail string) string {
	switch {
	case strings.Contains(tail, "#"):
		return "a #: what follows it is never sent; in a password write it as %23"
	case strings.Contains(tail, "@"):
		return "an @ after its host: write it as %40 there, and special characters in a password as %2F or the like"
	}
	return ""
}

// whyUnreadable returns the reason that package url gives, or another text if that may contain a password.
func whyUnreadable(err error, raw string) string {
	parse, ok := errors.AsType[*url.Error](err)
	if !ok || strings.Contains(raw, "@") {
		return "special characters in a password must be written as %40 or the like"
	}
	return parse.Err.Error()
}

// parseSocket reads what follows unix://, a file and perhaps a path to ask for:
// /run/app.sock:/api/health/live/.
func parseSocket(rest string) (Target, error) {
	shown := Mask(unixScheme + rest)
	file, path := splitSocket(rest)
	why := misplacedCharacter(path)
	switch {
	case !isSocketPath(file):
		return Target{}, fmt.Errorf("the URL %q must name a socket by an absolute path after unix://, without a user, a ? or a #", shown)
	case why != "":
		return Target{}, fmt.Errorf("the URL %q must not have %s", shown, why)
	}
	u, err := url.Parse("http://localhost" + path)
	if err != nil {
		return Target{}, fmt.Errorf("the URL %q can't be read: what follows the colon is no path of a URL", shown)
	}
	return Target{network: "unix", Address: file, socket: file, URL: u}, nil
}

// splitSocket splits at the last colon before a slash, unless that is in a query.
func splitSocket(rest string) (file, path string) {
	beforeQuery, _, _ := strings.Cut(rest, "?")
	if i := strings.LastIndex(beforeQuery, ":/"); i >= 0 {
		return rest[:i], rest[i+1:]
	}
	return rest, ""
}

// isSocketPath reports whether s is an absolute path, and is not meant for more than that. An @ may be in
// one: systemd's app@1.sock.
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

// String is the URL as the user wrote it, with what may be secret in it hidden.
func (t Target) String() string {
	switch {
	case t.socket == "":
		return Mask(t.URL.String())
	case t.hasPath():
		return unixScheme + t.socket + ":" + Mask(t.URL.RequestURI())
	}
	return unixScheme + t.socket
}

// Name tells the target from others: its URL, and its address where its host may have several.
func (t Target) Name() string {
	if t.replica {
		return t.String() + " (" + t.Address + ")"
	}
	return t.String()
}

// Identity tells targets apart whose names are alike, such as by their queries. It may have a secret in it,
// and must not be shown.
func (t Target) Identity() string { return t.Address + " " + t.URL.String() }

// IsTLS reports whether the target is asked over TLS.
func (t Target) IsTLS() bool { return t.URL.Scheme == "https" }

// HasUser reports whether the URL has a user, and perhaps a password.
func (t Target) HasUser() bool { return t.URL.User != nil }

func (t Target) hasPath() bool { return strings.Trim(t.URL.Path, "/") != "" }

// OrBelow returns the target as it is where its URL has a path, else that of an endpoint below the default
// prefix.
func (t Target) OrBelow(endpoint string) Target {
	if t.hasPath() {
		return t
	}
	return t.Below(endpoint)
}

// Below returns the target of an endpoint, such as "ready/". The URL's path is the prefix, if it has one.
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

// HasHostName reports whether the host must be looked up. "localhost" has two addresses and is one host.
func (t Target) HasHostName() bool {
	_, err := netip.ParseAddr(t.URL.Hostname())
	return err != nil && t.socket == "" && t.URL.Hostname() != "localhost"
}

// WithAddress returns the target at one of the addresses of its host. A request to it names the host all the
// same.
func (t Target) WithAddress(addr netip.Addr) Target {
	t.Address = net.JoinHostPort(addr.String(), port(t.URL))
	t.replica = true
	return t
}
