package echohealth_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/echo-probes/echohealth"
	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// visitor returns a request from the address peer with these headers.
func visitor(peer string, header ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/api/health/detailed/", nil)
	r.RemoteAddr = peer
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

func basic(user, password string) string {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.SetBasicAuth(user, password)
	return r.Header.Get("Authorization")
}

func TestBearerToken(t *testing.T) {
	guard := echohealth.BearerToken("s3cret")
	tests := map[string]bool{
		"Bearer s3cret": true, "bearer s3cret": true, "BEARER s3cret": true,
		basic("", "s3cret"): true, basic("anybody", "s3cret"): true,
		"": false, "s3cret": false, "Bearer": false, "Bearer ": false, "Bearer s3cre": false, "Bearer s3cret ": false, "Bearer s3crets": false,
		"Token s3cret": false, basic("s3cret", ""): false, basic("s3cret", "x"): false, "Basic !": false,
	}
	for header, want := range tests {
		assert.Equal(t, want, guard.Allow(visitor("10.0.0.1:1", "Authorization", header)), "%q", header)
	}
	assert.False(t, guard.Allow(visitor("10.0.0.1:1")))
	assert.False(t, echohealth.BearerToken("").Allow(visitor("10.0.0.1:1", "Authorization", "Bearer")))
}

func TestNetworks(t *testing.T) {
	guard := echohealth.Networks("10.0.0.0/8", "192.168.1.7/32", "fd00::/8", "::1/128")
	tests := map[string]bool{
		"10.1.2.3:4711": true, "192.168.1.7:1": true, "[fd00::1]:1": true, "[::1]:1": true, "[::ffff:10.1.2.3]:1": true, "[fd00::1%eth0]:1": true,
		"11.0.0.1:1": false, "192.168.1.8:1": false, "[fe80::1]:1": false, "[::ffff:11.0.0.1]:1": false,
		"@": false, "": false, "/run/app.sock": false, "10.1.2.3": false, "localhost:1": false,
	}
	for peer, want := range tests {
		assert.Equal(t, want, guard.Allow(visitor(peer)), "%q", peer)
	}
	for _, header := range []string{"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded", "X-Real-IP", "Via", "X-Original-Forwarded-For",
		"X-Client-IP", "X-Cluster-Client-IP", "True-Client-IP", "CF-Connecting-IP", "Fastly-Client-IP", "Fly-Client-IP", "X-Envoy-External-Address",
		"X-Azure-ClientIP", "X-Appengine-User-IP"} {
		assert.False(t, guard.Allow(visitor("10.1.2.3:1", header, "10.1.2.3")), "%s may close, never open", header)
		assert.False(t, guard.Allow(visitor("10.1.2.3:1", header, "")), "an empty token too")
	}
}

func TestInvalidGuards(t *testing.T) {
	tests := []struct {
		option echohealth.Option
		want   string
	}{
		{echohealth.WithGuard(), `WithGuard(): name at least one guard`},
		{echohealth.WithGuard(nil), `WithGuard: guard 1 must not be nil`},
		{echohealth.WithGuard(echohealth.GuardFunc(nil)), `WithGuard: GuardFunc(nil): GuardFunc must not be nil`},
		{echohealth.WithGuard(echohealth.BearerToken("")), `WithGuard: BearerToken(""): the token must not be empty`},
		{echohealth.WithGuard(echohealth.BearerToken("s3cret\n")), `WithGuard: BearerToken: the token must not begin or end with white space`},
		{echohealth.WithGuard(echohealth.BearerToken(" s3cret")), `WithGuard: BearerToken: the token must not begin or end with white space`},
		{echohealth.WithGuard(echohealth.BearerToken("s3\x00cret")), `WithGuard: BearerToken: the token must not contain a control character`},
		{echohealth.WithGuard(echohealth.Networks()), `WithGuard: Networks(): name at least one network`},
		{echohealth.WithGuard(echohealth.Networks("10.0.0.0")), `WithGuard: Networks("10.0.0.0"): a network must be an address and a length, such as 10.0.0.0/8 or ::1/128`},
		{echohealth.WithGuard(echohealth.Networks("10.0.0.0/33", "x")), `Networks("x"): a network must be`},
		{echohealth.WithGuard(echohealth.Networks("::ffff:10.0.0.0/104")), `an IPv4 network must be written as one`},
		{echohealth.WithGuard(echohealth.AnyOf()), `WithGuard: AnyOf(): name at least one guard`},
		{echohealth.WithGuard(echohealth.AnyOf(echohealth.BearerToken(""), nil)), `AnyOf: BearerToken(""): the token must not be empty`},
		{echohealth.WithGuard(echohealth.AnyOf(echohealth.BearerToken("x"), nil)), `AnyOf: guard 2 must not be nil`},
		{echohealth.WithPublic("readyz"), `WithPublic: "readyz" is none of the endpoints ["live" "ready" "startup" "detailed" "index" "checks" "groups" "prometheus" "history" "badge.svg"]`},
		{echohealth.WithAlias("readyz", echohealth.Ready), `WithAlias("readyz", "ready"): the path must begin with /`},
		{echohealth.WithAlias("", echohealth.Ready), `WithAlias("", "ready"): the path must begin with /`},
		{echohealth.WithAlias("//", echohealth.Ready), `WithAlias("//", "ready"): the path must not end with /`},
		{echohealth.WithAlias("/", echohealth.Checks), `WithAlias("/", "checks"): the endpoint must have one path, and "checks" has many`},
		{echohealth.WithAlias("/.", echohealth.Live), `WithAlias("/.", "live"): the path must not contain a segment .`},
		{echohealth.WithAlias("/readyz/", echohealth.Ready), `the path must not end with /`},
		{echohealth.WithAlias("/readyz", "reddy"), `WithAlias("/readyz", "reddy"): "reddy" is none of the endpoints`},
		{echohealth.WithAlias("/readyz", echohealth.Checks), `the endpoint must have one path, and "checks" has many`},
		{echohealth.WithAlias("/api/health", echohealth.Live), `WithAlias("/api/health", "live"): an alias must not be below the prefix, which is "/api/health"`},
		{echohealth.WithAlias("/api/health/x", echohealth.Live), `an alias must not be below the prefix`},
		{echohealth.WithOnChange(nil), `WithOnChange(nil): the function must not be nil`},
		{echohealth.WithDrainDelay(-1), `WithDrainDelay(-1ns): the duration must be 0, or at least 1ms`},
		{echohealth.WithDrainDelay(5), `WithDrainDelay(5ns): the duration must be 0, or at least 1ms`},
		{echohealth.WithRedis(well, echohealth.FailureThreshold(0)), `WithRedis: FailureThreshold(0): the threshold must be at least 1`},
		{echohealth.WithRedis(well, echohealth.SuccessThreshold(-1)), `WithRedis: SuccessThreshold(-1): the threshold must be at least 1`},
	}
	for _, test := range tests {
		_, err := echohealth.New(test.option)
		assert.ErrorContains(t, err, test.want)
	}
	_, err := echohealth.New(echohealth.WithAlias("/z", echohealth.Live), echohealth.WithAlias("/z", echohealth.Ready))
	assert.ErrorContains(t, err, `WithAlias("/z", "ready"): the path has an alias already`)
}

func TestGuards(t *testing.T) {
	token, office := echohealth.BearerToken("s3cret"), echohealth.Networks("10.0.0.0/8")
	tests := map[string]struct {
		guards    []echohealth.Option
		visitor   *http.Request
		code      int
		challenge bool
	}{
		"no guard":                 {nil, visitor("1.2.3.4:1"), 200, false},
		"the token":                {[]echohealth.Option{echohealth.WithGuard(token)}, visitor("1.2.3.4:1", "Authorization", "Bearer s3cret"), 200, false},
		"no token":                 {[]echohealth.Option{echohealth.WithGuard(token)}, visitor("1.2.3.4:1"), 401, true},
		"the network":              {[]echohealth.Option{echohealth.WithGuard(office)}, visitor("10.1.1.1:1"), 200, false},
		"another network":          {[]echohealth.Option{echohealth.WithGuard(office)}, visitor("1.2.3.4:1"), 403, false},
		"both, of which one fails": {[]echohealth.Option{echohealth.WithGuard(office), echohealth.WithGuard(token)}, visitor("10.1.1.1:1"), 401, true},
		"both, of which both fail": {[]echohealth.Option{echohealth.WithGuard(token, office)}, visitor("1.2.3.4:1"), 403, false},
		"a token doesn't help":     {[]echohealth.Option{echohealth.WithGuard(office, token)}, visitor("1.2.3.4:1", "Authorization", "Bearer s3cret"), 403, false},
		"one of two":               {[]echohealth.Option{echohealth.WithGuard(echohealth.AnyOf(office, token))}, visitor("10.1.1.1:1"), 200, false},
		"none of two":              {[]echohealth.Option{echohealth.WithGuard(echohealth.AnyOf(office, token))}, visitor("1.2.3.4:1"), 401, true},
		"a function":               {[]echohealth.Option{echohealth.WithGuard(echohealth.GuardFunc(func(*http.Request) bool { return false }))}, visitor("10.1.1.1:1"), 403, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			h := newHealth(t, append(test.guards, quiet, echohealth.WithRedis(failing(errors.New("down"))))...)
			for _, path := range []string{"/api/health", "/api/health/detailed/", "/api/health/checks/cpu", "/api/health/nope", "/api/health/live/x"} {
				w := as(h, test.visitor, path)
				want := test.code
				if want == 200 && (path == "/api/health/nope" || path == "/api/health/live/x") {
					want = 404
				}
				assert.Equal(t, want, w.Code, path)
				assert.Equal(t, test.challenge, w.Header().Get("WWW-Authenticate") != "", path)
				if test.challenge {
					assert.Equal(t, []string{`Bearer realm="health"`, `Basic realm="health", charset="UTF-8"`}, w.Header().Values("WWW-Authenticate"),
						"a browser asks for a password")
				}
				assert.Equal(t, "no-store", w.Header().Get("Cache-Control"))
			}
			assert.Equal(t, 200, as(h, test.visitor, "/api/health/live").Code)
			assert.Equal(t, 200, as(h, test.visitor, "/api/health/startup/").Code)
			ready := as(h, test.visitor, "/api/health/ready")
			assert.Equal(t, 503, ready.Code)
			assert.Equal(t, test.code == 200, strings.Contains(ready.Body.String(), "checks"), ready.Body.String())
			assert.Equal(t, 200, as(h.Private(), test.visitor, "/api/health/detailed").Code)
			assert.Equal(t, 404, as(h.Private(), test.visitor, "/hello").Code)
		})
	}
}

// as sends a copy of the request for path.
func as(handler http.Handler, user *http.Request, path string) *httptest.ResponseRecorder {
	r := user.Clone(user.Context())
	r.URL.Path = path
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

// An endpoint that needs no guard and is not public is 404, with and without the token.
func TestAGuardRefusesNeitherLiveNorStartup(t *testing.T) {
	h := newHealth(t, echohealth.WithGuard(echohealth.BearerToken("s3cret")), echohealth.WithPublic(echohealth.Ready))
	for path, code := range map[string]int{"/api/health/live": 404, "/api/health/startup": 404, "/api/health/ready": 200, "/api/health/detailed": 401} {
		assert.Equal(t, code, as(h, visitor("10.0.0.1:1"), path).Code, path)
	}
}

// A guard that panics refuses only what guards protect. Live and startup do not call it.
func TestBrokenGuards(t *testing.T) {
	var log logBuffer
	var asked []string
	broken := echohealth.GuardFunc(func(r *http.Request) bool {
		asked = append(asked, r.URL.Path)
		panic("token=s3cret")
	})
	h := newHealth(t, logTo(&log), echohealth.WithoutSystemMetrics(), echohealth.WithRedis(well), echohealth.WithGuard(broken))
	user := visitor("10.0.0.1:1")
	for _, path := range []string{"/api/health/live", "/api/health/startup/"} {
		assert.Equal(t, 200, as(h, user, path).Code)
	}
	assert.Empty(t, asked)
	for range 3 {
		ready := as(h, user, "/api/health/ready")
		assert.Equal(t, 200, ready.Code)
		assert.NotContains(t, ready.Body.String(), "redis")
		assert.Equal(t, 403, as(h, user, "/api/health/detailed").Code)
		assert.Equal(t, 403, as(h, user, "/api/health/nope").Code)
	}
	require.NoError(t, h.Close())
	require.Len(t, records(&log), 1)
	assert.Contains(t, records(&log)[0],
		`ERROR msg="a guard failed (only its first panic is logged)" error="a guard panicked: token=***\ngoroutine `)
}

func TestAnyOfAsksForATokenIfAGuardDoes(t *testing.T) {
	inside, token := echohealth.Networks("10.0.0.0/8"), echohealth.BearerToken("s3cret")
	for _, test := range []struct {
		guard echohealth.Guard
		code  int
	}{
		{echohealth.AnyOf(inside), 403},
		{echohealth.AnyOf(inside, token), 401},
		{echohealth.AnyOf(token, inside), 401},
	} {
		h := newHealth(t, quiet, echohealth.WithGuard(test.guard))
		assert.Equal(t, test.code, as(h, visitor("192.0.2.1:1"), "/api/health/detailed").Code)
		assert.False(t, test.guard.Allow(visitor("192.0.2.1:1")))
		assert.True(t, test.guard.Allow(visitor("10.0.0.1:1")))
	}
	_, err := echohealth.New(echohealth.WithGuard(echohealth.AnyOf(echohealth.AnyOf(), token)))
	assert.ErrorContains(t, err, "AnyOf(): name at least one guard")
}

func TestBrokenGuardInAList(t *testing.T) {
	var log logBuffer
	broken := echohealth.GuardFunc(func(*http.Request) bool { panic("a bug") })
	token := echohealth.BearerToken("s3cret")
	for _, guards := range [][]echohealth.Guard{{broken, token}, {token, broken}, {broken, echohealth.AnyOf(broken, token)}} {
		h := newHealth(t, logTo(&log), echohealth.WithoutSystemMetrics(), echohealth.WithGuard(echohealth.AnyOf(guards...)))
		assert.Equal(t, 200, as(h, visitor("10.0.0.1:1", "Authorization", "Bearer s3cret"), "/api/health/detailed").Code)
		assert.Equal(t, 401, as(h, visitor("10.0.0.1:1"), "/api/health/detailed").Code)
		require.NoError(t, h.Close())
	}
	assert.Len(t, records(&log), 3, "once for each Health")
}

// invalid is a guard whose Validate panics.
type invalid struct{}

func (invalid) Allow(*http.Request) bool { return true }
func (invalid) Validate() error          { panic("password=s3cret") }

func TestGuardWhoseValidatePanics(t *testing.T) {
	_, err := echohealth.New(echohealth.WithGuard(invalid{}))
	assert.ErrorContains(t, err,
		"echohealth: WithGuard: Validate of echohealth_test.invalid panicked: password=***\ngoroutine ")
}

func TestPublic(t *testing.T) {
	h := newHealth(t, echohealth.WithPublic(echohealth.Live, echohealth.Ready), echohealth.WithAlias("/readyz", echohealth.Ready))
	for path, code := range map[string]int{"/api/health/live": 200, "/api/health/ready/": 200, "/api/health/detailed": 404, "/api/health": 404,
		"/api/health/checks/cpu": 404, "/api/health/startup": 404, "/readyz": 200} {
		assert.Equal(t, code, get(h, path).Code, path)
		if code == 404 {
			assert.Equal(t, 200, get(h.Private(), path).Code, path)
		}
	}
	none := newHealth(t, echohealth.WithPublic())
	assert.Equal(t, 404, get(none, "/api/health/live").Code)
	assert.Equal(t, 200, get(none.Private(), "/api/health/live").Code)
}

func TestAlias(t *testing.T) {
	h := newHealth(t, quiet, echohealth.WithRedis(failing(errors.New("down"))), echohealth.WithGuard(echohealth.BearerToken("x")),
		echohealth.WithAlias("/livez", echohealth.Live), echohealth.WithAlias("/readyz", echohealth.Ready), echohealth.WithAlias("/status", echohealth.Index))
	e, _ := service(h.Middleware)
	for path, code := range map[string]int{"/livez": 200, "/livez/": 200, "/readyz": 503, "/status": 401, "/hello": 200, "/livez//": 404, "/livezz": 404} {
		assert.Equal(t, code, get(e, path).Code, path)
	}
	assert.Equal(t, 405, request(e, http.MethodPost, "/readyz").Code)
}

// Some load balancers can request only the path /.
func TestAliasOfTheRoot(t *testing.T) {
	h := newHealth(t, quiet, echohealth.WithRedis(failing(errors.New("down"))),
		echohealth.WithAlias("/", echohealth.Live), echohealth.WithAlias("/readyz", echohealth.Ready))
	e, _ := service(h.Middleware)
	e.GET("/", func(c echo.Context) error { return c.String(http.StatusTeapot, "the application's root") })
	for path, code := range map[string]int{
		"/": 200, "/?from=balancer": 200, "/readyz": 503, "/hello": 200, "//": 404, "/%2F": 404, "/x": 404,
		"/index.html": 404, "/api": 404, "/api/health/ready": 503,
	} {
		assert.Equal(t, code, get(e, path).Code, path)
	}
	assert.Contains(t, get(e, "/").Body.String(), `"status":"alive"`)
	head := request(e, http.MethodHead, "/")
	assert.Equal(t, 200, head.Code)
	assert.Zero(t, head.Body.Len())
	post := request(e, http.MethodPost, "/")
	assert.Equal(t, 405, post.Code)
	assert.Equal(t, "GET, HEAD", post.Header().Get("Allow"))

	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.URL.Path = ""
	assert.False(t, h.Handles(r), "exactly /")
	assert.Equal(t, 200, get(h.Private(), "/").Code)

	h = newHealth(t, quiet, echohealth.WithAlias("/readyz", echohealth.Ready))
	e, _ = service(h.Middleware)
	assert.Equal(t, 404, get(e, "/").Code, "without the alias the path is the application's")
}
