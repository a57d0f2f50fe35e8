package grpchealth_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/grpchealth"
	"github.com/echo-probes/echohealth/probes"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

type serverStatus = grpc_health_v1.HealthCheckResponse_ServingStatus

// watching is a call of Watch without a network, for tests with synctest.
type watching struct {
	grpc.ServerStream
	ctx    context.Context
	cancel context.CancelFunc
	blocks chan struct{} // if not nil, each Send waits until it can receive

	mu    sync.Mutex
	sent  []serverStatus
	ended error
}

func watch(t *testing.T, s *grpchealth.Server, service string) *watching {
	t.Helper()
	w := &watching{}
	w.start(t, s, service)
	return w
}

func (w *watching) start(t *testing.T, s *grpchealth.Server, service string) {
	w.ctx, w.cancel = context.WithCancel(t.Context())
	go func() {
		err := s.Watch(request(service), w)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.ended = err
	}()
	synctest.Wait()
}

func (w *watching) Context() context.Context { return w.ctx }

func (w *watching) Send(r *grpc_health_v1.HealthCheckResponse) error {
	if w.blocks != nil {
		select {
		case <-w.blocks:
		case <-w.ctx.Done():
			return w.ctx.Err()
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent = append(w.sent, r.GetStatus())
	return nil
}

// read returns the statuses sent since the last read, and the code if the call has ended.
func (w *watching) read() ([]serverStatus, codes.Code) {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	sent := w.sent
	w.sent = nil
	return sent, status.Code(w.ended)
}

func (w *watching) expect(t *testing.T, code codes.Code, want ...serverStatus) {
	t.Helper()
	sent, ended := w.read()
	assert.Equal(t, want, sent)
	assert.Equal(t, code, ended)
}

// switched is a probe whose status the test sets, and which counts its runs.
type switched struct {
	down atomic.Bool
	runs atomic.Int32
}

func (s *switched) Check(context.Context) probes.Result {
	s.runs.Add(1)
	if s.down.Load() {
		return probes.Result{Status: probes.Error, Reason: "failed", Err: errors.New("down")}
	}
	return probes.Result{Status: probes.OK}
}

// Every watcher gets each change of its own service once.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		database, redis := &switched{}, &switched{}
		h := newHealth(t, echohealth.WithoutSystemMetrics(), echohealth.WithDatabase(database),
			echohealth.WithRedis(redis, echohealth.Optional()), echohealth.WithGroup("payment", "redis"))
		s := grpchealth.New(h)
		ready, alive, payment := watch(t, s, ""), watch(t, s, "liveness"), watch(t, s, "payment")
		check, nothing := watch(t, s, "redis"), watch(t, s, "nothing")
		for _, w := range []*watching{ready, alive, payment, check} {
			w.expect(t, codes.OK, serving)
		}
		nothing.expect(t, codes.OK, unknown)

		redis.down.Store(true)
		time.Sleep(10 * time.Second)
		payment.expect(t, codes.OK, notServing)
		check.expect(t, codes.OK, notServing)
		database.down.Store(true)
		redis.down.Store(false)
		time.Sleep(10 * time.Second)
		ready.expect(t, codes.OK, notServing)
		payment.expect(t, codes.OK, serving)
		check.expect(t, codes.OK, serving)
		later := watch(t, s, "")
		later.expect(t, codes.OK, notServing)
		database.down.Store(false)
		time.Sleep(10 * time.Second)
		ready.expect(t, codes.OK, serving)
		later.expect(t, codes.OK, serving)
		for _, w := range []*watching{alive, payment, check, nothing} {
			w.expect(t, codes.OK)
		}

		go func() { assert.NoError(t, h.Drain(t.Context())) }()
		time.Sleep(time.Second)
		for _, w := range []*watching{ready, alive, payment, check, nothing, later} {
			w.expect(t, codes.Unavailable, notServing)
		}
		runs := database.runs.Load()
		watch(t, s, "").expect(t, codes.Unavailable)
		watch(t, s, "nothing").expect(t, codes.Unavailable)
		time.Sleep(time.Minute)
		assert.Equal(t, runs, database.runs.Load(), "nothing is looked for any more")
	})
}

// A service that is not ready before the drain is not sent as NOT_SERVING again.
func TestWatchEndsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHealth(t, echohealth.WithoutSystemMetrics(), echohealth.WithDatabase(down))
		w := watch(t, grpchealth.New(h), "")
		w.expect(t, codes.OK, notServing)
		require.NoError(t, h.Close())
		time.Sleep(time.Second)
		w.expect(t, codes.Unavailable)
	})
}

func TestWatchEndsWithClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHealth(t, echohealth.WithoutSystemMetrics())
		s := grpchealth.New(h)
		ready, alive := watch(t, s, ""), watch(t, s, "liveness")
		ready.expect(t, codes.OK, serving)
		alive.expect(t, codes.OK, serving)
		require.NoError(t, h.Close())
		time.Sleep(time.Second)
		ready.expect(t, codes.Unavailable, notServing)
		alive.expect(t, codes.Unavailable, notServing)
		watch(t, s, "").expect(t, codes.Unavailable)
	})
}

// There is one look a second for any number of watchers, and none without watchers.
func TestWatchersShareLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		database := &switched{}
		h := newHealth(t, echohealth.WithoutSystemMetrics(), echohealth.WithDatabase(database, echohealth.FreshFor(time.Millisecond)))
		s := grpchealth.New(h)
		for range 2 { // the looks start again with new watchers
			var all []*watching
			for range 50 {
				all = append(all, watch(t, s, ""))
			}
			time.Sleep(500 * time.Millisecond)
			before := database.runs.Load()
			time.Sleep(10 * time.Second)
			assert.EqualValues(t, 10, database.runs.Load()-before)
			all[0].cancel()
			time.Sleep(10 * time.Second)
			assert.EqualValues(t, 20, database.runs.Load()-before)
			for _, w := range all {
				w.cancel()
			}
			all[0].expect(t, codes.Canceled, serving)
			before = database.runs.Load()
			time.Sleep(time.Minute)
			assert.Equal(t, before, database.runs.Load())
		}
	})
}

// A check that takes longer than the period of the looks delays neither the others nor the drain, and is not
// an error before its timeout.
func TestWatchBesideASlowCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		redis := &switched{}
		var first atomic.Bool
		slow := probes.Func(func(ctx context.Context) error {
			if first.CompareAndSwap(false, true) {
				return nil
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(20 * time.Second):
				return nil
			}
		})
		h := newHealth(t, echohealth.WithoutSystemMetrics(), echohealth.WithRedis(redis),
			echohealth.WithCheck("slow", slow, echohealth.Timeout(30*time.Second)))
		s := grpchealth.New(h)
		ready, check, other := watch(t, s, ""), watch(t, s, "slow"), watch(t, s, "redis")
		time.Sleep(10 * time.Second)
		ready.expect(t, codes.OK, serving)
		check.expect(t, codes.OK, serving)
		other.expect(t, codes.OK, serving)
		redis.down.Store(true)
		time.Sleep(5 * time.Second)
		ready.expect(t, codes.OK, notServing)
		other.expect(t, codes.OK, notServing)
		check.expect(t, codes.OK)
		drain(t, h)
		time.Sleep(2 * time.Second)
		check.expect(t, codes.Unavailable, notServing)
	})
}

// A client that does not read gets only the newest status later, and does not block others.
func TestWatchOfASlowClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		database := &switched{}
		h := newHealth(t, echohealth.WithoutSystemMetrics(), echohealth.WithDatabase(database))
		s := grpchealth.New(h)
		slow := &watching{blocks: make(chan struct{})}
		slow.start(t, s, "")
		quick := watch(t, s, "")
		quick.expect(t, codes.OK, serving)
		for _, down := range []bool{true, false, true, false} {
			database.down.Store(down)
			time.Sleep(3 * time.Second)
		}
		quick.expect(t, codes.OK, notServing, serving, notServing, serving)
		slow.blocks <- struct{}{}
		slow.expect(t, codes.OK, serving)
		database.down.Store(true)
		time.Sleep(3 * time.Second)
		slow.blocks <- struct{}{}
		slow.expect(t, codes.OK, notServing)
		slow.cancel()
		slow.expect(t, codes.Canceled)
	})
}

// GracefulStop does not wait for calls of Watch, and a client that vanishes leaves no goroutine.
func TestGracefulStop(t *testing.T) {
	h := newHealth(t, echohealth.WithoutSystemMetrics())
	client, server := serve(t, h)
	vanishing, vanish := context.WithCancel(t.Context())
	for range 10 {
		stream, err := client.Watch(vanishing, request(""))
		require.NoError(t, err)
		_, err = stream.Recv()
		require.NoError(t, err)
	}
	vanish()
	stream, err := client.Watch(t.Context(), request(""))
	require.NoError(t, err)
	response, err := stream.Recv()
	require.NoError(t, err)
	assert.Equal(t, serving, response.GetStatus())

	drain(t, h)
	stopped := make(chan struct{})
	go func() { server.GracefulStop(); close(stopped) }()
	response, err = stream.Recv()
	require.NoError(t, err)
	assert.Equal(t, notServing, response.GetStatus())
	_, err = stream.Recv()
	assert.Equal(t, codes.Unavailable, status.Code(err))
	assert.ErrorContains(t, err, "the service is shutting down")
	select {
	case <-stopped:
	case <-time.After(time.Minute):
		t.Fatal("GracefulStop waits")
	}
}
