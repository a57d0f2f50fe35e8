package httpprobe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/echo-probes/echohealth/internal/redact"
)

// An Option configures a Probe. An invalid argument is an error at construction of the health checks.
type Option func(*Probe) error

// Expect sets a function that judges the response, in place of the rule that only a status of 2xx is OK. If
// the function returns nil, the check is OK, whatever the status. An error of probes.Warn or probes.Fail sets
// the status and the reason. Any other error makes the check an Error with the reason derived from that
// error. The argument body is the beginning of the body, up to 4 KB. The function is called in the check's
// goroutine. It is not called if the response is incomplete or has the status 101. Its error must not contain
// a secret, because the error is logged. A nil function is an error at construction of the health checks. The
// last use wins.
func Expect(judge func(status int, body []byte) error) Option {
	return func(p *Probe) error {
		if judge == nil {
			return errors.New("httpprobe.Expect(nil): the function must not be nil")
		}
		p.expect = judge
		return nil
	}
}

// Method sets the method of the request. The method should change nothing at the dependency, because each run
// of the check sends it. The request has no body, and the response to HEAD has none. The default is GET. The
// method must consist of the letters A to Z and -, and must not be CONNECT. Any other method is an error at
// construction of the health checks. The last use wins.
func Method(method string) Option {
	return func(p *Probe) error {
		rest := strings.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-")
		if method == "" || rest != "" || method == http.MethodConnect {
			return fmt.Errorf("httpprobe.Method(%q): the method must consist of A to Z and -, such as HEAD, "+
				"and must not be CONNECT", method)
		}
		p.method = method
		return nil
	}
}

// Host sets the host of the request, if the address in the URL differs from the server's name. It must be a
// host, with or without a port. It does not change the name that a certificate must have. The ServerName of
// TLSConfig does that. The default is the host of the URL. An invalid host is an error at construction of the
// health checks. The last use wins.
func Host(host string) Option {
	return func(p *Probe) error {
		u, err := url.Parse("http://" + host)
		if err != nil || host == "" || u.Host != host || u.Hostname() == "" {
			return fmt.Errorf("httpprobe.Host(%q): it must be a host, with or without a port, and nothing else",
				redact.Text(redacted(host)))
		}
		p.host = host
		return nil
	}
}

// BasicAuth sends a user and a password by basic authentication. They must not be URL-encoded, and they
// replace those in the URL. The user must not contain a colon. The user and the password must not contain
// control characters, and must not both be empty. Other values are errors at construction of the health
// checks. BasicAuth and BearerToken replace each other. The last use wins.
func BasicAuth(user, password string) Option {
	return func(p *Probe) error {
		switch {
		case user == "" && password == "":
			return errors.New(`httpprobe.BasicAuth("", …): the user and the password must not both be empty`)
		case strings.Contains(user, ":"):
			return fmt.Errorf("httpprobe.BasicAuth(%q, …): the user must not contain a colon", hidden(user))
		case !isFieldValue(user) || !isFieldValue(password):
			return fmt.Errorf("httpprobe.BasicAuth(%q, …): the user and the password must not contain "+
				"a control character", hidden(user))
		}
		request := http.Request{Header: p.header}
		request.SetBasicAuth(user, password)
		return nil
	}
}

// hidden returns user for the text of an error, without the text after a colon, which may be a password.
func hidden(user string) string {
	name, _, found := strings.Cut(user, ":")
	if found {
		return name + ":***"
	}
	return name
}

// BearerToken sends a token in the header Authorization, after the word Bearer. The token must not be empty,
// must not begin or end with white space, must not contain a control character, and must not begin with the
// word Bearer. An invalid token is an error at construction of the health checks. BasicAuth and BearerToken
// replace each other. The last use wins.
func BearerToken(token string) Option {
	return func(p *Probe) error {
		var rule string
		switch {
		case token == "":
			rule = "not be empty"
		case strings.TrimSpace(token) != token:
			rule = "not begin or end with white space"
		case !isFieldValue(token):
			rule = "not contain a control character"
		case strings.HasPrefix(strings.ToLower(token), "bearer "):
			rule = "not begin with the word Bearer, which is added to it"
		default:
			p.header.Set("Authorization", "Bearer "+token)
			return nil
		}
		return errors.New("httpprobe.BearerToken(…): the token must " + rule)
	}
}

// TLSConfig sets the TLS configuration, for example for a certificate authority, a client certificate or a
// ServerName. The probe copies the configuration, and then does not share its connections with other probes.
// The default is the system's authorities and no client certificate. A nil configuration, a URL of the scheme
// http, and a use together with the option Client are errors at construction of the health checks. The last
// use wins.
func TLSConfig(config *tls.Config) Option {
	return func(p *Probe) error {
		if config == nil {
			return errors.New("httpprobe.TLSConfig(nil): the configuration must not be nil")
		}
		p.tls = config.Clone()
		return nil
	}
}

// Client sets the client that the probe uses, for example for its proxy, its dialer or HTTP/2. The probe
// neither changes nor closes the client. A nil client is an error at construction of the health checks. The
// last use wins.
//
// With every client the probe follows no redirect, reads at most 4 KB of the body, and gives the request the
// context of the check. Everything else depends on the client's transport: whether it obeys the context, how
// large a header it reads, whether it decompresses the body, and how many connections it keeps and for how
// long.
//
// The default is one client that all probes of the process share. It speaks HTTP/1.1, keeps at most two
// connections to a host for at most 90 seconds, keeps no cookies, and uses the proxies of HTTP_PROXY,
// HTTPS_PROXY and NO_PROXY.
func Client(client *http.Client) Option {
	return func(p *Probe) error {
		if client == nil {
			return errors.New("httpprobe.Client(nil): the client must not be nil")
		}
		p.client, p.given = withoutRedirects(*client), true
		return nil
	}
}

// Header adds a header to the request, such as Authorization. Repeated use with the same key adds another
// value. Header("Host", …) has the effect of the option Host. User-Agent replaces the default, "echohealth".
// The key must be a token. It must not be Content-Length, Transfer-Encoding or Trailer, which package
// net/http sets itself. The value must not contain a control character. An invalid key or value, and a second
// Authorization, are errors at construction of the health checks.
func Header(key, value string) Option {
	return func(p *Probe) error {
		if !isToken(key) {
			return fmt.Errorf(
				"httpprobe.Header(%q, …): the key must consist of letters, digits and !#$%%&'*+-.^_`|~",
				redact.Text(key))
		}
		switch http.CanonicalHeaderKey(key) {
		case "Host":
			return Host(value)(p)
		case "Content-Length", "Transfer-Encoding", "Trailer":
			return fmt.Errorf("httpprobe.Header(%q, …): the key must not be one that net/http sets itself", key)
		}
		if !isFieldValue(value) {
			return fmt.Errorf("httpprobe.Header(%q, …): the value must not contain a control character", key)
		}
		p.header.Add(key, value)
		return nil
	}
}

// BaseContext sets a context whose values are visible in the context of each request. They are for a client
// of the option Client, for example for a transport that reads a tenant or a tracer. Values of the check's
// own context have precedence. The deadline and the cancellation of ctx have no effect. The default has no
// values. A nil ctx is an error at construction of the health checks. The last use wins.
func BaseContext(ctx context.Context) Option {
	return func(p *Probe) error {
		if ctx == nil {
			return errors.New("httpprobe.BaseContext(nil): the context must not be nil")
		}
		p.base = ctx
		return nil
	}
}
