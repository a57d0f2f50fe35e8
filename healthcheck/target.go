package healthcheck

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
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
	url              *url.URL    // what is asked; over a UNIX socket the host in it is localhost
	replica          bool        // address is one of those of the URL's host
}

// parseTarget reads a URL: http, https or unix.
func parseTarget(raw string) (target, error) {
	if rest, ok := strings.CutPrefix(raw, unixScheme); ok {
		return parseSocket(rest)
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return target{}, fmt.Errorf("the URL %q can't be read: %s", hidePassword(raw), whyUnreadable(err, raw))
	case u.Scheme != "http" && u.Scheme != "https":
		return target{}, fmt.Errorf("the URL %q begins with neither http:// nor https:// nor unix://", hidePassword(raw))
	case u.Hostname() == "":
		return target{}, fmt.Errorf("the URL %q has no host", hidePassword(raw))
	}
	t := target{network: "tcp", url: u, address: net.JoinHostPort(u.Hostname(), port(u))}
	if u.Scheme == "https" {
		t.tls = &tls.Config{ServerName: u.Hostname(), NextProtos: []string{"http/1.1"}}
	}
	return t, nil
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
	file, path := rest, ""
	if i := strings.LastIndex(rest, ":/"); i >= 0 {
		file, path = rest[:i], rest[i+1:]
	}
	if !strings.HasPrefix(file, "/") {
		return target{}, fmt.Errorf("the URL %q names no socket: an absolute path follows unix://", unixScheme+rest)
	}
	u, err := url.Parse("http://localhost" + path)
	if err != nil {
		return target{}, fmt.Errorf("the URL %q can't be read: what follows the colon is no path of a URL", unixScheme+rest)
	}
	return target{network: "unix", address: file, socket: file, url: u}, nil
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

// hidePassword masks what may be a user and a password, in a text that need not be a URL.
func hidePassword(raw string) string {
	at := strings.LastIndexByte(raw, '@')
	if at < 0 {
		return raw
	}
	if i := strings.Index(raw, "://"); i >= 0 && i < at {
		return raw[:i+3] + "***" + raw[at:]
	}
	return "***" + raw[at:]
}

// String is the URL as the user wrote it, with its password hidden.
func (t target) String() string {
	switch {
	case t.socket == "":
		return t.url.Redacted()
	case t.hasPath():
		return unixScheme + t.socket + ":" + t.url.RequestURI()
	}
	return unixScheme + t.socket
}

// name is the target among others: its URL, and its address where its host may have several.
func (t target) name() string {
	if t.replica {
		return t.String() + " (" + t.address + ")"
	}
	return t.String()
}

func (t target) hasPath() bool { return strings.Trim(t.url.Path, "/") != "" }

// or returns the target as it is where its URL has a path, else that of an endpoint below the default prefix.
func (t target) or(endpoint string) target {
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
	return t
}

// withAddress returns the target at one of the addresses of its host. It is asked for by the host's name all the same.
func (t target) withAddress(addr netip.Addr) target {
	t.address = net.JoinHostPort(addr.String(), port(t.url))
	t.replica = true
	return t
}

// newRequest makes what is sent to the target.
func (t target) newRequest(method string, header http.Header) *http.Request {
	r := &http.Request{Method: method, URL: t.url, Host: header.Get("Host"), Header: header.Clone()}
	if user := t.url.User; user != nil && header.Get("Authorization") == "" {
		password, _ := user.Password()
		r.SetBasicAuth(user.Username(), password)
	}
	return r
}
