package echohealth_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/probes"
	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	_ echohealth.Server = (*echo.Echo)(nil)
	_ echohealth.Server = (*http.Server)(nil)
)

func TestStartupGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logBuffer
		probe := &counting{}
		h := newHealth(t, logTo(&log), echohealth.WithoutSystemMetrics(), echohealth.WithStartupGate(), echohealth.WithDatabase(probe))
		w := get(h, "/api/health/startup/")
		assert.Equal(t, 503, w.Code)
		assert.JSONEq(t, `{"status":"starting","timestamp":"2000-01-01T00:00:00Z"}`, w.Body.String())
		assert.Zero(t, probe.runs.Load(), "startup depends on no check")
		w = get(h, "/api/health/ready/")
		assert.Equal(t, 503, w.Code)
		assert.JSONEq(t, `{"status":"not_ready","timestamp":"2000-01-01T00:00:00Z","reason":"starting","checks":{"database":{"status":"ok","response_time_ms":0,"since":"2000-01-01T00:00:00Z"}}}`, w.Body.String())
		assert.False(t, h.Report(t.Context()).Ready)
		assert.Equal(t, 200, get(h, "/api/health/live").Code)

		assert.False(t, h.Started())

		time.Sleep(90 * time.Second)
		assert.Equal(t, 503, get(h, "/api/health/ready").Code)
		assert.Equal(t, 503, get(h, "/api/health/startup").Code)
		h.MarkStarted() // invalidates the cached answers
		assert.True(t, h.Started())
		assert.Equal(t, `{"status":"started","timestamp":"2000-01-01T00:01:30Z"}`, get(h, "/api/health/startup").Body.String())
		assert.Equal(t, 200, get(h, "/api/health/ready").Code)
		h.MarkStarted()
		synctest.Wait()
		assert.Equal(t, []string{
			`INFO msg="readiness changed" from=unknown to=not_ready reason=starting failing=[]`,
			`INFO msg="readiness changed" from=not_ready to=ready lasted=1m30s`,
		}, records(&log))
	})
}

func TestAStartIsLoggedWithoutALook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logBuffer
		newHealth(t, logTo(&log), echohealth.WithoutSystemMetrics(), echohealth.WithStartupGate())
		time.Sleep(99 * time.Millisecond)
		synctest.Wait()
		assert.Empty(t, records(&log))
		time.Sleep(time.Millisecond)
		synctest.Wait()
		assert.Equal(t, []string{
			`INFO msg="readiness changed" from=unknown to=not_ready reason=starting failing=[]`,
		}, records(&log))
	})
}

// A rollout during a database outage must not become a crash loop.
func TestStartupDependsOnNoCheck(t *testing.T) {
	h := newHealth(t, quiet, echohealth.WithStartupGate(), echohealth.WithDatabase(failing(errors.New("down"))))
	h.MarkStarted()
	assert.Equal(t, 200, get(h, "/api/health/startup").Code)
	assert.Equal(t, 503, get(h, "/api/health/ready").Code)
	ungated := newHealth(t)
	ungated.MarkStarted()
	assert.Equal(t, 200, get(ungated, "/api/health/startup").Code)
}

func TestTheOneLineHasNoGate(t *testing.T) {
	assert.PanicsWithError(t, "echohealth: WithStartupGate: use New instead of Middleware, because only the method MarkStarted of the Health that it returns opens the gate",
		func() { echohealth.Middleware(echohealth.WithStartupGate()) })
}

func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logBuffer
		probe := &counting{takes: time.Millisecond}
		h := newHealth(t, logTo(&log), echohealth.WithoutSystemMetrics(), echohealth.WithDrainDelay(3*time.Second), echohealth.WithDatabase(probe))
		app := h.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
		assert.Equal(t, 200, get(app, "/api/health/ready").Code)
		assert.Empty(t, get(app, "/hello").Header().Get("Connection"))

		began := time.Now()
		ended := make(chan error, 2)
		go func() { ended <- h.Drain(t.Context()) }()
		synctest.Wait()
		w := get(app, "/api/health/ready")
		assert.Equal(t, 503, w.Code, "immediately")
		assert.Contains(t, w.Body.String(), `"reason":"draining","checks":{"database":{"status":"ok","response_time_ms":1,"since":"2000-01-01T00:00:00Z"}}`)
		assert.Equal(t, 200, get(app, "/api/health/live").Code)
		for _, path := range []string{"/hello", "/api/health/live", "/api/health/ready", "/api/health/nope"} {
			assert.Equal(t, "close", get(app, path).Header().Get("Connection"), path)
			assert.Equal(t, "close", get(h.Private(), path).Header().Get("Connection"), path)
		}

		r := httptest.NewRequest(http.MethodGet, "/socket", nil)
		r.Header.Set("Upgrade", "websocket")
		refused := httptest.NewRecorder()
		app.ServeHTTP(refused, r)
		assert.Equal(t, "close", refused.Header().Get("Connection"), "a request without an upgrade must also end its connection")
		r.Header.Set("Upgrade", "h2c")
		plain := httptest.NewRecorder()
		app.ServeHTTP(plain, r)
		assert.Equal(t, "close", plain.Header().Get("Connection"))

		time.Sleep(time.Second)
		go func() { ended <- h.Drain(t.Context()) }()
		assert.NoError(t, <-ended)
		assert.NoError(t, <-ended)
		assert.Equal(t, 3*time.Second, time.Since(began), "from the first call")
		assert.NoError(t, h.Drain(t.Context()))
		assert.Equal(t, 3*time.Second, time.Since(began))

		assert.EqualValues(t, 1, probe.runs.Load(), "a draining readiness runs nothing")
		assert.False(t, h.Report(t.Context()).Ready)
		synctest.Wait()
		assert.Equal(t, []string{`INFO msg="readiness changed" from=ready to=not_ready lasted=0s reason=draining failing=[]`}, records(&log))
	})
}

func TestADrainBeforeTheFirstResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		probe := &counting{}
		h := newHealth(t, quiet, echohealth.WithoutSystemMetrics(), echohealth.WithDrainDelay(0), echohealth.WithDatabase(probe))
		require.NoError(t, h.Drain(t.Context()))
		assert.Contains(t, get(h, "/api/health/ready").Body.String(), `"reason":"draining","checks":{}`)
		assert.Zero(t, probe.runs.Load())
	})
}

func TestADrainIsCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHealth(t, quiet)
		secondSignal := errors.New("second signal")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(secondSignal) })
		began := time.Now()
		assert.ErrorIs(t, h.Drain(ctx), secondSignal)
		assert.Equal(t, time.Second, time.Since(began))
		assert.Equal(t, 503, get(h, "/api/health/ready").Code, "there is no way back")
		time.AfterFunc(time.Second, func() { _ = h.Close() })
		assert.NoError(t, h.Drain(t.Context()), "after Close there is nothing to wait for")
		assert.Equal(t, 2*time.Second, time.Since(began))
		time.Sleep(time.Minute)
	})
}

type key struct{}

func TestDrainContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHealth(t, quiet, echohealth.WithDrainDelay(3*time.Second))
		parent, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
		ctx := h.DrainContext(parent)
		assert.Equal(t, "value", ctx.Value(key{}))
		time.Sleep(time.Hour)
		assert.NoError(t, ctx.Err())
		assert.Equal(t, 200, get(h, "/api/health/ready").Code)
		cancel()
		synctest.Wait()
		assert.Equal(t, 503, get(h, "/api/health/ready").Code)
		time.Sleep(3*time.Second - time.Nanosecond)
		assert.NoError(t, ctx.Err())
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		assert.Error(t, ctx.Err())
		after := h.DrainContext(parent)
		synctest.Wait()
		assert.Error(t, after.Err(), "the delay counts from the first")
	})
}

// stopping is a Server that records when it was shut down.
type stopping struct {
	at    time.Time
	takes time.Duration
	err   error
}

func (s *stopping) Shutdown(ctx context.Context) error {
	s.at = time.Now()
	select {
	case <-time.After(s.takes):
		return s.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		closer := &adviser{}
		var log logBuffer
		h, err := echohealth.New(logTo(&log), echohealth.WithDrainDelay(3*time.Second), echohealth.WithRedis(closer))
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		first, second := &stopping{takes: time.Second}, &stopping{takes: 2 * time.Second, err: broken}
		began := time.Now()
		assert.ErrorIs(t, h.Shutdown(ctx, first, second), broken)
		assert.Equal(t, 3*time.Second, first.at.Sub(began), "after the drain")
		assert.Equal(t, first.at, second.at, "side by side")
		assert.Equal(t, 5*time.Second, time.Since(began))
		assert.EqualValues(t, 1, closer.closed.Load())
		assert.NotContains(t, log.String(), "drain shortened")
		assert.NoError(t, h.Shutdown(ctx), "a second call is harmless")
		assert.EqualError(t, h.Shutdown(ctx, nil, (*http.Server)(nil)), "echohealth: Shutdown: server 1 is nil\nechohealth: Shutdown: server 2 is nil")
	})
}

func TestShutdownLeavesHalfOfTheTimeToTheServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logBuffer
		h, err := echohealth.New(logTo(&log), echohealth.WithoutSystemMetrics(), echohealth.WithDrainDelay(time.Hour))
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		server := &stopping{takes: time.Second}
		began := time.Now()
		assert.NoError(t, h.Shutdown(ctx, server))
		assert.Equal(t, 5*time.Second, server.at.Sub(began))
		assert.Contains(t, log.String(), `level=WARN msg="drain shortened: give Shutdown a context of more than twice the drain delay" delay=1h0m0s to=5s`)
		time.Sleep(time.Hour)
	})
}

// A short delay that is cut to nothing is logged, too.
func TestAShortDrainThatIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logBuffer
		h, err := echohealth.New(logTo(&log), echohealth.WithoutSystemMetrics(), echohealth.WithDrainDelay(90*time.Millisecond))
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Millisecond)
		defer cancel()
		assert.NoError(t, h.Shutdown(ctx))
		assert.Contains(t, log.String(), "drain shortened")
		time.Sleep(time.Second)
	})
}

// Half of the context's time is a moment less than the delay, which is no reason for a record.
func TestSlightlyShorterDrainIsNotLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logBuffer
		h, err := echohealth.New(logTo(&log), echohealth.WithoutSystemMetrics(), echohealth.WithDrainDelay(5*time.Second))
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		time.Sleep(time.Millisecond)
		assert.NoError(t, h.Shutdown(ctx))
		assert.NotContains(t, log.String(), "drain shortened")
		time.Sleep(time.Second)
	})
}

func TestShutdownWithAFinishedContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, err := echohealth.New()
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		server := &stopping{takes: time.Second}
		began := time.Now()
		assert.ErrorIs(t, h.Shutdown(ctx, server), context.Canceled)
		assert.Zero(t, time.Since(began))
		assert.False(t, server.at.IsZero(), "the server is shut down nevertheless")
		assert.Equal(t, 503, get(h, "/api/health/ready").Code)
		time.Sleep(time.Minute)
	})
}

// Shutdown with a context that has ended returns an error, even if the drain has no delay to wait for.
func TestShutdownWithAFinishedContextAndNothingToWaitFor(t *testing.T) {
	for range 20 { // select chooses at random if both channels are ready
		secondSignal := errors.New("second signal")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(secondSignal)
		h, err := echohealth.New(quiet, echohealth.WithDrainDelay(0))
		require.NoError(t, err)
		assert.NoError(t, h.Drain(ctx), "the drain ends immediately")
		assert.ErrorIs(t, h.Shutdown(ctx), secondSignal)
		assert.NoError(t, h.Drain(ctx), "it is closed")
	}
}

// The drain delay is 5 s by default.
func TestTheDrainDelayOfTheDefaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHealth(t, quiet, echohealth.WithoutSystemMetrics())
		began := time.Now()
		require.NoError(t, h.Drain(t.Context()))
		assert.Equal(t, 5*time.Second, time.Since(began))
	})
}

// serverFunc is a Server made of a function.
type serverFunc func()

func (f serverFunc) Shutdown(context.Context) error { f(); return nil }

func TestAServerIsShutDownWhileTheServiceDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, before := range []time.Duration{0, time.Second} {
			h := newHealth(t, quiet, echohealth.WithoutSystemMetrics())
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(before, cancel)
			if before == 0 {
				cancel()
			}
			err := h.Shutdown(ctx, serverFunc(func() {
				w := get(h, "/api/health/ready")
				assert.Equal(t, 503, w.Code)
				assert.Contains(t, w.Body.String(), `"reason":"draining"`)
			}))
			assert.ErrorIs(t, err, context.Canceled, "the drain was cut")
		}
	})
}

func TestShutdownLogsTheDrain(t *testing.T) {
	for range 100 {
		var log logBuffer
		h, err := echohealth.New(logTo(&log), echohealth.WithoutSystemMetrics(), echohealth.WithDrainDelay(0), echohealth.WithRedis(well))
		require.NoError(t, err)
		h.Report(t.Context())
		require.NoError(t, h.Shutdown(t.Context()))
		require.Len(t, records(&log), 1)
		require.Contains(t, records(&log)[0], `msg="readiness changed" from=`) // from ready or unknown
		require.Contains(t, records(&log)[0], `to=not_ready`)
		require.Contains(t, records(&log)[0], `reason=draining`)
	}
}

// stubborn is a Server that ignores its context, or panics.
type stubborn struct{ hang chan struct{} }

func (s *stubborn) Shutdown(context.Context) error {
	if s.hang == nil {
		panic("a bug: password=s3cret")
	}
	<-s.hang
	return nil
}

func TestShutdownReturnsBeforeAHangingServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, err := echohealth.New(quiet, echohealth.WithDrainDelay(0))
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		hang := make(chan struct{})
		began := time.Now()
		err = h.Shutdown(ctx, &stubborn{hang}, &stopping{}, &stubborn{})
		assert.Equal(t, 11*time.Second, time.Since(began))
		assert.ErrorContains(t, err, "echohealth: Shutdown: server 1 did not stop after the context ended; it may still be running\n"+
			"echohealth: Shutdown: server 3 panicked: a bug: password=***\ngoroutine ")
		close(hang)
	})
}

// WithBackground adds looks when there are no requests, and changes nothing else.
func TestBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fast, slow := &counting{}, &counting{}
		newHealth(t, quiet, echohealth.WithoutSystemMetrics(), echohealth.WithBackground(10*time.Second),
			echohealth.WithDatabase(fast, echohealth.FreshFor(time.Second)),
			echohealth.WithRedis(slow, echohealth.FreshFor(time.Minute)))
		synctest.Wait()
		assert.Zero(t, fast.runs.Load(), "not before New has returned")
		time.Sleep(10 * time.Minute)
		assert.InDelta(t, 60, fast.runs.Load(), 7, "each interval")
		assert.InDelta(t, 11, slow.runs.Load(), 2, "each freshness time, which is longer")
	})
	synctest.Test(t, func(t *testing.T) {
		probe := &counting{}
		h := newHealth(t, quiet, echohealth.WithoutSystemMetrics(), echohealth.WithBackground(10*time.Second), echohealth.WithDatabase(probe))
		for range 600 {
			assert.Equal(t, 200, get(h, "/api/health/ready").Code)
			time.Sleep(time.Second)
		}
		assert.GreaterOrEqual(t, probe.runs.Load(), int64(599), "each look after the freshness time")
	})
	synctest.Test(t, func(t *testing.T) {
		probe := &counting{}
		newHealth(t, quiet, echohealth.WithoutSystemMetrics(), echohealth.WithBackground(10*time.Second), echohealth.WithBackground(0), echohealth.WithDatabase(probe))
		time.Sleep(time.Hour)
		assert.Zero(t, probe.runs.Load(), "0 turns it off")
	})
}

func TestDampingOfReadiness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := false
		probe := probes.Func(func(context.Context) error {
			if down {
				return errors.New("down")
			}
			return nil
		})
		h := newHealth(t, quiet, echohealth.WithoutSystemMetrics(), echohealth.WithDatabase(probe, echohealth.FailureThreshold(3), echohealth.SuccessThreshold(2)))
		var codes []int
		for i := range 10 {
			down = i >= 2 && i < 6
			codes = append(codes, get(h, "/api/health/ready").Code)
			time.Sleep(time.Second)
		}
		assert.Equal(t, []int{200, 200, 200, 200, 503, 503, 503, 200, 200, 200}, codes)
	})
}

// echoBack upgrades the connection to a protocol that sends back what it receives.
func echoBack(w http.ResponseWriter, _ *http.Request) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = buffered.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	_ = buffered.Flush()
	_, _ = io.Copy(conn, buffered)
}

// An upgrade succeeds during a drain, by the handler itself or behind a reverse proxy. A request that is not
// upgraded gets "Connection: close" like any other.
func TestADrainAndUpgrades(t *testing.T) {
	backend := httptest.NewServer(http.HandlerFunc(echoBack))
	defer backend.Close()
	target, err := url.Parse(backend.URL)
	require.NoError(t, err)
	refuse := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	says := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("no")) })
	flushes := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _ = http.NewResponseController(w).Flush() })
	hints := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusOK)
	})
	for _, test := range []struct {
		name     string
		handler  http.Handler
		upgraded bool
	}{
		{"hijack", http.HandlerFunc(echoBack), true},
		{"reverse proxy", httputil.NewSingleHostReverseProxy(target), true},
		{"refused", refuse, false}, {"another answer", says, false}, {"flushed", flushes, false}, {"after a hint", hints, false},
	} {
		for face, wrap := range map[string]func(*echohealth.Health) http.Handler{
			"Wrap": func(h *echohealth.Health) http.Handler { return h.Wrap(test.handler) },
			"Echo": func(h *echohealth.Health) http.Handler {
				e := echo.New()
				e.Use(h.Middleware)
				e.GET("/socket", echo.WrapHandler(test.handler))
				return e
			},
		} {
			if test.name == "after a hint" && face == "Echo" {
				continue // Echo v4 treats the 1xx hint as the answer
			}
			t.Run(test.name+" "+face, func(t *testing.T) {
				h := newHealth(t, quiet, echohealth.WithoutSystemMetrics(), echohealth.WithDrainDelay(0))
				require.NoError(t, h.Drain(t.Context()))
				server := httptest.NewServer(wrap(h))
				defer server.Close()
				request, err := http.NewRequest(http.MethodGet, server.URL+"/socket", nil)
				require.NoError(t, err)
				request.Header.Set("Connection", "Upgrade")
				request.Header.Set("Upgrade", "echo")
				response, err := server.Client().Do(request)
				require.NoError(t, err)
				defer response.Body.Close()
				assert.Equal(t, test.upgraded, response.StatusCode == http.StatusSwitchingProtocols)
				assert.Equal(t, !test.upgraded, response.Close, "Connection: close")
				if !test.upgraded {
					return
				}
				socket := response.Body.(io.ReadWriteCloser)
				_, err = socket.Write([]byte("hello"))
				require.NoError(t, err)
				got := make([]byte, 5)
				_, err = io.ReadFull(socket, got)
				require.NoError(t, err)
				assert.Equal(t, "hello", string(got))
			})
		}
	}
}
