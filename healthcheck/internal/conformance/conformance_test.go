package conformance_test

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/healthcheck"
	"github.com/echo-probes/echohealth/healthcheck/internal/conformance"
	"github.com/echo-probes/echohealth/healthcheck/internal/testservice"
	"github.com/echo-probes/echohealth/internal/leaktest"
	"github.com/echo-probes/echohealth/probes"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var kubeletTimeout = conformance.KubeletTimeout

func TestMain(m *testing.M) {
	conformance.KubeletTimeout = time.Minute // for a busy machine
	leaktest.Main(m)
}

// command runs the command, and returns its exit code and its output.
func command(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = healthcheck.Main(args, &out, &errs)
	return code, out.String(), errs.String()
}

// The answers of echohealth have no faults, with any options and in any state.
func TestAllFindsNoFaultInEchohealth(t *testing.T) {
	database, redis := echohealth.WithDatabase(testservice.Up), echohealth.WithRedis(testservice.Down)
	guard := echohealth.WithGuard(echohealth.BearerToken("s3cret"))
	stuck := probes.NewHeartbeat(time.Millisecond) // its loop never beats
	tests := []struct {
		name string
		opts []echohealth.Option
		args []string
		path string
		code int
		want []string // parts of the output
	}{
		{"well", []echohealth.Option{database}, nil, "", 0,
			[]string{"GET   /api/health/live ", "HEAD  /api/health/ready/ ", "/checks/database/", "/checks/cpu/", "/checks/connections/", "POST  /api/health/live/ ", "the service is "}},
		{"no checks", []echohealth.Option{echohealth.WithoutSystemMetrics()}, nil, "", 0, []string{"17 answers; things wrong: 0; the service is well\n"}},
		{"not ready", []echohealth.Option{database, redis, echohealth.WithoutSystemMetrics()}, nil, "", 1,
			[]string{"503", "not_ready", "error connection_refused", "19 answers; things wrong: 0; the service is not well\n"}},
		{"degraded", []echohealth.Option{echohealth.WithCheck("licence", testservice.Warning), echohealth.WithoutSystemMetrics()}, nil, "", 0, []string{"the service is degraded\n"}},
		{"an optional check is down", []echohealth.Option{database, echohealth.WithRedis(testservice.Down, echohealth.Optional()), echohealth.WithoutSystemMetrics()}, nil, "", 0,
			[]string{"error connection_refused", "wrong: 0; the service is degraded\n"}},
		{"degraded, --fail-on=warning", []echohealth.Option{echohealth.WithCheck("licence", testservice.Warning), echohealth.WithoutSystemMetrics()}, []string{"--fail-on=warning"}, "", 1, []string{"wrong: 0;"}},
		{"starting", []echohealth.Option{database, echohealth.WithStartupGate(), echohealth.WithoutSystemMetrics()}, nil, "", 1, []string{"not_ready starting", "wrong: 0;"}},
		{"elsewhere", []echohealth.Option{database, echohealth.WithPrefix("/internal"), echohealth.WithVersion("1.2 \x1b[31m"), echohealth.WithoutSystemMetrics()}, nil, "/internal", 0,
			[]string{"/internal/checks/database/", "wrong: 0; the service is well\n"}},
		{"guarded", []echohealth.Option{database, guard, echohealth.WithoutSystemMetrics()}, nil, "", 0, []string{"401", "closed by a guard, not validated: a token is missing (--token-env or --token-file)", "wrong: 0; the service is well, as far as the guard lets it be seen\n"}},
		{"guarded, and let in", []echohealth.Option{database, guard, echohealth.WithoutSystemMetrics()}, []string{"--header", "Authorization: Bearer s3cret"}, "", 0,
			[]string{"/checks/database/", "18 answers; things wrong: 0;"}},
		{"the errors are shown", []echohealth.Option{database, redis, echohealth.WithMemoryThreshold(0, 0)}, nil, "", 1, []string{"error connection_refused", "error above_threshold", "wrong: 0;"}},
		{"groups", []echohealth.Option{database, echohealth.WithRedis(testservice.Down, echohealth.Optional()), echohealth.WithoutSystemMetrics(),
			echohealth.WithGroup("payment", "database"), echohealth.WithGroup("cart", "redis")}, nil, "", 0,
			[]string{"GET   /api/health/groups/payment/ ", "/api/health/groups/cart/ ", "wrong: 0; the service is degraded\n"}},
		{"a loop hangs", []echohealth.Option{echohealth.WithLiveness(stuck), echohealth.WithoutSystemMetrics()}, nil, "", 1,
			[]string{"503", "stuck", "wrong: 0; the service is not well\n"}},
		{"partly hidden", []echohealth.Option{database, echohealth.WithPublic(echohealth.Ready), echohealth.WithoutSystemMetrics()}, nil, "", 0,
			[]string{"hidden: not validated", "POST  /api/health/ready/ ", "wrong: 0; the service is well\n"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := testservice.New(t, test.opts...)
			var handler http.Handler = h
			if test.name == "the errors are shown" {
				handler = h.Private(echohealth.ShowErrors())
			}
			if test.name == "a loop hangs" {
				require.Eventually(t, func() bool { return !h.Alive() }, time.Minute, time.Millisecond)
			}
			url := testservice.Serve(t, handler)
			code, stdout, stderr := command(append(append([]string{"--all"}, test.args...), url+test.path)...)
			assert.Equal(t, test.code, code, stdout)
			for _, want := range test.want {
				assert.Contains(t, stdout, want)
			}
			assert.NotContains(t, stdout, "WRONG")
			assert.Empty(t, stderr)
		})
	}
}

func TestAllAtAWrongPrefix(t *testing.T) {
	tests := map[string]struct {
		handler http.Handler
		want    []string
	}{
		"nothing there": {http.NotFoundHandler(), []string{
			"GET /api/health/live/: the status is 404 Not Found: a health answer must have 200 or 503\n",
			"5 answers; things wrong: 6; the service is unknown\n"}},
		"another prefix of ours":       {testservice.New(t, echohealth.WithPrefix("/other")), []string{"things wrong: 1; the service is unknown\n"}},
		"the same page for every path": {testservice.Answering(200, "<html>"), []string{"GET /api/health/live/: the body is not a JSON object\n", "the service is unknown\n"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			methods := &recorder{next: test.handler}
			url := testservice.Serve(t, methods)
			code, stdout, _ := command("--all", url)
			assert.Equal(t, 1, code)
			assert.Contains(t, stdout, "no health endpoint is below "+url+"/api/health: is the prefix another?\n")
			for _, want := range test.want {
				assert.Contains(t, stdout, want)
			}
			assert.NotContains(t, methods.all(), "POST", "a POST could change data there")
		})
	}
}

// recorder records the methods of the requests.
type recorder struct {
	next http.Handler

	mu      sync.Mutex // guards methods
	methods []string
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	r.methods = append(r.methods, req.Method)
	r.mu.Unlock()
	r.next.ServeHTTP(w, req)
}

func (r *recorder) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.methods
}

// withFault changes the answer of one path.
func withFault(h http.Handler, path string, change func(status *int, header http.Header, body *string)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/api/health/"+path {
			h.ServeHTTP(w, r)
			return
		}
		capture := &captured{header: http.Header{}}
		h.ServeHTTP(capture, r)
		change(&capture.status, capture.header, &capture.body)
		maps.Copy(w.Header(), capture.header)
		counted := w.Header().Get("Content-Length") != ""
		w.Header().Del("Content-Length") // net/http computes it again, unless it must send the headers before the end of the body
		w.WriteHeader(capture.status)
		if !counted {
			w.(http.Flusher).Flush()
		}
		_, _ = io.WriteString(w, capture.body)
	})
}

type captured struct {
	status int
	header http.Header
	body   string
}

func (c *captured) Header() http.Header    { return c.header }
func (c *captured) WriteHeader(status int) { c.status = status }
func (c *captured) Write(p []byte) (int, error) {
	c.body += string(p)
	return len(p), nil
}

func TestAllFindsFaults(t *testing.T) {
	h := testservice.New(t, echohealth.WithDatabase(testservice.Up), echohealth.WithoutSystemMetrics())
	body := func(old, replacement string) func(*int, http.Header, *string) {
		return func(_ *int, _ http.Header, body *string) { *body = strings.Replace(*body, old, replacement, 1) }
	}
	status := func(code int) func(*int, http.Header, *string) {
		return func(status *int, _ http.Header, _ *string) { *status = code }
	}
	header := func(name, value string) func(*int, http.Header, *string) {
		return func(_ *int, h http.Header, _ *string) { h.Set(name, value) }
	}
	const detail = `"response_time_ms":`
	tests := []struct {
		path   string
		change func(*int, http.Header, *string)
		want   string
	}{
		{"live/", header("Content-Type", "text/plain"), `Content-Type is "text/plain": it must be "application/json"`},
		{"live/", header("Cache-Control", "max-age=60"), `Cache-Control is "max-age=60": it must be "no-store"`},
		{"live/", header("X-Content-Type-Options", ""), `X-Content-Type-Options is "": it must be "nosniff"`},
		{"live", func(_ *int, h http.Header, _ *string) { h.Del("Content-Length") }, `there is no Content-Length`},
		{"live/", status(204), `the status is 204 No Content: a health answer must have 200 or 503`},
		{"live/", status(301), `the status is 301 Moved Permanently: a health answer must have 200 or 503`},
		{"live/", status(503), `the HTTP status is 503: with this document it must be 200`},
		{"live/", body("alive", "up"), `status is "up": it must be one of ["alive" "stuck"]`},
		{"live/", body(`"status":"alive",`, ""), `status is missing: it must be one of ["alive" "stuck"]`},
		{"live/", body(`"alive"`, "null"), `status is null: it must be one of ["alive" "stuck"]`},
		{"live/", body("{", "["), `the body is not a JSON object`},
		{"live/", body("Z", "+00:00"), `timestamp is "`},
		{"live/", func(_ *int, _ http.Header, body *string) { *body = `{"status":"alive"}` }, `timestamp is missing: it must be RFC 3339 in UTC`},
		{"live/", status(401), `the status is 401 Unauthorized: a health answer must have 200 or 503`},
		{"startup/", status(503), `the HTTP status is 503: with this document it must be 200`},
		{"startup", body("started", "starting"), `the HTTP status is 200: with this document it must be 503`},
		{"ready/", body("ready", "not_ready"), `the HTTP status is 200: with this document it must be 503`},
		{"ready/", body(`"ok"`, `"error","reason":"timeout"`), `it is ready, but a check is an error`},
		{"ready/", body(`,"checks"`, `,"reason":"draining","checks"`), `it is ready, but a check is an error, or it has a reason`},
		{"ready/", body(`,"checks"`, `,"reason":"lazy","checks"`), `reason is "lazy": it must be one of ["starting" "draining"]`},
		{"ready/", func(status *int, _ http.Header, body *string) {
			*status, *body = 503, strings.Replace(*body, "ready", "not_ready", 1)
		}, `it is not ready, but no check is an error, and it has no reason`},
		{"ready/", body(`"checks":{`, `"checks":7,"x":{`), `checks is 7: it must be an object`},
		{"ready/", body(`"database":`, `"data base":`), `a check is named "data base": a name must match`},
		{"ready/", body(`"database":{`, `"database":7,"x":{`), `database is 7: a check must be an object`},
		{"detailed/", body(`"checks"`, `"x"`), `checks is missing: it must be an object`},
		{"detailed/", body(`"status":"ok"`, `"status":"ok","reason":"slow"`), `database.reason is "slow": a check that is ok must have none`},
		{"detailed/", body(`"status":"ok"`, `"status":"warning"`), `database.reason is missing: a check that is not ok must have one`},
		{"detailed/", body(`"status":"ok"`, `"status":"warning","reason":"dial tcp 10.0.0.7:5432"`), `database.reason is "dial tcp 10.0.0.7:5432": a check that is not ok must have one`},
		{"detailed/", body(`"status":"ok"`, `"status":"fine"`), `database.status is "fine": it must be one of ["ok" "warning" "error"]`},
		{"detailed/", body(`"status":"ok"`, `"status":"warning","reason":"slow"`), `it is healthy, but a check is not ok`},
		{"detailed/", body("healthy", "degraded"), `it is degraded, but every check is ok`},
		{"detailed/", body("healthy", "unhealthy"), `it is unhealthy, but no check is an error`},
		{"detailed/", body("healthy", "well"), `status is "well": it must be one of ["healthy" "degraded" "unhealthy"]`},
		{"detailed/", body(detail, `"response_time_ms":1.234,"x":`), `database.response_time_ms is 1.234: it must be a number with at most two decimals`},
		{"detailed/", body(detail, `"response_time_ms":-1,"x":`), `database.response_time_ms is -1: it must be a number`},
		{"detailed/", body(detail, `"response_time_ms":"1","x":`), `database.response_time_ms is "1": it must be a number`},
		{"detailed/", body(detail, `"dsn":"postgres://user@host/db","x":`), `database.dsn is "postgres://user@host/db": it must be a number, a boolean, or a string`},
		{"detailed/", body(detail, `"deep":{"a":1},"x":`), `database.deep is {"a":1}: it must be a number, a boolean, or a string`},
		{"detailed/", body(detail, `"none":null,"x":`), `database.none is null: it must be a number, a boolean, or a string`},
		{"detailed/", body(`"checks"`, `"phase":"closed","checks"`), `phase is "closed": it must be one of ["starting" "draining"]`},
		{"detailed/", body(`"since":"2`, `"since":"9`), `: it must not be after the timestamp`},
		{"detailed/", body(`"since":"2`, `"since":"yesterday`), `database.since is "yesterday`},
		{"detailed/", body(`"since":`, `"since":0,"x":`), `database.since is 0: it must be RFC 3339 in UTC, such as 2025-12-27T10:00:00Z`},
		{"detailed/", body(`"since"`, `"last_ok":"2026-11-25T10:00:00Z","since"`), `database.last_ok is "2026-11-25T10:00:00Z": a check that is no error must have none`},
		{"detailed/", body(`"status":"ok"`, `"status":"error","reason":"slow","last_ok":"9999-01-01T00:00:00Z"`),
			`database.last_ok is "9999-01-01T00:00:00Z": it must not be after since, which is "2`},
		{"detailed/", body(`"status":"ok"`, `"status":"error","reason":"slow","last_ok":""`), `database.last_ok is "": it must be RFC 3339 in UTC`},
		{"detailed/", body(`"since"`, `"error":"refused","since"`), `database.error is "refused": a check that is ok must have none`},
		{"detailed/", body(`"status":"ok"`, `"status":"error","reason":"slow","error":7`), `database.error is 7: it must be a string of at most 1 KiB`},
		{"detailed/", body(`"status":"ok"`, `"status":"error","reason":"slow","error":"`+strings.Repeat("a", 1030)+`"`), `: it must be a string of at most 1 KiB`},
		{"checks/database/", status(503), `the HTTP status is 503: with this document it must be 200`},
		{"checks/database/", body("ok", "error"), `reason is missing: a check that is not ok must have one`},
		{"there-is-no-such-endpoint/", status(200), `an unknown path below the prefix must be a 404 with {"error":"not_found"}`},
		{"there-is-no-such-endpoint/", body("not_found", "x"), `an unknown path below the prefix must be a 404 with {"error":"not_found"}`},
	}
	for _, test := range tests {
		t.Run(test.path+" "+test.want, func(t *testing.T) {
			t.Parallel()
			code, stdout, _ := command("--all", testservice.Serve(t, withFault(h, test.path, test.change)))
			assert.Equal(t, 1, code)
			assert.Contains(t, stdout, "\n  GET /api/health/"+test.path+": ")
			assert.Contains(t, stdout, test.want)
			assert.Contains(t, stdout, "\nWRONG  GET   /api/health/"+test.path)
		})
	}
}

func TestAllOfASlowService(t *testing.T) {
	conformance.KubeletTimeout = kubeletTimeout
	defer func() { conformance.KubeletTimeout = time.Minute }()
	slow := withFault(testservice.New(t, echohealth.WithoutSystemMetrics()), "live/", func(*int, http.Header, *string) {
		time.Sleep(1100 * time.Millisecond)
	})
	code, stdout, _ := command("--all", testservice.Serve(t, slow))
	assert.Equal(t, 1, code)
	assert.Regexp(t, `\n  GET /api/health/live/: it took [\d.]+s: a kubelet waits 1s by default\n`, stdout)
	assert.Contains(t, stdout, "\nWRONG  GET   /api/health/live/")
}

func TestAllSendsOtherMethods(t *testing.T) {
	h := testservice.New(t, echohealth.WithoutSystemMetrics())
	asGet := func(method string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Method != method:
				h.ServeHTTP(w, r)
			case method == http.MethodPost:
				r.Method = http.MethodGet
				h.ServeHTTP(w, r)
			default:
				http.NotFound(w, r)
			}
		})
	}
	_, stdout, _ := command("--all", testservice.Serve(t, asGet(http.MethodPost)))
	assert.Contains(t, stdout, "\n  POST /api/health/live/: the status is 200 OK: any method but GET and HEAD must be a 405\n")
	assert.Contains(t, stdout, "\n  POST /api/health/live/: Allow is \"\": it must be \"GET, HEAD\"\n")
	_, stdout, _ = command("--all", testservice.Serve(t, asGet(http.MethodHead)))
	assert.Contains(t, stdout, "\n  HEAD /api/health/ready/: the status is 404 Not Found: HEAD must be answered like GET\n")
}

func TestAllOfAServiceThatIsDown(t *testing.T) {
	code, stdout, _ := command("--all", "http://"+testservice.ClosedPort(t))
	assert.Equal(t, 1, code)
	assert.Contains(t, stdout, "\n  GET /api/health/live/: connection refused\n")
	assert.Contains(t, stdout, "the service is unknown\n")
}
