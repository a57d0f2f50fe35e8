package healthcheck

import (
	"crypto/tls"
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

// target is what to ask: a URL, and the address to connect to.
type target struct {
	network, address string
	socket           string      // the path of a UNIX socket; empty over TCP
	tls              *tls.Config // nil for http
	url              *url.URL    // over a UNIX socket the host in it is localhost
	replica          bool        // address is one of those of the URL's host
	statuses         []string    // that its answer may have; nil for a path of the user's own: it may be any endpoint
}

// parseTarget reads a URL: http, https or unix.
func parseTarget(raw string) (target, error) {
	if rest, ok := strings.CutPrefix(raw, unixScheme); ok {
		return parseSocket(rest)
	}
	u, err := url.Parse(raw)
	switch {
	case !strings.Contains(raw, "://"):
		return target{}, fmt.Errorf("the URL %q begins with neither http:// nor https:// nor unix://", masked(raw))
	case err != nil:
		return target{}, fmt.Errorf("the URL %q can't be read: %s", masked(raw), whyUnreadable(err, raw))
	case u.Scheme != "http" && u.Scheme != "https":
		return target{}, fmt.Errorf("the URL %q begins with neither http:// nor https:// nor unix://", masked(raw))
	case u.Hostname() == "":
		return target{}, fmt.Errorf("the URL %q has no host", masked(raw))
	}
	if why := misplacedCharacter(behindHost(raw)); why != "" {
		return target{}, fmt.Errorf("the URL %q has %s", masked(raw), why)
	}
	t := target{network: "tcp", url: u, address: net.JoinHostPort(u.Hostname(), port(u))}
	if u.Scheme == "https" {
		t.tls = &tls.Config{ServerName: u.Hostname(), NextProtos: []string{"http/1.1"}}
	}
	return t, nil
}

// behindHost returns the path, the query and the fragment, as they are written.
func behindHost(raw string) string {
	_, rest, _ := strings.Cut(raw, "://")
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		return rest[i:]
	}
	return ""
}

// misplacedCharacter says what is wrong with the part of a URL behind its host. A password with a #, a ? or a / in it
// ends there, its rest is in this part, and its user is taken for the host: the request would go elsewhere, and the
// password would be shown.
func misplacedCharacter(tail string) string {
	switch {
	case strings.Contains(tail, "#"):
		return "a #: what follows it is never sent, and in a password it is written as %23"
	case strings.Contains(tail, "@"):
		return "an @ behind its host: there it is written as %40, and what is special in a password as %2F or the like"
	}
	return ""
}

// whyUnreadable is package url's reason, unless a password may be part of it.
func whyUnreadable(err error, raw string) string {
	parse, ok := errors.AsType[*url.Error](err)
	if !ok || strings.Contains(raw, "@") {
		return "what is special in a password is written as %40 or the like"
	}
	return parse.Err.Error()
}

// parseSocket reads what follows unix://, a file and perhaps a path to ask for: /run/app.sock:/api/health/live/.
func parseSocket(rest string) (target, error) {
	shown := masked(unixScheme + rest)
	file, path := splitSocket(rest)
	why := misplacedCharacter(path)
	switch {
	case !isSocketPath(file):
		return target{}, fmt.Errorf("the URL %q names no socket: an absolute path follows unix://, without a user, a ? or a #", shown)
	case why != "":
		return target{}, fmt.Errorf("the URL %q has %s", shown, why)
	}
	u, err := url.Parse("http://localhost" + path)
	if err != nil {
		return target{}, fmt.Errorf("the URL %q can't be read: what follows the colon is no path of a URL", shown)
	}
	return target{network: "unix", address: file, socket: file, url: u}, nil
}

// splitSocket splits at the last colon before a slash, unless that is in a query.
func splitSocket(rest string) (file, path string) {
	beforeQuery, _, _ := strings.Cut(rest, "?")
	if i := strings.LastIndex(beforeQuery, ":/"); i >= 0 {
		return rest[:i], rest[i+1:]
	}
	return rest, ""
}

// isSocketPath reports whether s is an absolute path, and is not meant for more than that. An @ may be in one: systemd's app@1.sock.
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
func (t target) String() string {
	switch {
	case t.socket == "":
		return masked(t.url.String())
	case t.hasPath():
		return unixScheme + t.socket + ":" + masked(t.url.RequestURI())
	}
	return unixScheme + t.socket
}

// name tells the target from others: its URL, and its address where its host may have several.
func (t target) name() string {
	if t.replica {
		return t.String() + " (" + t.address + ")"
	}
	return t.String()
}

// identity tells targets apart whose names are alike, such as by their queries. It may have a secret in it, and must
// not be shown.
func (t target) identity() string { return t.address + " " + t.url.String() }

func (t target) hasPath() bool { return strings.Trim(t.url.Path, "/") != "" }

// orBelow returns the target as it is where its URL has a path, else that of an endpoint below the default prefix.
func (t target) orBelow(endpoint string) target {
	if t.hasPath() {
		return t
	}
	return t.below(endpoint)
}

// below returns the target of an endpoint, such as "ready/". The URL's path is the prefix, if it has one.
func (t target) below(endpoint string) target {
	u := *t.url
	if !t.hasPath() {
		u.Path, u.RawPath = defaultPrefix, ""
	}
	t.url = u.JoinPath(endpoint)
	kind, _, _ := strings.Cut(endpoint, "/")
	t.statuses = health.StatusesOf(kind)
	return t
}

// hasHostName reports whether the host must be looked up. "localhost" has two addresses and is one host.
func (t target) hasHostName() bool {
	_, err := netip.ParseAddr(t.url.Hostname())
	return err != nil && t.socket == "" && t.url.Hostname() != "localhost"
}

// withAddress returns the target at one of the addresses of its host. A request to it names the host all the same.
func (t target) withAddress(addr netip.Addr) target {
	t.address = net.JoinHostPort(addr.String(), port(t.url))
	t.replica = true
	return t
}
