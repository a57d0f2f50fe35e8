// Package client sends requests to a target and reads the answers. It speaks HTTP/1.1 over its own
// connections, without proxies, redirects and retries.
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

// Target is a URL and the address of its server.
type Target struct {
	network, Address string
	socket           string   // the path of a UNIX socket; empty over TCP
	URL              *url.URL // its host is localhost over a UNIX socket
	replica          bool     // Address is one of several addresses of the URL's host
	Statuses         []string // the statuses of its endpoint; nil for a path that the user chose
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

// afterHost returns the path, the query and the fragment of a URL without decoding them.
func afterHost(raw string) string {
	_, rest, _ := strings.Cut(raw, "://")
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		return rest[i:]
	}
	return ""
}

// misplacedCharacter returns a character that must not be in the part of a URL after its host, and what to
// write instead. If a password has a #, a ? or a /, package url ends the host there and puts the rest of the
// password into this part. The request would go to another host, and messages would show the password.
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

// parseProblem returns the reason of package url, unless it may quote a password.
func parseProblem(err error, raw string) string {
	parse, ok := errors.AsType[*url.Error](err)
	if !ok || strings.Contains(raw, "@") {
		return "special characters in a password must be written as %40 or the like"
	}
	return parse.Err.Error()
}

// parseSocket parses the part of a URL after unix://. It is a file and perhaps a path, as in
// /run/app.sock:/api/health/live/.
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

// splitSocket splits at the last colon that a slash follows. It ignores colons in a query.
func splitSocket(rest string) (file, path string) {
	beforeQuery, _, _ := strings.Cut(rest, "?")
	if i := strings.LastIndex(beforeQuery, ":/"); i >= 0 {
		return rest[:i], rest[i+1:]
	}
	return rest, ""
}

// isSocketPath reports whether s is an absolute path without a user and a password. A path may have an @, as
// app@1.sock of systemd.
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

// String returns the URL as the user wrote it, without its secrets.
func (t Target) String() string {
	switch {
	case t.socket == "":
		return Mask(t.URL.String())
	case t.hasPath():
		return unixScheme + t.socket + ":" + Mask(t.URL.RequestURI())
	}
	return unixScheme + t.socket
}

// Name returns the URL, and the address too if the URL's host has several.
func (t Target) Name() string {
	if t.replica {
		return t.String() + " (" + t.Address + ")"
	}
	return t.String()
}

// Identity returns a text that no other target has, even if Name does not show the difference, such as
// another query. It must not be printed, because it may have a secret.
func (t Target) Identity() string { return t.Address + " " + t.URL.String() }

// IsTLS reports whether the URL's scheme is https.
func (t Target) IsTLS() bool { return t.URL.Scheme == "https" }

// HasUser reports whether the URL has a user.
func (t Target) HasUser() bool { return t.URL.User != nil }

func (t Target) hasPath() bool { return strings.Trim(t.URL.Path, "/") != "" }

// OrBelow returns t if its URL has a path, and else the target of an endpoint below the default prefix.
func (t Target) OrBelow(endpoint string) Target {
	if t.hasPath() {
		return t
	}
	return t.Below(endpoint)
}

// Below returns the target of an endpoint, such as "ready/". The prefix is the URL's path, or the default
// prefix if the URL has no path.
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

// HasHostName reports whether the host's addresses must be looked up. The two addresses of localhost are the
// same host.
func (t Target) HasHostName() bool {
	_, err := netip.ParseAddr(t.URL.Hostname())
	return err != nil && t.socket == "" && t.URL.Hostname() != "localhost"
}

// WithAddress returns t with one address of its host. A request for it still names the host.
func (t Target) WithAddress(addr netip.Addr) Target {
	t.Address = net.JoinHostPort(addr.String(), port(t.URL))
	t.replica = true
	return t
}
