package healthcheck_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/healthcheck"
	"github.com/echo-probes/echohealth/healthcheck/internal/conformance"
	"github.com/echo-probes/echohealth/healthcheck/internal/testservice"
	"github.com/echo-probes/echohealth/internal/leaktest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// buildDir is the folder of the built program, or "" if no test has built it.
var buildDir string

func TestMain(m *testing.M) {
	_ = os.Unsetenv("NO_COLOR") // the tests must not depend on the machine's environment
	trustTestServers()
	conformance.KubeletTimeout = time.Minute // for a busy machine
	code := leaktest.Check(m.Run())
	_ = os.Remove(os.Getenv("SSL_CERT_FILE"))
	if buildDir != "" {
		_ = os.RemoveAll(buildDir)
	}
	os.Exit(code)
}

// command runs the command, and returns its exit code and its output.
func command(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = healthcheck.Main(args, &out, &errs)
	return code, out.String(), errs.String()
}

var durations = regexp.MustCompile(`:? for \d+s( \(never ok\))?`)

// withoutDurations removes the durations of failures, which depend on the speed of the machine.
func withoutDurations(output string) string { return durations.ReplaceAllString(output, "") }

func TestOutcomes(t *testing.T) {
	noMetrics := echohealth.WithoutSystemMetrics()
	good := testservice.Serve(t, testservice.New(t, noMetrics, echohealth.WithDatabase(testservice.Up), echohealth.WithRedis(testservice.Up)))
	bad := testservice.Serve(t, testservice.New(t, noMetrics, echohealth.WithDatabase(testservice.Up), echohealth.WithRedis(testservice.Down),
		echohealth.WithGroup("reports", "database"), echohealth.WithGroup("cart", "redis", "database")))
	degraded := testservice.Serve(t, testservice.New(t, noMetrics, echohealth.WithDatabase(testservice.Up), echohealth.WithCheck("licence", testservice.Warning)))
	optionalDown := testservice.Serve(t, testservice.New(t, noMetrics, echohealth.WithDatabase(testservice.Up), echohealth.WithCheck("cache", testservice.Down, echohealth.Optional())))
	gated := testservice.Serve(t, testservice.New(t, noMetrics, echohealth.WithStartupGate()))
	drained := testservice.New(t, noMetrics, echohealth.WithRedis(testservice.Up), echohealth.WithDrainDelay(0))
	require.NoError(t, drained.Drain(t.Context()))
	draining := testservice.Serve(t, drained)
	elsewhere := testservice.Serve(t, testservice.New(t, noMetrics, echohealth.WithPrefix("/internal/health"), echohealth.WithAlias("/readyz", echohealth.Ready), echohealth.WithRedis(testservice.Down)))
	guarded := testservice.Serve(t, testservice.New(t, noMetrics, echohealth.WithRedis(testservice.Up), echohealth.WithGuard(echohealth.BearerToken("s3cret")), echohealth.WithGroup("cart", "redis")))
	tests := []struct {
		name string
		args []string
		code int
		line string // a pattern; IN is " in " and a duration
	}{
		{"ready", []string{good}, 0, `readyIN: database ok, redis ok`},
		{"a slash is no path", []string{good + "/"}, 0, `readyIN: database ok, redis ok`},
		{"not ready, what fails first", []string{bad}, 1, `not_readyIN: redis error connection_refused, database ok`},
		{"alive", []string{"--live", bad}, 0, `aliveIN`},
		{"flag with one dash", []string{"-live", bad}, 0, `aliveIN`},
		{"flags after the URL", []string{bad, "--live"}, 0, `aliveIN`},
		{"detailed is a 200 that says unhealthy", []string{"--detailed", bad}, 1, `unhealthyIN: redis error connection_refused, database ok, .*`},
		{"degraded", []string{"--detailed", degraded}, 0, `degradedIN: licence warning licence_expires, database ok`},
		{"degraded, --fail-on=warning", []string{"--detailed", "--fail-on", "warning", degraded}, 1, `degradedIN: licence warning licence_expires, database ok`},
		{"--fail-on=error is the default", []string{"--detailed", "--fail-on=error", degraded}, 0, `degradedIN: .*`},
		{"ready with a warning", []string{degraded}, 0, `readyIN: licence warning licence_expires, database ok`},
		{"ready with a warning, --fail-on=warning", []string{"--fail-on=warning", degraded}, 1, `readyIN: .*`},
		{"an optional check fails", []string{"--detailed", optionalDown}, 0, `degradedIN: cache error connection_refused, database ok`},
		{"healthy, --fail-on=warning", []string{"--detailed", "--fail-on=warning", good}, 0, `healthyIN: .*`},
		{"one check", []string{"--check", "database", bad}, 0, `okIN`},
		{"one check that fails", []string{"--check", "redis", bad}, 1, `error connection_refusedIN`},
		{"one check that warns", []string{"--check", "licence", degraded}, 0, `warning licence_expiresIN`},
		{"one check that warns, --fail-on=warning", []string{"--check", "licence", "--fail-on=warning", degraded}, 1, `warning licence_expiresIN`},
		{"no such check", []string{"--check", "unknown", bad}, 1, `404 Not FoundIN: there is no such check, group or endpoint, or the prefix is another`},
		{"all groups", []string{"--detailed", bad}, 1, `unhealthyIN: redis error connection_refused, database ok, group reports ready, group cart not_ready`},
		{"one group", []string{"--group", "reports", bad}, 0, `readyIN: database ok`},
		{"one group that is not ready", []string{"--group", "cart", bad}, 1, `not_readyIN: redis error connection_refused, database ok`},
		{"one group below a prefix", []string{"--group=reports", bad + "/api/health"}, 0, `readyIN: database ok`},
		{"one group behind a guard", []string{"--group", "cart", guarded}, 1, `401 UnauthorizedIN: a token is missing \(--token-env or --token-file\)`},
		{"no such group", []string{"--group", "payments", bad}, 1, `404 Not FoundIN: there is no such check, group or endpoint, or the prefix is another`},
		{"started", []string{"--startup", good}, 0, `startedIN`},
		{"starting", []string{"--startup", gated}, 1, `startingIN`},
		{"not ready before the start", []string{gated}, 1, `not_ready startingIN`},
		{"detailed before the start", []string{"--detailed", gated}, 0, `healthy startingIN`},
		{"draining", []string{draining}, 1, `not_ready drainingIN`},
		{"detailed during a drain", []string{"--detailed", draining}, 0, `healthy drainingIN: redis ok`},
		{"a path as it is", []string{elsewhere + "/readyz"}, 1, `not_readyIN: redis error connection_refused`},
		{"a path as it is, the index", []string{elsewhere + "/internal/health"}, 1, `unhealthyIN: .*`},
		{"a path as the prefix", []string{"--live", elsewhere + "/internal/health"}, 0, `aliveIN`},
		{"a path as the prefix, with a slash", []string{"--ready", elsewhere + "/internal/health/"}, 1, `not_readyIN: .*`},
		{"guarded", []string{"--detailed", guarded}, 1, `401 UnauthorizedIN: a token is missing \(--token-env or --token-file\)`},
		{"guarded, and let in", []string{"--detailed", "--header", "Authorization: Bearer s3cret", guarded}, 0, `healthyIN: redis ok, group cart ready`},
		{"guarded, and let in by the URL", []string{"--detailed", strings.Replace(guarded, "://", "://any:s3cret@", 1)}, 0, `healthyIN: redis ok, group cart ready`},
		{"guarded, but readiness is not", []string{guarded}, 0, `readyIN`},
		{"several", []string{"--live", good, bad}, 0, regexp.QuoteMeta(good) + `/api/health/live/: aliveIN\n` + regexp.QuoteMeta(bad) + `/api/health/live/: aliveIN`},
		{"one of several fails", []string{bad, good}, 1, `http://.*: not_readyIN: .*\nhttp://.*: readyIN: .*`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			code, stdout, stderr := command(test.args...)
			assert.Equal(t, test.code, code)
			assert.Regexp(t, "^"+strings.ReplaceAll(test.line, "IN", ` in [\d.]+m?s`)+"\n$", withoutDurations(stdout))
			assert.Empty(t, stderr)
		})
	}
}

func TestNoHealthAnswer(t *testing.T) {
	tests := []struct {
		name   string
		status int
		body   string
		want   string
	}{
		{"the same page for every path", 200, "<html>welcome", "200 OK IN: the body is not a health document"},
		{"no body", 200, "", "200 OK IN: the body is not a health document"},
		{"a JSON array", 200, "[1]", "200 OK IN: the body is not a health document"},
		{"JSON without a status", 200, `{"a":1}`, "200 OK IN: the body is not a health document"},
		{"JSON and more", 200, `{"status":"ready"}{}`, "200 OK IN: the body is not a health document"},
		{"unknown status", 200, `{"status":"UP"}`, `200 OK IN: no health answer has the status "UP"`},
		{"a number for a status", 200, `{"status":1}`, `200 OK IN: no health answer has the status "1"`},
		{"503 that says ready", 503, `{"status":"ready"}`, `503 Service Unavailable IN: but its status is "ready"`},
		{"204", 204, "", "204 No Content IN"},
		{"429", 429, `{"status":"ready"}`, "429 Too Many Requests IN"},
		{"500", 500, `{"status":"ready"}`, "500 Internal Server Error IN"},
		{"a status without a name", 599, "", "599 IN"},
		{"a proxy's 503", 503, "<html>", "503 Service Unavailable IN: the body is not a health document"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			code, stdout, _ := command(testservice.Serve(t, testservice.Answering(test.status, test.body)))
			assert.Equal(t, 1, code)
			assert.Regexp(t, "^"+strings.ReplaceAll(test.want, "IN", `in [\d.]+m?s`)+"\n$", stdout)
		})
	}
}

// A service that is alive need not be ready, so each endpoint has its own statuses. A path that the user
// chose may be any endpoint.
func TestStatusOfAnotherEndpoint(t *testing.T) {
	endpoints := []struct {
		args  []string
		words []string
	}{
		{[]string{"--live"}, []string{"alive", "stuck"}},
		{nil, []string{"ready", "not_ready"}},
		{[]string{"--ready"}, []string{"ready", "not_ready"}},
		{[]string{"--startup"}, []string{"started", "starting"}},
		{[]string{"--detailed"}, []string{"healthy", "degraded", "unhealthy"}},
		{[]string{"--check", "redis"}, []string{"ok", "warning", "error"}},
		{[]string{"--group", "payments"}, []string{"ready", "not_ready"}},
	}
	for _, word := range []string{"alive", "stuck", "ready", "not_ready", "started", "starting", "healthy", "degraded", "unhealthy", "ok", "warning", "error"} {
		url := testservice.Serve(t, testservice.Answering(200, `{"status":"`+word+`"}`))
		for _, endpoint := range endpoints {
			code, stdout, _ := command(append(endpoint.args, url)...)
			if slices.Contains(endpoint.words, word) {
				assert.Regexp(t, "^"+word+` in [\d.]+m?s\n$`, stdout, endpoint.args)
				continue
			}
			assert.Equal(t, 1, code)
			assert.Regexp(t, `^200 OK in [\d.]+m?s: its status is "`+word+`": here it must be one of `+regexp.QuoteMeta(fmt.Sprintf("%q", endpoint.words))+`\n$`, stdout)
		}
		_, stdout, _ := command(url + "/internal/health")
		assert.Regexp(t, "^"+word+" in ", stdout)
	}
}

// The duration of a status depends only on the clock of the service. The documents of earlier versions have
// no times.
func TestDurationOfAStatus(t *testing.T) {
	const (
		at  = `"timestamp":"2026-11-25T10:00:00Z"`
		bad = `"redis":{"status":"error","reason":"timeout","since":"2026-11-25T09:55:50Z"`
	)
	ready := func(checks string) string { return `{"status":"not_ready",` + at + `,"checks":{` + checks + `}}` }
	tests := []struct {
		name string
		args []string
		body string
		want string // the text after the duration
	}{
		{"an error", nil, ready(bad + `,"last_ok":"2026-11-25T09:55:49Z"}`), ": redis error timeout for 4m10s"},
		{"an error after a pause", nil, ready(bad + `,"last_ok":"2026-11-25T07:55:00Z"}`), ": redis error timeout for 4m10s (last ok 2h5m ago)"},
		{"it has never been ok", nil, ready(bad + `}`), ": redis error timeout for 4m10s (never ok)"},
		{"a warning", nil, ready(`"redis":{"status":"warning","reason":"slow","since":"2026-11-22T05:59:59Z"}`), ": redis warning slow for 3d4h"},
		{"what is ok", nil, ready(`"redis":{"status":"ok","since":"2026-11-25T09:55:50Z"}`), ": redis ok"},
		{"it has just begun", nil, ready(`"redis":{"status":"error","reason":"timeout","since":"2026-11-25T10:00:00Z"}`), ": redis error timeout"},
		{"it begins in the future", nil, ready(`"redis":{"status":"error","reason":"timeout","since":"2026-11-25T10:00:30Z"}`), ": redis error timeout"},
		{"no timestamp", nil, `{"status":"not_ready","checks":{` + bad + `}}}`, ": redis error timeout for 5m10s (never ok)"},
		{"no time", nil, ready(`"redis":{"status":"error","reason":"timeout","since":"before","last_ok":7}`), ": redis error timeout"},
		{"an invalid last ok", nil, ready(bad + `,"last_ok":7}`), ": redis error timeout for 4m10s"},
		{"an earlier version", nil, ready(`"redis":{"status":"error","reason":"timeout"}`), ": redis error timeout"},
		{"one check alone", []string{"--check", "redis"}, strings.TrimPrefix(bad, `"redis":`) + `,"n":1,"error":"dial tcp: ü\n"}`,
			": for 5m10s (never ok), n=1, error=dial tcp: ??"},
		{"one check of an earlier version", []string{"--check", "redis"}, `{"status":"error","reason":"timeout","n":1}`, ": n=1"},
		{"one check with such details", []string{"--check", "redis"}, `{"status":"ok","phase":"full","version":"7"}`, ": phase=full, version=7"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			url := testservice.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Date", "Wed, 25 Nov 2026 10:01:00 GMT")
				_, _ = io.WriteString(w, test.body)
			}))
			_, stdout, _ := command(append(test.args, url)...)
			assert.Regexp(t, `^[a-z_ ]+ in [\d.]+m?s`+regexp.QuoteMeta(test.want)+"\n$", stdout)
		})
	}
}

func TestInvalidChecksAreDisplayed(t *testing.T) {
	body := `{"status":"ready","checks":{"a":7,"b":{"status":["x"]},"c":{},"d":{"status":"ok","n":{"deep":1}}},` +
		`"groups":{"e":7,"f":{"status":"ready"},"g\u001b[31m":{"status":{}}}}`
	code, stdout, _ := command(testservice.Serve(t, testservice.Answering(200, body)))
	assert.Zero(t, code)
	assert.Regexp(t, `^ready in [\d.]+ms: a, b \["x"\], c, d ok, group e, group f ready, group g\?\[31m \{\}\n$`, stdout)
}

func TestUsageErrors(t *testing.T) {
	tests := []struct {
		args []string
		want string
	}{
		{nil, "a URL is required, such as http://localhost:8000"},
		{[]string{"--live"}, "a URL is required"},
		{[]string{"--nonsense", "http://x"}, "flag provided but not defined: -nonsense"},
		{[]string{"localhost:8000"}, `the URL "localhost:8000" must begin with http://, https:// or unix://`},
		{[]string{"ftp://x"}, `the URL "ftp://x" must begin with`},
		{[]string{"http://"}, `the URL "http://" must have a host`},
		{[]string{"http://:80/x"}, `must have a host`},
		{[]string{"http://x:port"}, `the URL "http://x:port" can't be read: invalid port`},
		{[]string{"unix://app.sock"}, `the URL "unix://app.sock" must name a socket by an absolute path after unix://`},
		{[]string{"unix://user:s3cret@h/app.sock"}, `the URL "unix://***@h/app.sock" must name a socket by an absolute path after unix://, without a user`},
		{[]string{"unix:///app.sock?x=1"}, `the URL "unix:///app.sock?…" must name a socket by an absolute path after unix://, without a user, a ? or a #`},
		{[]string{"unix:///a.sock:/%zz"}, `must have a path of a URL after the colon`},
		{[]string{"unix:///a.sock:/live#x"}, `the URL "unix:///a.sock:/live#…" must not have a #: what follows it is never sent`},
		{[]string{"http://x/live#x"}, `the URL "http://x/live#…" must not have a #: what follows it is never sent; in a password write it as %23`},
		{[]string{"http://user:12#s3cret@x/"}, `the URL "http://***" must not have a #: `},
		{[]string{"http://user:12?s3cret@x/"}, `the URL "http://***" must not have an @ after its host: write it as %40 there, and special characters in a password as %2F or the like`},
		{[]string{"http://user:12/s3cret@x/"}, `the URL "http://***@x/" must not have an @ after its host`},
		{[]string{"--timeout", "3", "http://x"}, "a duration must have a unit, such as 3s or 500ms"},
		{[]string{"--timeout", "0s", "http://x"}, "it must be 1ms to 1h0m0s"},
		{[]string{"--timeout", "-1s", "http://x"}, "it must be 1ms to 1h0m0s"},
		{[]string{"--timeout"}, "flag needs an argument: -timeout"},
		{[]string{"--fail-on", "degraded", "http://x"}, "it must be error or warning"},
		{[]string{"--check", "a/b", "http://x"}, `--check: the name "a/b" must match [A-Za-z0-9][A-Za-z0-9._-]{0,63}`},
		{[]string{"--check", "", "http://x"}, `the name "" must match`},
		{[]string{"--check", "..", "http://x"}, `the name ".." must match`},
		{[]string{"--group", "a/b", "http://x"}, `--group: the name "a/b" must match [A-Za-z0-9][A-Za-z0-9._-]{0,63}`},
		{[]string{"--check", "a", "--group", "b", "http://x"}, "--check and --group must not be given together"},
		{[]string{"--live", "--ready", "http://x"}, "--live and --ready must not be given together: choose one"},
		{[]string{"--detailed", "--check", "redis", "http://x"}, "--detailed and --check must not be given together"},
		{[]string{"--watch", "--all", "http://x"}, "--watch, --all and --json must not be given together"},
		{[]string{"--watch", "--json", "http://x"}, "--watch, --all and --json must not be given together"},
		{[]string{"--all", "--json", "http://x"}, "--watch, --all and --json must not be given together"},
		{[]string{"--all", "--live", "http://x"}, "--all asks every endpoint"},
		{[]string{"--all", "--group", "a", "http://x"}, "--all asks every endpoint"},
		{[]string{"--all", "http://x", "http://y"}, "--all takes one URL"},
		{[]string{"--interval", "3s", "http://x"}, "--interval is for --watch"},
		{[]string{"--watch", "--interval", "1ms", "http://x"}, "it must be 100ms to 1h0m0s"},
		{[]string{"--header", "X", "http://x"}, "--header: it must be 'KEY: VALUE', and one has no colon"},
		{[]string{"--header", "X Y: z", "http://x"}, `--header: the key "X Y" must have only letters`},
		{[]string{"--header", "X: a\nb", "http://x"}, `--header: the value of "X" must not have a control character`},
		{[]string{"--header", "Connection: close", "http://x"}, `--header: "Connection" must not be set`},
		{[]string{"--live", "rollout", "http://x"}, `the URL "rollout" must begin with`},
		{[]string{"rollout"}, "a URL is required"},
		{[]string{"rollout", "http://x", "http://y"}, "rollout takes one URL"},
		{[]string{"rollout", "--connections", "1001", "http://x"}, "it must be 1 to 1000"},
		{[]string{"rollout", "--connections", "many", "http://x"}, "it must be a whole number"},
		{[]string{"rollout", "--rate", "0", "http://x"}, "it must be 1 to 10000"},
		{[]string{"rollout", "--duration", "2h", "http://x"}, "it must be 1ms to 1h0m0s"},
		{[]string{"rollout", "--json", "http://x"}, "flag provided but not defined: -json"},
	}
	for _, test := range tests {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			code, stdout, stderr := command(test.args...)
			assert.Equal(t, 1, code, "never 2, which Docker reserves")
			assert.Empty(t, stdout)
			assert.Contains(t, stderr, test.want)
			hint := "see healthcheck --help"
			if slices.Index(test.args, "rollout") == 0 {
				hint = "see healthcheck rollout --help"
			}
			assert.Regexp(t, "^healthcheck: .*\n"+hint+"\n$", stderr)
		})
	}
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"-h"}, {"http://x", "-help"}, {"rollout", "--help"}, {"rollout", "-h"}} {
		code, stdout, stderr := command(args...)
		assert.Zero(t, code, args)
		assert.Empty(t, stderr)
		assert.Contains(t, stdout, "\nFlags:\n")
		for line := range strings.Lines(stdout) {
			assert.LessOrEqual(t, len(line), 110)
		}
		assert.Equal(t, args[0] == "rollout", strings.Contains(stdout, "--connections"))
	}
}

func TestSecretsAreHidden(t *testing.T) {
	closed := testservice.ClosedPort(t)
	for _, args := range [][]string{
		{"ftp://user:s3cret@host"},
		{"user:s3cret@host"},
		{"http://user:s3cret@host:port"},
		{"http://user:s3/cret@host"},
		{"http://user:s3cret%zz@host"},
		{"http://user:s3cret@" + closed},
		{"http://s3cret@" + closed, "http://" + closed},
		{"http://user:12#s3cret@host/"},
		{"http://user:s3#cret@host/"},
		{"http://user:12?s3cret@host/"},
		{"http://user:s3?cret@host/"},
		{"http://user:12/s3cret@host/"},
		{"http://user:s3@cret@host:port"},
		{"user:s3://cret@host"},
		{"http://host/#s3cret"},
		{"http://host:port?token=s3cret"},
		{"ftp://host?mail=s3@cret"},
		{"http://" + closed + "?token=s3cret", "http://" + closed + "/live?token=s3cret"},
		{"--json", "http://" + closed + "?token=s3cret"},
		{"--all", "http://" + closed + "?token=s3cret"},
		{"rollout", "http://" + closed + "?token=s3cret"},
		{"unix://user:s3cret@h/app.sock"},
		{"unix:///user:s3cret@h/app.sock"},
		{"unix:///no.sock?token=s3cret"},
		{"unix:///no.sock#s3cret"},
		{"unix:///no.sock:/live#s3cret"},
		{"unix:///no.sock:/live?token=s3cret", "unix:///no.sock"},
		{"unix:///no.sock:/%zz?token=s3cret"},
		{"--timeout", "http://user:s3cret@host"},
		{"--fail-on", "http://host/?token=s3cret"},
		{"--check", "http://user:s3cret@host"},
		{"--json", "http://user:s3cret@" + closed},
		{"--live", "http://user:s3cret@" + closed, "http://user:s3cret@" + closed},
		{"--header", "s3cret", "http://x"},
		{"--http://user:s3cret@host"},
		{"--live=http://user:s3cret@host"},
		{"--live=http://host?token=s3cret"},
		{"--header", "Authorization: s3cret\x01", "http://x"},
		{"--all", "http://user:s3cret@" + closed},
		{"rollout", "http://user:s3cret@" + closed},
	} {
		code, stdout, stderr := command(args...)
		assert.Equal(t, 1, code)
		assert.NotRegexp(t, "s3|cret", stdout+stderr, args)
		assert.NotEmpty(t, stdout+stderr)
	}
}

func TestSentRequest(t *testing.T) {
	var last atomic.Pointer[http.Request]
	url := testservice.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		last.Store(r)
		_, _ = io.WriteString(w, `{"status":"ok"}`)
	}))
	code, _, stderr := command("--header", "X-One: 1", "--header", "x-one:2 ", "--header", "Host: shop.example", url+"/a%2Fb/?q=%20x")
	require.Zero(t, code, stderr)
	got := last.Load()
	assert.Equal(t, http.MethodGet, got.Method)
	assert.Equal(t, "/a%2Fb/?q=%20x", got.RequestURI)
	assert.Equal(t, "shop.example", got.Host)
	assert.Equal(t, []string{"1", "2"}, got.Header["X-One"])
	assert.Equal(t, "echohealth-healthcheck", got.UserAgent())
	assert.True(t, got.Close, "no connection is left behind")

	_, _, _ = command("--group", "payments", url)
	assert.Equal(t, "/api/health/groups/payments/", last.Load().RequestURI)

	code, _, _ = command("--header", "User-Agent: mine", "--check", "redis", url+"/a%2Fb?q=1")
	require.Zero(t, code)
	got = last.Load()
	assert.Equal(t, "/a%2Fb/checks/redis/?q=1", got.RequestURI)
	assert.Equal(t, []string{"mine"}, got.Header["User-Agent"])
	assert.Equal(t, strings.TrimPrefix(url, "http://"), got.Host)
}

func TestJSON(t *testing.T) {
	body := "{\"status\":\"not_ready\", \"z\":\"\u202e\\u001b[31m\",\n\"a\":1.50}\n"
	url := testservice.Serve(t, testservice.Answering(503, body))
	code, stdout, stderr := command("--json", url)
	assert.Equal(t, 1, code)
	assert.Equal(t, body, stdout, "as it is, to the byte")
	assert.Empty(t, stderr)

	good := testservice.Serve(t, testservice.New(t, echohealth.WithRedis(testservice.Up), echohealth.WithoutSystemMetrics()))
	code, stdout, _ = command("--json", good, good)
	assert.Zero(t, code)
	assert.Regexp(t, `^(\{"status":"ready",.*\}\n){2}$`, stdout, "one line each")

	code, stdout, stderr = command("--json", testservice.Serve(t, testservice.Answering(200, "<html>")))
	assert.Equal(t, 1, code)
	assert.Empty(t, stdout, "nothing but JSON")
	assert.Regexp(t, `^healthcheck: http://.*/api/health/ready/: 200 OK in .*: the body is not a health document\n$`, stderr)

	code, stdout, stderr = command("--json", "http://"+testservice.ClosedPort(t))
	assert.Equal(t, 1, code)
	assert.Empty(t, stdout)
	assert.Contains(t, stderr, "connection refused")
}

func TestUnixSocket(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no UNIX sockets to be sure of")
	}
	dir, err := os.MkdirTemp("", "healthcheck") // t.TempDir may be too long for a socket
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "app.sock")
	listener, err := net.Listen("unix", path)
	require.NoError(t, err)
	server := &http.Server{Handler: testservice.New(t, echohealth.WithRedis(testservice.Down), echohealth.WithoutSystemMetrics())}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })

	for _, test := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"unix://" + path}, 1, "not_ready in "},
		{[]string{"--live", "unix://" + path}, 0, "alive in "},
		{[]string{"unix://" + path + ":/api/health/live"}, 0, "alive in "},
		{[]string{"--check", "redis", "unix://" + path + ":/api/health"}, 1, "error connection_refused in "},
		{[]string{"unix://" + path + ".gone"}, 1, "there is no such socket\n"},
		{[]string{"--all", "unix://" + path}, 1, "things wrong: 0; the service is not well\n"},
		{[]string{"--live", "unix://" + path, "unix://" + path}, 0, "unix://" + path + ":/api/health/live/: alive in "},
		{[]string{"rollout", "--connections=2", "--duration=1s", "unix://" + path}, 0, "\n0 of "},
	} {
		code, stdout, stderr := command(test.args...)
		assert.Equal(t, test.code, code, test.args)
		assert.Contains(t, stdout, test.want)
		assert.Empty(t, stderr)
	}
}

// Docker keeps 4096 bytes of the output, so a line must be shorter.
func TestALineFitsDocker(t *testing.T) {
	var checks []string
	for range 1000 {
		checks = append(checks, `"`+strings.Repeat("n", 60)+`":{"status":"error","reason":"`+strings.Repeat("r", 30)+`"}`)
	}
	_, stdout, _ := command(testservice.Serve(t, testservice.Answering(503, `{"status":"not_ready","checks":{`+strings.Join(checks, ",")+`}}`)))
	assert.Less(t, len(stdout), 4096)
	assert.Equal(t, 1, strings.Count(stdout, "\n"))
}
