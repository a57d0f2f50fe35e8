// Package contract tests each adapter for a web framework against the same table of requests and answers. The
// requests go to a real server. Only tests import the package.
package contract

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"

	"github.com/echo-probes/echohealth"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Run tests an adapter against the contract. serve must return an application that uses the middleware of h.
// The application must send these answers with its own framework:
//
//	GET /hello        200 "hello"
//	GET /api/healthy  200 "the application's own"
//	GET /fails        500 "the application's error handler", from an error that the handler returns
//	anything else     404 "the application's 404", from the router's error
//
// Each of these answers must have the header "X-Application: yes".
func Run(t *testing.T, serve func(h *echohealth.Health) http.Handler) {
	for _, s := range situations {
		t.Run(s.name, func(t *testing.T) {
			h, err := echohealth.New(s.allOptions()...)
			require.NoError(t, err)
			server := httptest.NewServer(serve(h))
			t.Cleanup(func() {
				server.Close()
				assert.NoError(t, h.Close())
			})
			if s.before != nil {
				s.before(t, h)
			}
			c := &client{t: t, situation: s, server: server}
			for _, a := range s.ours {
				c.checkOurs(a)
				c.checkOurs(a.withSlash())
			}
			for _, a := range slices.Concat(application, s.theirs) {
				c.checkTheirs(a)
			}
		})
	}
}

// client sends the requests of one situation.
type client struct {
	t         *testing.T
	situation situation
	server    *httptest.Server
}

// reply is the answer to one request.
type reply struct {
	asked  string // the method and the path
	status int
	header http.Header
	body   string
	closes bool // the answer has Connection: close
}

// checkOurs requests a path of the middleware with every method, and checks the answers.
func (c *client) checkOurs(a answer) {
	get := c.ask(http.MethodGet, a.path)
	assert.Equal(c.t, a.status, get.status, get.asked)
	assert.Regexp(c.t, a.pattern(), get.body, get.asked)
	c.checkHeaders(get)

	head := c.ask(http.MethodHead, a.path)
	assert.Empty(c.t, head.body, head.asked)
	assert.Equal(c.t, get.status, head.status, head.asked)
	assert.Equal(c.t, c.common(get.header), c.common(head.header), head.asked)

	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PURGE"} {
		other := c.ask(method, a.path)
		c.checkHeaders(other)
		if get.status == http.StatusOK || get.status == http.StatusServiceUnavailable {
			assert.Equal(c.t, http.StatusMethodNotAllowed, other.status, other.asked)
			assert.Equal(c.t, "GET, HEAD", other.header.Get("Allow"), other.asked)
			assert.Equal(c.t, `{"error":"method_not_allowed"}`, other.body, other.asked)
			continue
		}
		assert.Equal(c.t, get.status, other.status,
			"%s: the guard and the path must be checked before the method", other.asked)
		assert.Equal(c.t, get.body, other.body, other.asked)
	}
}

// checkHeaders checks the headers that all answers of the middleware have.
func (c *client) checkHeaders(r reply) {
	assert.Equal(c.t, "application/json", r.header.Get("Content-Type"), r.asked)
	assert.Equal(c.t, "no-store", r.header.Get("Cache-Control"), r.asked)
	assert.Equal(c.t, "nosniff", r.header.Get("X-Content-Type-Options"), r.asked)
	assert.Equal(c.t, strconv.Itoa(len(r.body)), r.header.Get("Content-Length"), r.asked)
	assert.Equal(c.t, r.status == http.StatusUnauthorized, r.header.Get("WWW-Authenticate") != "", r.asked)
	assert.Equal(c.t, c.situation.closes, r.closes, "%s: Connection: close", r.asked)
	assert.Empty(c.t, r.header.Get("X-Application"), r.asked)
}

// common returns the headers in which GET and HEAD must agree. It leaves out Date, and also Content-Length if
// the answer contains system metrics, because these may change between the two requests.
func (c *client) common(h http.Header) http.Header {
	h = h.Clone()
	h.Del("Date")
	if c.situation.measures {
		h.Del("Content-Length")
	}
	return h
}

// checkTheirs requests a path of the application and checks that the middleware has not changed the answer.
func (c *client) checkTheirs(a answer) {
	get := c.ask(http.MethodGet, a.path)
	assert.Equal(c.t, a.status, get.status, get.asked)
	assert.Equal(c.t, a.body, get.body, get.asked)
	assert.Equal(c.t, "yes", get.header.Get("X-Application"), get.asked)
	assert.Equal(c.t, c.situation.closes, get.closes, "%s: Connection: close", get.asked)
	for _, name := range []string{"Cache-Control", "X-Content-Type-Options", "WWW-Authenticate"} {
		assert.Empty(c.t, get.header.Get(name), get.asked)
	}
}

// ask sends one request. It does not follow redirects.
func (c *client) ask(method, path string) reply {
	asked := method + " " + path
	request, err := http.NewRequestWithContext(c.t.Context(), method, c.server.URL+path, nil)
	require.NoError(c.t, err, asked)
	maps.Copy(request.Header, c.situation.header)
	response, err := c.server.Client().Transport.RoundTrip(request)
	require.NoError(c.t, err, asked)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	require.NoError(c.t, err, asked)
	return reply{
		asked: asked, status: response.StatusCode, header: response.Header,
		body: string(body), closes: response.Close,
	}
}
