package echohealth_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
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

// flapping is a probe that fails every other time.
func flapping(err error) probes.Func {
	var runs atomic.Int64
	return func(context.Context) error {
		if runs.Add(1)%2 == 0 {
			return err
		}
		return nil
	}
}

func TestOnChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var changes []echohealth.Change
		var twice atomic.Int64
		cause := fmt.Errorf("redis://:s3cret@cache: %w", syscall.ECONNREFUSED)
		h := newHealth(t, quiet, echohealth.WithoutSystemMetrics(), echohealth.WithRedis(flapping(cause)), echohealth.WithDrainDelay(0),
			echohealth.WithOnChange(func(c echohealth.Change) { changes = append(changes, c) }),
			echohealth.WithOnChange(func(echohealth.Change) { twice.Add(1) }))
		began := time.Now()
		for range 3 {
			get(h, "/api/health/ready")
			time.Sleep(10 * time.Second)
		}
		require.NoError(t, h.Drain(t.Context()))
		synctest.Wait()
		require.Len(t, changes, 5)
		assert.EqualValues(t, 5, twice.Load())
		assert.ErrorIs(t, changes[0].Err, syscall.ECONNREFUSED)
		assert.EqualError(t, changes[0].Err, "redis://:***@cache: connection refused")
		changes[0].Err = nil
		assert.Equal(t, []echohealth.Change{
			{Check: "redis", From: probes.OK, To: probes.Error, Reason: probes.ReasonConnectionRefused, Lasted: 10 * time.Second, At: began.Add(10 * time.Second)},
			{From: probes.OK, To: probes.Error, Lasted: 10 * time.Second, At: began.Add(10 * time.Second)},
			{Check: "redis", From: probes.Error, To: probes.OK, Lasted: 10 * time.Second, At: began.Add(20 * time.Second)},
			{From: probes.Error, To: probes.OK, Lasted: 10 * time.Second, At: began.Add(20 * time.Second)},
			{From: probes.OK, To: probes.Error, Reason: "draining", Lasted: 10 * time.Second, At: began.Add(30 * time.Second)},
		}, changes)
	})
}

func TestAFunctionOfOnChangeMayPanicAndCallBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logBuffer
		var h *echohealth.Health
		var reports atomic.Int64
		h = newHealth(t, logTo(&log), echohealth.WithoutSystemMetrics(), echohealth.WithRedis(flapping(errors.New("down"))),
			echohealth.WithOnChange(func(echohealth.Change) { panic("password=s3cret") }),
			echohealth.WithOnChange(func(echohealth.Change) {
				h.Report(context.Background())
				reports.Add(1)
				_ = h.Drain(context.Background())
			}))
		for range 2 {
			get(h, "/api/health/ready")
			time.Sleep(time.Second)
		}
		time.Sleep(time.Minute)
		assert.GreaterOrEqual(t, reports.Load(), int64(2))
		assert.Equal(t, 503, get(h, "/api/health/ready").Code)
		assert.Contains(t, log.String(), `msg="a change could not be reported" error="a function of WithOnChange or OnChange panicked: password=***\ngoroutine `)
	})
}

func TestHangingFunctionDoesNotStopTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logBuffer
		var calls atomic.Int64
		hang := make(chan struct{})
		h, err := echohealth.New(logTo(&log), echohealth.WithoutSystemMetrics(), echohealth.WithReadiness(), echohealth.WithRedis(flapping(errors.New("down"))),
			echohealth.WithOnChange(func(echohealth.Change) { calls.Add(1); <-hang }))
		require.NoError(t, err)
		for range 1200 {
			get(h, "/api/health/detailed")
			time.Sleep(time.Second)
		}
		assert.Contains(t, log.String(), "health check changed", "the log continues")
		assert.Equal(t, 1, strings.Count(log.String(), `msg="a function of WithOnChange or OnChange does not return: too many changes wait, and the oldest are dropped"`))
		assert.EqualError(t, h.Close(), "echohealth: a function of WithOnChange has not returned for 500ms, and was not called for later changes; it may still be running")
		close(hang)
		synctest.Wait()
		assert.EqualValues(t, 1, calls.Load(), "no function may be called after Close has returned")
	})
}

// hanging is a slog.Handler that does not return for a while.
type hanging struct {
	slog.Handler
	hang chan struct{}
}

func (h hanging) Handle(ctx context.Context, r slog.Record) error {
	<-h.hang
	return h.Handler.Handle(ctx, r)
}

func TestHangingLoggerDelaysNoRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger := hanging{slog.NewTextHandler(io.Discard, nil), make(chan struct{})}
		var calls atomic.Int64
		h, err := echohealth.New(echohealth.WithLogger(slog.New(logger)), echohealth.WithoutSystemMetrics(), echohealth.WithReadiness(),
			echohealth.WithRedis(flapping(errors.New("down"))), echohealth.WithOnChange(func(echohealth.Change) { calls.Add(1) }))
		require.NoError(t, err)
		began := time.Now()
		for range 11 {
			assert.Equal(t, 200, get(h, "/api/health/detailed").Code)
			time.Sleep(time.Second)
		}
		assert.Equal(t, 11*time.Second, time.Since(began))
		assert.EqualValues(t, 10, calls.Load())
		assert.EqualError(t, h.Close(), "echohealth: the slog handler has not returned for 500ms, and later records were dropped; it may still be running")
		close(logger.hang)
	})
}

func TestDroppedRecordsAreLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logBuffer
		logger := hanging{slog.NewTextHandler(&log, nil), make(chan struct{})}
		opts := []echohealth.Option{echohealth.WithLogger(slog.New(logger)), echohealth.WithoutSystemMetrics(), echohealth.WithReadiness()}
		for i := range 100 { // so many checks that their records fill the queue
			opts = append(opts, echohealth.WithCheck(fmt.Sprintf("check%d", i), flapping(errors.New("down"))))
		}
		h, err := echohealth.New(opts...)
		require.NoError(t, err)
		for range 24 {
			get(h, "/api/health/detailed")
			time.Sleep(61 * time.Second)
		}
		close(logger.hang)
		synctest.Wait()
		assert.Contains(t, log.String(), "the slog handler was blocked, and the oldest log records of the health checks were dropped")
		require.NoError(t, h.Close())
	})
}

// The last state is always logged, even if readiness changes for the third time within a minute.
func TestLastStateOfAFlappingServiceIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logBuffer
		h, err := echohealth.New(logTo(&log), echohealth.WithoutSystemMetrics(), echohealth.WithDrainDelay(0), echohealth.WithRedis(flapping(errors.New("down"))))
		require.NoError(t, err)
		for range 3 {
			get(h, "/api/health/ready")
			time.Sleep(time.Second)
		}
		require.NoError(t, h.Shutdown(t.Context()))
		lines := records(&log)
		assert.Contains(t, lines[len(lines)-1], "to=not_ready")
		assert.Contains(t, lines[len(lines)-1], "reason=draining")
	})
}

func TestFlappingCheckIsSummarized(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logBuffer
		h := newHealth(t, logTo(&log), echohealth.WithoutSystemMetrics(), echohealth.WithReadiness(),
			echohealth.WithRedis(flapping(errors.New("down")), echohealth.FreshFor(100*time.Millisecond)))
		for range 10 { // there are 9 changes, and the last one is a failure
			get(h, "/api/health/detailed")
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		const down, up = `check=redis from=ok to=error lasted=100ms reason=failed error=down`, `check=redis from=error to=ok lasted=100ms`
		assert.Equal(t, []string{
			`ERROR msg="health check changed" ` + down,
			`INFO msg="health check changed" ` + up,
			`ERROR msg="health check changed" ` + down,
			`INFO msg="health check changed" ` + up,
			`ERROR msg="health check changed" ` + down,
			`ERROR msg="health check is flapping" changes=4 in=1s bad_for=800ms states.ok=2 states.error_failed=2 ` + down,
		}, records(&log))
	})
}

// An outage is logged immediately and with its reason, even soon after another outage.
func TestAnOutageAfterAnotherOneIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logBuffer
		var state atomic.Pointer[error]
		h := newHealth(t, logTo(&log), echohealth.WithoutSystemMetrics(), echohealth.WithRedis(probes.Func(func(context.Context) error {
			if err := state.Load(); err != nil {
				return *err
			}
			return nil
		})))
		poll := func(err error, times int) {
			if err != nil {
				state.Store(&err)
			} else {
				state.Store(nil)
			}
			for range times {
				get(h, "/api/health/ready")
				time.Sleep(time.Second)
			}
		}
		poll(nil, 5)
		for range 3 {
			poll(syscall.ECONNREFUSED, 10)
			poll(nil, 10)
		}
		poll(errors.New("another reason"), 10)
		poll(nil, 10)
		lines := strings.Join(records(&log), "\n")
		assert.Equal(t, 3, strings.Count(lines, `msg="health check changed" check=redis from=ok to=error lasted=10s reason=connection_refused`)+
			strings.Count(lines, `msg="health check changed" check=redis from=ok to=error lasted=5s reason=connection_refused`), lines)
		assert.Contains(t, lines, `reason=failed error="another reason"`)
		assert.Equal(t, 4, strings.Count(lines, "from=ready to=not_ready"), lines)
	})
}

func TestCloseWritesTheSummary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logBuffer
		h := newHealth(t, logTo(&log), echohealth.WithoutSystemMetrics(), echohealth.WithReadiness(),
			echohealth.WithRedis(flapping(errors.New("down")), echohealth.FreshFor(100*time.Millisecond)))
		for range 10 {
			get(h, "/api/health/detailed")
			time.Sleep(100 * time.Millisecond)
		}
		require.NoError(t, h.Close())
		lines := records(&log)
		assert.Len(t, lines, 6)
		assert.True(t, strings.HasPrefix(lines[5], `ERROR msg="health check is flapping" changes=4`), lines[5])
		time.Sleep(time.Hour)
		assert.Len(t, records(&log), 6)
	})
}

// A function that is passed to OnChange can use the Health, because New has returned.
func TestOnChangeAfterNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reports []string
		h := newHealth(t, quiet, echohealth.WithoutSystemMetrics(), echohealth.WithBackground(time.Second), echohealth.WithRedis(failing(errors.New("down"))))
		h.OnChange(func(c echohealth.Change) {
			reports = append(reports, fmt.Sprint(c.Check, " ", h.Report(t.Context()).Status))
		})
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Equal(t, []string{"redis unhealthy", " unhealthy"}, reports)
		assert.PanicsWithValue(t, "echohealth: OnChange(nil): the function must not be nil", func() { h.OnChange(nil) })
	})
}

// No function is called before New has returned, even if a change is reported soon after.
func TestNoFunctionIsCalledBeforeNewReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		changes := make(chan echohealth.Change, 10)
		h := newHealth(t, quiet, echohealth.WithoutSystemMetrics(), echohealth.WithStartupGate(), echohealth.WithBackground(time.Second),
			echohealth.WithRedis(failing(errors.New("down"))), echohealth.WithOnChange(func(c echohealth.Change) { changes <- c }))
		synctest.Wait()
		assert.Empty(t, changes)
		began := time.Now()
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		require.Len(t, changes, 2)
		told := []echohealth.Change{<-changes, <-changes}
		if told[0].Check != "" { // the order of the two is random
			told[0], told[1] = told[1], told[0]
		}
		assert.Equal(t, probes.Reason("starting"), told[0].Reason, "a readiness that begins as starting")
		assert.WithinDuration(t, began, told[0].At, 100*time.Millisecond)
		h.MarkStarted()
		synctest.Wait()
		assert.Empty(t, changes, "it is still not ready")
	})
}
