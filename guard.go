package echohealth

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"unicode"

	"github.com/echo-probes/echohealth/internal/redact"
)

// Guard decides which requests may see more than live, ready and startup. Allow is called on the request's
// goroutine, for every endpoint but live and startup. A refused request for ready gets only the status. Allow
// must return fast, must not do I/O, and must be safe for concurrent use. A panic in Allow refuses the
// request, and the first one is logged. If a Guard has a method Validate() error, New calls it.
type Guard interface {
	Allow(*http.Request) bool
}

// GuardFunc is a function as a Guard. A nil GuardFunc is an error of New.
type GuardFunc func(*http.Request) bool

// Allow calls f.
func (f GuardFunc) Allow(r *http.Request) bool { return f(r) }

// Validate refuses a nil function.
func (f GuardFunc) Validate() error {
	if f == nil {
		return errors.New("GuardFunc(nil): GuardFunc must not be nil")
	}
	return nil
}

// BearerToken allows a request with the header "Authorization: Bearer TOKEN", or with the token as the
// password of basic authentication and any user name, so that a browser can log in. The comparison takes
// the same time for every wrong token.
//
// The token must not be empty, must not begin or end with white space, and must not contain a control
// character, because no header can carry such a token. An invalid token is an error of New.
func BearerToken(token string) Guard {
	return &bearerToken{invalid: validToken(token), sum: sha256.Sum256([]byte(token))}
}

type bearerToken struct {
	invalid error
	sum     [sha256.Size]byte // equally long for all tokens, so that a comparison's time hides their length
}

func validToken(token string) error {
	switch {
	case token == "":
		return errors.New(`BearerToken(""): the token must not be empty`)
	case strings.TrimSpace(token) != token:
		return errors.New("BearerToken: the token must not begin or end with white space")
	case strings.ContainsFunc(token, unicode.IsControl):
		return errors.New("BearerToken: the token must not contain a control character")
	}
	return nil
}

func (b *bearerToken) Allow(r *http.Request) bool {
	_, given, basic := r.BasicAuth()
	if !basic {
		const scheme = "Bearer "
		header := r.Header.Get("Authorization")
		if len(header) < len(scheme) || !strings.EqualFold(header[:len(scheme)], scheme) {
			return false
		}
		given = header[len(scheme):]
	}
	sum := sha256.Sum256([]byte(given))
	return subtle.ConstantTimeCompare(sum[:], b.sum[:]) == 1
}

func (b *bearerToken) Validate() error { return b.invalid }

// takesToken marks a guard that may allow a request with a token, so that its refusal is 401.
func (b *bearerToken) takesToken() bool { return true }

// Networks allows a request whose connection comes from one of these networks, such as "10.0.0.0/8" or
// "::1/128". An IPv4 address in IPv6 form is treated as the IPv4 address.
//
// Behind a proxy the connection comes from the proxy, and any client can write the headers that name the
// original client. So Networks refuses a request with a forwarding header: Via, Forwarded, X-Real-Ip,
// X-Forwarded-For and all other headers that begin with X-Forwarded-, and the headers of the large providers.
// If a proxy adds none of these headers, all its clients appear with the proxy's address. Do not list the
// address of such a proxy, or a network that contains it. A request over a Unix socket has no address and is
// refused. No network, and a network that cannot be parsed, are errors of New.
func Networks(cidrs ...string) Guard {
	n := &networks{}
	if len(cidrs) == 0 {
		n.invalid = errors.New("Networks(): name at least one network")
	}
	for _, cidr := range cidrs {
		prefix, err := netip.ParsePrefix(cidr)
		switch {
		case err != nil:
			err = fmt.Errorf("Networks(%q): a network must be an address and a length, "+
				"such as 10.0.0.0/8 or ::1/128", cidr)
		case prefix.Addr().Is4In6():
			err = fmt.Errorf("Networks(%q): an IPv4 network must be written as one, such as 10.0.0.0/8", cidr)
		}
		n.invalid = errors.Join(n.invalid, err)
		n.prefixes = append(n.prefixes, prefix.Masked())
	}
	return n
}

type networks struct {
	prefixes []netip.Prefix
	invalid  error
}

// forwarding has the canonical names of the forwarding headers that do not begin with X-Forwarded-.
var forwarding = map[string]bool{
	"Forwarded": true, "Via": true, "X-Real-Ip": true,
	"X-Original-Forwarded-For": true, "X-Client-Ip": true, "X-Cluster-Client-Ip": true,
	"True-Client-Ip": true, "Cf-Connecting-Ip": true, "Fastly-Client-Ip": true,
	"Fly-Client-Ip": true, "X-Envoy-External-Address": true, "X-Azure-Clientip": true,
	"X-Appengine-User-Ip": true,
}

func forwarded(r *http.Request) bool {
	for name := range r.Header {
		if forwarding[name] || strings.HasPrefix(name, "X-Forwarded-") {
			return true
		}
	}
	return false
}

func (n *networks) Allow(r *http.Request) bool {
	if forwarded(r) {
		return false
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	peer, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	peer = peer.Unmap().WithZone("")
	for _, prefix := range n.prefixes {
		if prefix.Contains(peer) {
			return true
		}
	}
	return false
}

func (n *networks) Validate() error { return n.invalid }

// AnyOf allows a request that at least one of guards allows. No guard, a nil guard and an invalid guard are
// errors of New.
func AnyOf(guards ...Guard) Guard {
	flat := anyOf{}
	for _, guard := range guards {
		if nested, ok := guard.(anyOf); ok && len(nested) > 0 {
			flat = append(flat, nested...)
		} else {
			flat = append(flat, guard)
		}
	}
	return flat
}

// anyOf contains no other anyOf, except an empty one, which is invalid.
type anyOf []Guard

func (a anyOf) Allow(r *http.Request) bool {
	allowed, _ := a.ask(r)
	return allowed
}

// ask calls the guards in order until one allows the request. It also returns the first panic.
func (a anyOf) ask(r *http.Request) (allowed bool, panicked error) {
	for _, guard := range a {
		allowed, err := ask(guard, r)
		if panicked == nil {
			panicked = err
		}
		if allowed {
			return true, panicked
		}
	}
	return false, panicked
}

// ask calls a guard. A guard that panics has not allowed the request.
func ask(guard Guard, r *http.Request) (allowed bool, panicked error) {
	if guards, ok := guard.(anyOf); ok {
		return guards.ask(r)
	}
	panicked = contain("a guard", func() error { allowed = guard.Allow(r); return nil })
	return allowed, panicked
}

func (a anyOf) Validate() error { return validGuards("AnyOf", a) }

func (a anyOf) takesToken() bool {
	for _, guard := range a {
		if takesToken(guard) {
			return true
		}
	}
	return false
}

func takesToken(guard Guard) bool {
	g, ok := guard.(interface{ takesToken() bool })
	return ok && g.takesToken()
}

func validGuards(call string, guards []Guard) error {
	if len(guards) == 0 {
		return fmt.Errorf("%s(): name at least one guard", call)
	}
	var errs []error
	for i, guard := range guards {
		if isNil(guard) {
			errs = append(errs, fmt.Errorf("%s: guard %d must not be nil", call, i+1))
		} else if err := validate(guard); err != nil {
			errs = append(errs, fmt.Errorf("%s: %s", call, redact.Error(err)))
		}
	}
	return errors.Join(errs...)
}
