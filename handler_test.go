package echohealth_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/probes"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// quiet discards the log, so that the failures that a test causes are not in its output.
var quiet = echohealth.WithLogger(slog.New(slog.DiscardHandler))

const timestamp = `"timestamp":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"`

func TestPaths(t *testing.T) {
	h := newHealth(t, quiet, echohealth.WithDatabase(well), echohealth.WithRedis(failing(syscall.ECONNREFUSED)),
		echohealth.WithCPUThreshold(echohealth.Never, echohealth.Never)) // a busy machine must not cause a warning
	tests := []struct {
		path string
		code int
		body string // a regular expression
	}{
		{"/live", 200, `\{"status":"alive",` + timestamp + `\}`},
		{"/ready", 503, `\{"status":"not_ready",` + timestamp + `,"checks":\{` +
			`"database":\{"status":"ok","response_time_ms":[\d.]+,"since":"[^"]+"\},"redis":\{"status":"error","reason":"connection_refused","response_time_ms":[\d.]+,"since":"[^"]+"\}\}\}`},
		{"/detailed", 200, `\{"status":"unhealthy",` + timestamp + `,"checks":\{"database":\{.*\},"redis":\{.*\},` +
			`"cpu":\{"status":"ok".*"count":\d+.*\},"memory":\{"status":"\w+".*\},"disk":\{"status":"\w+".*\},"connections":\{"status":"ok".*\}.*\}\}`},
		{"", 200, `\{"status":"unhealthy",.*\}`},
		{"/checks/database", 200, `\{"status":"ok","response_time_ms":[\d.]+,"since":"[^"]+"\}`},
		{"/checks/redis", 503, `\{"status":"error","reason":"connection_refused","response_time_ms":[\d.]+,"since":"[^"]+"\}`},
		{"/checks/cpu", 200, `\{"status":"ok",.*"count":\d+.*\}`},
		{"/checks/nobody", 404, `\{"error":"not_found"\}`},
		{"/checks", 404, `\{"error":"not_found"\}`},
		{"/live/x", 404, `\{"error":"not_found"\}`},
		{"/LIVE", 404, `\{"error":"not_found"\}`},
		{"/history", 404, `\{"error":"not_found"\}`},
		{"/prometheus", 404, `\{"error":"not_found"\}`},
	}
	for _, test := range tests {
		for _, slash := range []string{"", "/"} {
			path := "/api/health" + test.path + slash
			t.Run(path, func(t *testing.T) {
				w := get(h, path)
				assert.Equal(t, test.code, w.Code)
				assert.Regexp(t, "^"+test.body+"$", w.Body.String())
				assert.True(t, json.Valid(w.Body.Bytes()))
				assert.Equal(t, "no-store", w.Header().Get("Cache-Control"))
				assert.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
				assert.Equal(t, "application/json", w.Header().Get("Content-Type"))
				assert.Equal(t, fmt.Sprint(w.Body.Len()), w.Header().Get("Content-Length"))

				head := request(h, http.MethodHead, path)
				assert.Equal(t, test.code, head.Code)
				assert.Zero(t, head.Body.Len())
				withoutLength(w.Header())
				withoutLength(head.Header())
				assert.Equal(t, w.Header(), head.Header())

				for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE", "PURGE"} {
					other := request(h, method, path)
					if test.code == 404 {
						assert.Equal(t, 404, other.Code, "the path is judged before the method")
						continue
					}
					assert.Equal(t, 405, other.Code, method)
					assert.Equal(t, "GET, HEAD", other.Header().Get("Allow"))
					assert.JSONEq(t, `{"error":"method_not_allowed"}`, other.Body.String())
					assert.Equal(t, "no-store", other.Header().Get("Cache-Control"))
				}
			})
		}
	}
}

// withoutLength removes Content-Length, because a figure may have one more digit a second later.
func withoutLength(h http.Header) { h.Del("Content-Length") }

func TestOtherPathsArePassedOn(t *testing.T) {
	h := newHealth(t)
	for _, path := range []string{"/", "/api", "/api/healthy", "/api/health.json", "/API/HEALTH/live", "//api/health/live", "/x/api/health/live"} {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		w := httptest.NewRecorder()
		assert.False(t, h.TryServe(w, r), path)
		assert.Empty(t, w.Header(), "another path's answer must not be changed")
		assert.Equal(t, http.StatusNotFound, get(h, path).Code, "without another handler the answer is 404")
		next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
		assert.Equal(t, http.StatusTeapot, get(h.Wrap(next), path).Code)
	}
	for _, path := range []string{"/api/health//", "/api/health/live//", "/api/health//live"} {
		assert.Equal(t, http.StatusNotFound, get(h, path).Code, path)
	}
	assert.Panics(t, func() { h.Wrap(nil) })
}

func TestPrefix(t *testing.T) {
	h := newHealth(t, echohealth.WithPrefix("/internal/status"))
	assert.Equal(t, 200, get(h, "/internal/status/live").Code)
	assert.Equal(t, 200, get(h, "/internal/status").Code)
	assert.JSONEq(t, `{"error":"not_found"}`, get(h, "/api/health/live").Body.String())
}

func TestNoChecksAtAll(t *testing.T) {
	h := newHealth(t, echohealth.WithoutSystemMetrics())
	assert.Regexp(t, `^\{"status":"ready",`+timestamp+`,"checks":\{\}\}$`, get(h, "/api/health/ready").Body.String())
	assert.Regexp(t, `^\{"status":"healthy",`+timestamp+`,"checks":\{\}\}$`, get(h, "/api/health/detailed").Body.String())
	assert.Equal(t, 404, get(h, "/api/health/checks/cpu").Code)
}

func TestMembersOfACheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		celery := fixed{probes.Result{Status: probes.Warning, Reason: "backlog", Details: []slog.Attr{
			slog.Int("pending_tasks", 10), slog.Uint64("consumers", 2), slog.Float64("ratio", 0.25), slog.Float64("tiny", 1e-9),
			slog.Bool("read_only", false), slog.String("role", "a-b.c_D"), slog.String("host", "not shown: 10.0.0.1"),
		}}, 1234567 * time.Nanosecond}
		h := newHealth(t, quiet, echohealth.WithoutSystemMetrics(), echohealth.WithVersion(`1.0 "β"<`), echohealth.WithCelery(celery))
		const object = `{"status":"warning","reason":"backlog","response_time_ms":1.23,"since":"2000-01-01T00:00:00Z","pending_tasks":10,"consumers":2,"ratio":0.25,"tiny":1e-09,"read_only":false,"role":"a-b.c_D"}`
		assert.Equal(t, object, get(h, "/api/health/checks/celery").Body.String())
		assert.Equal(t, `{"status":"degraded","timestamp":"2000-01-01T00:00:00Z","version":"1.0 \"β\"\u003c","checks":{"celery":`+object+`}}`,
			get(h, "/api/health/detailed").Body.String())
		w := get(h, "/api/health/ready")
		assert.Equal(t, `{"status":"ready","timestamp":"2000-01-01T00:00:00Z","checks":{"celery":`+object+`}}`, w.Body.String())
		assert.Equal(t, 200, w.Code, "a warning never makes readiness fail")
	})
}

// fixed is a probe that always returns the same result, after a delay.
type fixed struct {
	result probes.Result
	takes  time.Duration
}

func (f fixed) Check(context.Context) probes.Result {
	time.Sleep(f.takes)
	return f.result
}

// counting is a probe that counts its runs.
type counting struct {
	runs  atomic.Int64
	takes time.Duration
}

func (c *counting) Check(context.Context) probes.Result {
	c.runs.Add(1)
	time.Sleep(c.takes)
	return probes.Result{Status: probes.OK}
}

func TestReadinessDependencies(t *testing.T) {
	down := failing(syscall.ECONNREFUSED)
	tests := map[string]struct {
		options []echohealth.Option
		code    int
		checks  []string
		overall echohealth.Status
	}{
		"all by default":          {[]echohealth.Option{echohealth.WithDatabase(well), echohealth.WithRedis(down)}, 503, []string{"database", "redis"}, echohealth.Unhealthy},
		"not on what is optional": {[]echohealth.Option{echohealth.WithDatabase(well), echohealth.WithRedis(down, echohealth.Optional())}, 200, []string{"database"}, echohealth.Degraded},
		"on exactly what is named": {[]echohealth.Option{echohealth.WithDatabase(well), echohealth.WithRedis(down), echohealth.WithReadiness("database")},
			200, []string{"database"}, echohealth.Unhealthy},
		"on what is optional where it is named": {[]echohealth.Option{echohealth.WithRedis(down, echohealth.Optional()), echohealth.WithReadiness("redis")},
			503, []string{"redis"}, echohealth.Degraded},
		"on nothing": {[]echohealth.Option{echohealth.WithRedis(down), echohealth.WithReadiness()}, 200, []string{}, echohealth.Unhealthy},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			h := newHealth(t, append(test.options, quiet, echohealth.WithoutSystemMetrics())...)
			w := get(h, "/api/health/ready")
			assert.Equal(t, test.code, w.Code)
			var body struct{ Checks map[string]any }
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &body))
			names := []string{}
			for name := range body.Checks {
				names = append(names, name)
			}
			assert.ElementsMatch(t, test.checks, names)
			report := h.Report(t.Context())
			assert.Equal(t, test.overall, report.Status)
			assert.Equal(t, test.code == 200, report.Ready)
		})
	}
}

func TestReadinessWaitsOnlyForItsChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &counting{takes: 500 * time.Millisecond}
		h := newHealth(t, echohealth.WithoutSystemMetrics(), echohealth.WithDatabase(well), echohealth.WithRedis(slow, echohealth.Optional()))
		began := time.Now()
		get(h, "/api/health/live")
		get(h, "/api/health/startup")
		synctest.Wait()
		assert.Zero(t, slow.runs.Load())
		for range 2 {
			get(h, "/api/health/ready")
			assert.Zero(t, time.Since(began))
			synctest.Wait()
			assert.EqualValues(t, 1, slow.runs.Load(), "the check runs nevertheless, so that its outage is found")
		}
		get(h, "/api/health/detailed")
		assert.EqualValues(t, 1, slow.runs.Load())
		assert.Equal(t, 500*time.Millisecond, time.Since(began))
	})
}

func TestManyAtOnceCostOneRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		probe := &counting{takes: 2 * time.Millisecond}
		h := newHealth(t, echohealth.WithoutSystemMetrics(), echohealth.WithDatabase(probe), echohealth.WithRedis(probe), echohealth.WithAMQP(probe))
		var bodies sync.Map
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() { bodies.Store(get(h, "/api/health/ready").Body.String(), true) })
		}
		wg.Wait()
		assert.EqualValues(t, 3, probe.runs.Load())
		n := 0
		bodies.Range(func(any, any) bool { n++; return true })
		assert.Equal(t, 1, n, "all get the same document")
	})
}

func TestADocumentIsWrittenOncePerReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		probe := &counting{takes: 5 * time.Millisecond}
		h := newHealth(t, echohealth.WithoutSystemMetrics(), echohealth.WithDatabase(probe), echohealth.WithRedis(&counting{}, echohealth.FreshFor(10*time.Millisecond)),
			echohealth.WithReadiness("database"))
		first := readyBody(h)
		time.Sleep(300 * time.Millisecond)
		assert.Same(t, &first[0], &readyBody(h)[0], "the very same bytes")
		get(h, "/api/health/detailed") // runs the check of Redis, which the page does not show
		assert.Same(t, &first[0], &readyBody(h)[0])
		time.Sleep(time.Second)
		second := readyBody(h)
		assert.NotSame(t, &first[0], &second[0])
		assert.EqualValues(t, 2, probe.runs.Load())
	})
}

// readyBody returns the slice itself that the handler writes, not a copy.
func readyBody(handler http.Handler) []byte {
	w := &keeping{discard: newDiscard()}
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/health/ready", nil))
	return w.body
}

type keeping struct {
	*discard
	body []byte
}

func (k *keeping) Write(b []byte) (int, error) {
	k.body = b
	return len(b), nil
}

// A timestamp is the time of the report. It is at most a second old, however long the results are fresh.
func TestTimestampsAreRecent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		options := map[string]echohealth.Option{
			"a long freshness": echohealth.WithDatabase(well, echohealth.FreshFor(time.Hour)),
			"no checks":        echohealth.WithVersion("1"),
			"a hung check":     echohealth.WithDatabase(deaf(hang)),
		}
		for name, option := range options {
			h := newHealth(t, quiet, echohealth.WithoutSystemMetrics(), option)
			for _, path := range []string{"/live", "/ready", "/detailed"} {
				get(h, "/api/health"+path)
				time.Sleep(time.Minute + 1500*time.Millisecond)
				var body struct{ Timestamp time.Time }
				require.NoError(t, json.Unmarshal(get(h, "/api/health"+path).Body.Bytes(), &body))
				assert.Less(t, time.Since(body.Timestamp), 2*time.Second, "%s, %s", name, path)
			}
		}
		close(hang)
	})
}

// If a check is due that an answer does not show, the answer is made again, but its timestamp is still at
// most a second old.
func TestATimestampIsASecondOldAtMost(t *testing.T) {
	for _, takes := range []time.Duration{0, 500 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			other := probes.Func(func(context.Context) error { time.Sleep(takes); return nil })
			h := newHealth(t, quiet, echohealth.WithoutSystemMetrics(),
				echohealth.WithDatabase(well, echohealth.FreshFor(10*time.Second)),
				echohealth.WithRedis(other, echohealth.FreshFor(300*time.Millisecond+takes), echohealth.Optional()))
			time.Sleep(999 * time.Millisecond) // because the timestamp is cut to a second
			for range 200 {
				for _, path := range []string{"/api/health/ready", "/api/health/live"} {
					var body struct{ Timestamp time.Time }
					require.NoError(t, json.Unmarshal(get(h, path).Body.Bytes(), &body))
					require.Less(t, time.Since(body.Timestamp), 2*time.Second, path)
				}
				time.Sleep(50 * time.Millisecond)
			}
		})
	}
}

func TestASlowCheckIsAWarning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := probes.Func(func(context.Context) error { time.Sleep(200 * time.Millisecond); return nil })
		h := newHealth(t, quiet, echohealth.WithoutSystemMetrics(),
			echohealth.WithDatabase(slow, echohealth.SlowAfter(100*time.Millisecond)))
		assert.Equal(t, probes.ReasonSlow, h.Report(t.Context()).Checks[0].Reason)
	})
}

func TestAHungProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		h := newHealth(t, quiet, echohealth.WithoutSystemMetrics(), echohealth.WithDatabase(well), echohealth.WithRedis(deaf(hang)))
		began := time.Now()
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() {
				w := get(h, "/api/health/ready")
				assert.Equal(t, 503, w.Code)
				assert.Contains(t, w.Body.String(), `"redis":{"status":"error","reason":"timeout","response_time_ms":800,"since":"2000-01-01T00:00:00Z"}`)
				assert.Contains(t, w.Body.String(), `"database":{"status":"ok"`)
			})
		}
		wg.Wait()
		assert.Equal(t, 800*time.Millisecond, time.Since(began))
		assert.Equal(t, 1, runsInFlight())
		time.Sleep(5 * time.Second)
		began = time.Now()
		assert.Equal(t, 503, get(h, "/api/health/ready").Code)
		assert.Zero(t, time.Since(began), "a request must not wait for a run that already hangs")
		assert.Equal(t, 1, runsInFlight())
		close(hang)
		synctest.Wait()
		assert.Equal(t, 200, get(h, "/api/health/ready").Code)
	})
}

// runsInFlight counts the goroutines that run a check.
func runsInFlight() int {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	return bytes.Count(stacks, []byte("engine.(*Check).execute("))
}

// The same in real time, with 200 requests over a real server.
func TestAHungProbeOverHTTP(t *testing.T) {
	hang := make(chan struct{})
	h := newHealth(t, quiet, echohealth.WithRedis(deaf(hang), echohealth.Timeout(200*time.Millisecond)))
	t.Cleanup(func() { close(hang) })
	server := httptest.NewServer(h)
	defer server.Close()
	client := server.Client()
	client.Timeout = time.Minute // a request that waits for the probe fails the test
	var wg sync.WaitGroup
	var mu sync.Mutex
	var slowest time.Duration
	for range 200 {
		wg.Go(func() {
			began := time.Now()
			response, err := client.Get(server.URL + "/api/health/ready")
			if !assert.NoError(t, err) {
				return
			}
			_, _ = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
			assert.Equal(t, 503, response.StatusCode)
			mu.Lock()
			slowest = max(slowest, time.Since(began))
			mu.Unlock()
		})
	}
	wg.Wait()
	t.Logf("200 requests at once on a check that hangs for its timeout of 200ms: the slowest took %s", slowest.Round(time.Millisecond))
	began := time.Now()
	assert.Equal(t, 503, get(h, "/api/health/ready").Code)
	t.Logf("the next one took %s", time.Since(began))
}

func TestPanicAffectsOnlyItsCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		panics := probes.Func(func(context.Context) error { panic("password=s3cret") })
		var log logBuffer
		h := newHealth(t, echohealth.WithoutSystemMetrics(), echohealth.WithDatabase(well), echohealth.WithRedis(panics), logTo(&log))
		w := get(h, "/api/health/detailed")
		assert.Contains(t, w.Body.String(), `"redis":{"status":"error","reason":"panic","response_time_ms":0,"since":"2000-01-01T00:00:00Z"}`)
		assert.Contains(t, w.Body.String(), `"database":{"status":"ok"`)
		synctest.Wait()
		assert.Contains(t, log.String(), "panic: password=***")
		assert.NotContains(t, log.String(), "s3cret")
	})
}

func TestClosedRequestDoesNotAffectTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		probe := &counting{takes: 100 * time.Millisecond}
		var log logBuffer
		h := newHealth(t, echohealth.WithoutSystemMetrics(), echohealth.WithDatabase(probe), logTo(&log))
		ctx, hangUp := context.WithCancel(t.Context())
		hangUp()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/api/health/ready", nil))
		assert.Equal(t, 503, w.Code)
		assert.Contains(t, w.Body.String(), `"reason":"timeout"`)

		w = get(h, "/api/health/ready")
		assert.Equal(t, 200, w.Code)
		assert.EqualValues(t, 1, probe.runs.Load(), "the run went on")

		w = httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/api/health/ready", nil))
		assert.Equal(t, 200, w.Code, "fresh results need no waiting")
		assert.Empty(t, log.String())
	})
}

func logTo(w io.Writer) echohealth.Option {
	return echohealth.WithLogger(slog.New(slog.NewTextHandler(w, nil)))
}

// An answer contains no part of an error but its reason.
func TestAnswersContainNoSecrets(t *testing.T) { synctest.Test(t, answersContainNoSecrets) }

func answersContainNoSecrets(t *testing.T) {
	secrets := []string{"s3cret", "db.internal", "5432", "/var/lib", "appuser", "orders"}
	err := fmt.Errorf("failed to connect to `user=appuser database=orders`: postgres://appuser:s3cret@db.internal:5432: open /var/lib: %w", errors.New("password=s3cret"))
	leaky := fixed{result: probes.Result{Status: probes.Error, Reason: probes.Reason("db.internal is down"), Err: err,
		Details: []slog.Attr{slog.Any("error", err), slog.String("dsn", err.Error()), slog.String("db.internal:5432", "x")}}}
	var log logBuffer
	h := newHealth(t, logTo(&log), echohealth.WithDatabase(leaky), echohealth.WithRedis(failing(err)),
		echohealth.WithCheck("own", probes.Func(func(context.Context) error { return probes.Warn("quota", err) })))
	for _, path := range []string{"", "/live", "/ready", "/detailed", "/checks/database", "/checks/redis", "/checks/own", "/nope"} {
		w := get(h, "/api/health"+path)
		for _, secret := range secrets {
			assert.NotContains(t, w.Body.String(), secret)
			assert.NotContains(t, fmt.Sprint(w.Header()), secret)
		}
	}
	synctest.Wait()
	assert.Contains(t, log.String(), "db.internal", "the log has the whole error")
	assert.NotContains(t, log.String(), "s3cret", "but for the password")
}

// The log, since and last_ok show the beginning and the end of an outage.
func TestSinceAndLastOK(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := false
		probe := probes.Func(func(context.Context) error {
			if down {
				return errors.New("down")
			}
			return nil
		})
		h := newHealth(t, quiet, echohealth.WithoutSystemMetrics(), echohealth.WithRedis(probe))
		for range 10 {
			get(h, "/api/health/ready")
			time.Sleep(time.Second)
		}
		down = true
		for range 5 {
			for _, path := range shownAt {
				assert.Contains(t, get(h, path).Body.String(), `"since":"2000-01-01T00:00:10Z","last_ok":"2000-01-01T00:00:09Z"`, path)
			}
			time.Sleep(time.Second)
		}
		check := h.Report(t.Context()).Checks[0]
		assert.Equal(t, "2000-01-01T00:00:10Z", check.Since.UTC().Format(time.RFC3339))
		assert.Equal(t, "2000-01-01T00:00:09Z", check.LastOK.UTC().Format(time.RFC3339))
		down = false
		time.Sleep(time.Second)
		assert.Contains(t, get(h, "/api/health/ready").Body.String(), `"since":"2000-01-01T00:00:16Z"}`, "a check that is ok has no last_ok")
	})
}

func TestPhase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHealth(t, quiet, echohealth.WithoutSystemMetrics(), echohealth.WithStartupGate(), echohealth.WithVersion("1"))
		phase := func() string {
			body := get(h, "/api/health/detailed").Body.String()
			phase := h.Report(t.Context()).Phase
			assert.Equal(t, phase != "", strings.Contains(body, `"phase":"`+phase+`","version":"1"`), body)
			return phase
		}
		assert.Equal(t, "starting", phase())
		h.MarkStarted()
		assert.Empty(t, phase())
		go func() { _ = h.Drain(t.Context()) }()
		synctest.Wait()
		assert.Equal(t, "draining", phase())
		require.NoError(t, h.Close())
		assert.Empty(t, phase())
	})
}
