package echohealth_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/redisprobe"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		details := []slog.Attr{slog.Int("pending_tasks", 3)}
		h := newHealth(t, quiet, echohealth.WithoutSystemMetrics(), echohealth.WithVersion("1.2.3"),
			echohealth.WithCelery(fixed{probes.Result{Status: probes.OK, Details: details}, 2 * time.Millisecond}),
			echohealth.WithRedis(failing(syscall.ECONNREFUSED)))
		began := time.Now()
		report := h.Report(t.Context())
		assert.Equal(t, echohealth.Report{
			Status: echohealth.Unhealthy, Ready: false, Timestamp: began.Add(2 * time.Millisecond).UTC(), Version: "1.2.3",
			Checks: []echohealth.Check{
				{Name: "celery", Status: probes.OK, ResponseTime: 2 * time.Millisecond, Details: details, Since: began.Add(2 * time.Millisecond),
					LastOK: began.Add(2 * time.Millisecond)},
				{Name: "redis", Status: probes.Error, Reason: probes.ReasonConnectionRefused, Since: began},
			},
		}, report)
		report.Checks[0].Details[0] = slog.Int("pending_tasks", 99)
		assert.Equal(t, details, h.Report(t.Context()).Checks[0].Details, "a report is the caller's own")
	})
}

func TestReportHasTheSystemMetrics(t *testing.T) {
	h := newHealth(t, echohealth.WithDisk("tmp", t.TempDir()), echohealth.WithDisk("disk", "/"))
	var names []string
	for _, check := range h.Report(t.Context()).Checks {
		names = append(names, check.Name)
		assert.Zero(t, check.ResponseTime)
		assert.False(t, check.Since.IsZero())
	}
	assert.Equal(t, []string{"cpu", "memory", "disk", "tmp", "connections", "process"}, names)
}

func TestReportOfACallerWhoLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHealth(t, echohealth.WithoutSystemMetrics(), echohealth.WithRedis(&counting{takes: 100 * time.Millisecond}))
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		assert.Equal(t, probes.ReasonTimeout, h.Report(ctx).Checks[0].Reason)
		assert.True(t, h.Report(t.Context()).Ready)
	})
}

// logBuffer is a buffer that one goroutine may write while another reads.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// records returns the records of the log, one line each.
func records(log *logBuffer) []string {
	var lines []string
	for line := range strings.Lines(log.String()) {
		_, line, _ = strings.Cut(strings.TrimSpace(line), "level=")
		lines = append(lines, line)
	}
	return lines
}

func TestChangeLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var state atomic.Pointer[error]
		set := func(err error) { state.Store(&err) }
		set(nil)
		var log logBuffer
		h := newHealth(t, echohealth.WithoutSystemMetrics(), logTo(&log),
			echohealth.WithDatabase(well),
			echohealth.WithRedis(probes.Func(func(context.Context) error { return *state.Load() })))
		ask := func(times int) {
			for range times {
				get(h, "/api/health/ready")
				time.Sleep(time.Second)
			}
		}
		ask(40)
		assert.Empty(t, log.String(), "unknown to ok, and steady: silent")

		set(fmt.Errorf("redis://:s3cret@cache:6379: %w", syscall.ECONNREFUSED))
		ask(40)
		set(probes.Warn("backlog", nil))
		ask(40)
		set(nil)
		ask(40)
		assert.Equal(t, []string{
			`ERROR msg="health check changed" check=redis from=ok to=error lasted=40s reason=connection_refused error="redis://:***@cache:6379: connection refused"`,
			`ERROR msg="readiness changed" from=ready to=not_ready lasted=40s failing=[redis]`,
			`WARN msg="health check changed" check=redis from=error to=warning lasted=40s reason=backlog error=backlog`,
			`INFO msg="readiness changed" from=not_ready to=ready lasted=40s`,
			`INFO msg="health check changed" check=redis from=warning to=ok lasted=40s`,
		}, records(&log))
	})
}

func TestTheFirstFailureIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logBuffer
		h := newHealth(t, echohealth.WithoutSystemMetrics(), logTo(&log), echohealth.WithRedis(failing(syscall.ECONNREFUSED)))
		get(h, "/api/health/ready")
		synctest.Wait()
		assert.Equal(t, []string{
			`ERROR msg="health check changed" check=redis from=unknown to=error reason=connection_refused error="connection refused"`,
			`ERROR msg="readiness changed" from=unknown to=not_ready failing=[redis]`,
		}, records(&log))
	})
}

func TestTheDefaultLoggerIsThatOfTheMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHealth(t, echohealth.WithoutSystemMetrics(), echohealth.WithRedis(failing(syscall.ECONNREFUSED)))
		before := slog.Default()
		defer slog.SetDefault(before)
		var log logBuffer
		slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
		get(h, "/api/health/ready")
		synctest.Wait()
		assert.Contains(t, log.String(), "connection_refused")
	})
}

// adviser is a probe with advice, and something to close.
type adviser struct {
	counting
	closed   atomic.Int64
	closeErr error
	hang     chan struct{}
	panics   bool
}

func (a *adviser) Advise() []string {
	return []string{"set X: redis://:s3cret@cache waits 5 s", "set Y"}
}

func (a *adviser) Close() error {
	a.closed.Add(1)
	if a.panics {
		panic("password=s3cret")
	}
	if a.hang != nil {
		<-a.hang
	}
	return a.closeErr
}

func TestAdviceIsLoggedOnce(t *testing.T) {
	var log logBuffer
	h := newHealth(t, logTo(&log), echohealth.WithoutSystemMetrics(), echohealth.WithRedis(&adviser{}))
	for range 3 {
		get(h, "/api/health/ready")
	}
	require.NoError(t, h.Close())
	assert.Equal(t, []string{
		`WARN msg="health check advice" check=redis advice="set X: redis://:***@cache waits 5 s"`,
		`WARN msg="health check advice" check=redis advice="set Y"`,
	}, records(&log))
}

// speechless is a probe whose method Advise panics.
type speechless struct{ counting }

func (*speechless) Advise() []string { panic("password=s3cret") }

func TestAdviceThatPanicsIsOnlyLogged(t *testing.T) {
	var log logBuffer
	h := newHealth(t, logTo(&log), echohealth.WithoutSystemMetrics(), echohealth.WithRedis(&speechless{}))
	assert.Equal(t, 200, get(h, "/api/health/ready").Code)
	require.NoError(t, h.Close())
	require.Len(t, records(&log), 1)
	assert.Contains(t, records(&log)[0], `WARN msg="health check advice" check=redis `+
		`advice="Advise of *echohealth_test.speechless panicked: password=***\ngoroutine `)
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared, other := &adviser{}, &adviser{}
		h, err := echohealth.New(quiet, echohealth.WithRedis(shared), echohealth.WithCheck("again", shared), echohealth.WithDatabase(other))
		require.NoError(t, err)
		assert.Equal(t, 200, get(h, "/api/health/ready").Code)
		require.NoError(t, h.Close())
		assert.NoError(t, h.Close())
		assert.EqualValues(t, 1, shared.closed.Load(), "once, though it has two checks")
		assert.EqualValues(t, 1, other.closed.Load())

		runs := shared.runs.Load()
		assert.Equal(t, 200, get(h, "/api/health/live").Code)
		w := get(h, "/api/health/ready")
		assert.Equal(t, 503, w.Code)
		assert.Contains(t, w.Body.String(), `"status":"not_ready"`)
		assert.Contains(t, w.Body.String(), `"redis":{"status":"error","reason":"stale"`)
		assert.Contains(t, get(h, "/api/health/detailed").Body.String(), `"cpu":{"status":"error","reason":"stale","since":"2000-01-01T00:00:00Z"`)
		assert.Equal(t, echohealth.Unhealthy, h.Report(t.Context()).Status)
		assert.Equal(t, runs, shared.runs.Load(), "nothing runs")
	})
}

func TestCloseWithoutChecks(t *testing.T) {
	h, err := echohealth.New(echohealth.WithoutSystemMetrics())
	require.NoError(t, err)
	assert.Equal(t, 200, get(h, "/api/health/ready").Code)
	require.NoError(t, h.Close())
	assert.Equal(t, 503, get(h, "/api/health/ready").Code)
	report := h.Report(t.Context())
	assert.False(t, report.Ready)
	assert.Equal(t, echohealth.Unhealthy, report.Status)
}

func TestCloseIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		h, err := echohealth.New(quiet, echohealth.WithoutSystemMetrics(),
			echohealth.WithDatabase(deaf(hang)),
			echohealth.WithRedis(&adviser{hang: hang}),
			echohealth.WithAMQP(&adviser{panics: true}),
			echohealth.WithCelery(&adviser{closeErr: errors.New("amqp://app:s3cret@rabbit is gone")}))
		require.NoError(t, err)
		get(h, "/api/health/ready")
		began := time.Now()
		err = h.Close()
		assert.Equal(t, 2500*time.Millisecond, time.Since(began))
		assert.ErrorContains(t, err, `the probe of "database" did not stop within 1s after its context ended; it may still be running`)
		assert.ErrorContains(t, err, `closing the probe of "redis" took longer than 1.5s; it may still be running`)
		assert.ErrorContains(t, err, `closing the probe of "amqp" panicked: password=***`)
		assert.ErrorContains(t, err, `closing the probe of "celery": amqp://app:***@rabbit is gone`)
		assert.Equal(t, err, h.Close())
		close(hang)
	})
}

func TestCloseDuringConcurrentRequests(t *testing.T) {
	h, err := echohealth.New(quiet, echohealth.WithRedis(&counting{takes: time.Millisecond}, echohealth.FreshFor(time.Millisecond)))
	require.NoError(t, err)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				get(h, "/api/health/detailed")
				get(h, "/api/health/ready")
			}
		})
	}
	require.NoError(t, h.Close())
	assert.Equal(t, 503, get(h, "/api/health/ready").Code)
	wg.Wait()
}

// A check whose probe always takes 900 ms, with a look every 250 ms for 30 s, is always an Error.
func TestADatabaseThatIsAlwaysTooSlowDoesNotFlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logBuffer
		h := newHealth(t, echohealth.WithoutSystemMetrics(), logTo(&log), echohealth.WithDatabase(&counting{takes: 900 * time.Millisecond}))
		for began := time.Now(); time.Since(began) < 30*time.Second; time.Sleep(250 * time.Millisecond) {
			w := get(h, "/api/health/ready")
			require.Equal(t, 503, w.Code)
			require.Contains(t, w.Body.String(), `"reason":"timeout"`)
		}
		assert.Len(t, records(&log), 2, "the check's first failure and readiness's")
		time.Sleep(time.Second)
	})
}

// A look may wait for one check so long that the result of another check expires. Only this look may show the
// expired result.
func TestExpiredResultIsShownOnlyOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := false
		first := probes.Func(func(context.Context) error {
			if broken {
				return errors.New("down")
			}
			return nil
		})
		second := probes.Func(func(ctx context.Context) error {
			if broken {
				<-ctx.Done()
			}
			return nil
		})
		h := newHealth(t, quiet, echohealth.WithoutSystemMetrics(), echohealth.WithCheck("first", first), echohealth.WithCheck("second", second, echohealth.Optional()))
		get(h, "/api/health/checks/second/")
		time.Sleep(100 * time.Millisecond)
		get(h, "/api/health/detailed/")
		broken = true
		time.Sleep(950 * time.Millisecond) // second is due, and first becomes due during the run of second
		get(h, "/api/health/detailed/")
		w := get(h, "/api/health/detailed/")
		assert.Contains(t, w.Body.String(), `"first":{"status":"error"`)
		time.Sleep(10 * time.Second)
	})
}

// unruly is a slog.Handler that panics, or does not return.
type unruly struct {
	slog.Handler
	hang chan struct{}
}

func (u unruly) Handle(context.Context, slog.Record) error {
	if u.hang != nil {
		<-u.hang
	}
	panic("a handler")
}

// Advice is logged after New has returned, so that a logger that panics or hangs can't affect New.
func TestALoggerThatPanicsOrHangsDoesNotKeepNew(t *testing.T) {
	hang := make(chan struct{})
	for _, handler := range []slog.Handler{unruly{slog.DiscardHandler, nil}, unruly{slog.DiscardHandler, hang}} {
		h, err := echohealth.New(echohealth.WithLogger(slog.New(enabled{handler})), echohealth.WithRedis(&adviser{}))
		require.NoError(t, err)
		assert.Equal(t, 200, get(h, "/api/health/ready").Code)
		go func() { _ = h.Close() }()
	}
	close(hang)
}

// enabled is a slog.Handler for every level.
type enabled struct{ slog.Handler }

func (enabled) Enabled(context.Context, slog.Level) bool { return true }

func TestCheckInCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		redis := &counting{takes: 300 * time.Millisecond}
		slow := &counting{takes: 500 * time.Millisecond}
		h := newHealth(t, quiet, echohealth.WithRedis(redis), echohealth.WithDatabase(slow))
		began := time.Now()
		check, err := h.Check(t.Context(), "redis")
		require.NoError(t, err)
		assert.Equal(t, 300*time.Millisecond, time.Since(began), "it waits for this one")
		assert.Equal(t, "redis", check.Name)
		assert.Equal(t, probes.OK, check.Status)
		assert.EqualValues(t, 1, slow.runs.Load(), "and is a look")

		memory, err := h.Check(t.Context(), "memory")
		require.NoError(t, err)
		assert.Equal(t, "memory", memory.Name)
		assert.NotEmpty(t, memory.Details)

		_, err = h.Check(t.Context(), "nobody")
		assert.ErrorIs(t, err, echohealth.ErrUnknownCheck)
		assert.EqualError(t, err, `echohealth: no check has this name: "nobody"`)
	})
}

func TestLastRunsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		probe := &counting{}
		h := newHealth(t, quiet, echohealth.WithRedis(probe))
		unknown := h.Last()
		assert.False(t, unknown.Ready, "unknown is not ready")
		assert.Equal(t, echohealth.Unhealthy, unknown.Status)
		assert.Equal(t, echohealth.Check{Name: "redis"}, unknown.Checks[0])
		assert.Len(t, unknown.Checks, 6)
		assert.Empty(t, unknown.Checks[1].Status)
		synctest.Wait()
		assert.Zero(t, probe.runs.Load())
		object, err := json.Marshal(unknown)
		require.NoError(t, err)
		assert.Equal(t, `{"status":"unhealthy","timestamp":"2000-01-01T00:00:00Z","checks":{}}`, string(object))

		report := h.Report(t.Context())
		time.Sleep(time.Hour)
		last := h.Last()
		assert.True(t, last.Ready)
		report.Timestamp, last.Timestamp = time.Time{}, time.Time{}
		assert.Equal(t, report, last)
		assert.EqualValues(t, 1, probe.runs.Load())
		require.NoError(t, h.Close())
		assert.Equal(t, probes.ReasonStale, h.Last().Checks[0].Reason)
	})
}

func TestJSONInCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHealth(t, quiet, echohealth.WithVersion(`"1"`), echohealth.WithRedis(failing(errors.New("down"))), echohealth.WithStartupGate(),
			echohealth.WithCelery(fixed{probes.Result{Status: probes.Warning, Reason: "backlog", Details: []slog.Attr{slog.Int("pending_tasks", 10)}}, 0}))
		report, err := json.Marshal(h.Report(t.Context()))
		require.NoError(t, err)
		assert.Equal(t, get(h, "/api/health/detailed").Body.String(), string(report))
		for _, name := range []string{"redis", "celery", "memory"} {
			check, err := h.Check(t.Context(), name)
			require.NoError(t, err)
			object, err := json.Marshal(check)
			require.NoError(t, err)
			assert.Equal(t, get(h, "/api/health/checks/"+name).Body.String(), string(object))
		}
	})
}

func TestErrLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		defer close(hang)
		h, err := echohealth.New(quiet, echohealth.WithoutSystemMetrics(), echohealth.WithRedis(deaf(hang)))
		require.NoError(t, err)
		go get(h, "/api/health/ready")
		synctest.Wait()
		assert.ErrorIs(t, h.Close(), echohealth.ErrLeftAlone)
		broken, err := echohealth.New(quiet, echohealth.WithoutSystemMetrics(), echohealth.WithRedis(&adviser{closeErr: errors.New("close")}))
		require.NoError(t, err)
		err = broken.Close()
		assert.Error(t, err)
		assert.NotErrorIs(t, err, echohealth.ErrLeftAlone)
	})
}

// Every option takes every probe, so only advice can report a probe in the wrong option.
func TestAProbeUnderTheNameOfAnother(t *testing.T) {
	var log logBuffer
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", DialerRetries: 1, ContextTimeoutEnabled: true})
	defer client.Close()
	h := newHealth(t, logTo(&log), echohealth.WithoutSystemMetrics(), echohealth.WithDatabase(redisprobe.New(client)),
		echohealth.WithRedis(redisprobe.New(client)), echohealth.WithCheck("sessions", redisprobe.New(client)), echohealth.WithAMQP(well))
	require.NoError(t, h.Close())
	assert.Equal(t, []string{
		`WARN msg="health check advice" check=database advice="the check has the name \"database\", but its probe is of package redisprobe: use the option for that package, or another name"`,
	}, records(&log))
}

// While Close waits for a probe, the answers of a check and of a metric are already stale, and have since.
func TestMetricsWhileCloseWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		h, err := echohealth.New(quiet, echohealth.WithRedis(deaf(hang)))
		require.NoError(t, err)
		go get(h, "/api/health/detailed")
		time.Sleep(time.Second)
		ended := make(chan error)
		go func() { ended <- h.Close() }()
		time.Sleep(500 * time.Millisecond)
		for _, name := range []string{"memory", "redis"} {
			assert.Contains(t, get(h, "/api/health/checks/"+name).Body.String(), `"reason":"stale","`, name)
			assert.Contains(t, get(h, "/api/health/checks/"+name).Body.String(), `"since":"2000-01-01T00:00:0`, name)
		}
		close(hang)
		assert.NoError(t, <-ended)
	})
}

// The answers of a closed Health are cached for a second, as those of an open one are.
func TestAnswersOfAClosedHealthAreCached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHealth(t, quiet, echohealth.WithDatabase(well))
		require.NoError(t, h.Close())
		paths := []string{"/ready/", "/detailed/", "/checks/database/"}
		time.Sleep(900 * time.Millisecond)
		var before []string
		for _, path := range paths {
			before = append(before, get(h, "/api/health"+path).Body.String())
		}
		time.Sleep(200 * time.Millisecond) // the clock shows the next second
		for i, path := range paths {
			assert.Equal(t, before[i], get(h, "/api/health"+path).Body.String())
			if !raceEnabled {
				w, r := &discard{http.Header{}}, httptest.NewRequest(http.MethodGet, "/api/health"+path, nil)
				assert.LessOrEqual(t, testing.AllocsPerRun(10, func() { h.ServeHTTP(w, r) }), 2.0)
			}
		}
		time.Sleep(time.Second)
		assert.NotEqual(t, before[0], get(h, "/api/health/ready/").Body.String())
	})
}
