package grpchealth_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/grpchealth"
	"github.com/echo-probes/echohealth/internal/leaktest"
	"github.com/echo-probes/echohealth/probes"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

const (
	serving    = grpc_health_v1.HealthCheckResponse_SERVING
	notServing = grpc_health_v1.HealthCheckResponse_NOT_SERVING
	unknown    = grpc_health_v1.HealthCheckResponse_SERVICE_UNKNOWN
)

var (
	quiet = echohealth.WithLogger(slog.New(slog.DiscardHandler))
	well  = probes.Func(func(context.Context) error { return nil })
	down  = probes.Func(func(context.Context) error { return errors.New("down") })
	hung  = probes.Func(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	warns = probes.Func(func(context.Context) error { return probes.Warn("above_threshold", errors.New("much")) })
)

func newHealth(t *testing.T, options ...echohealth.Option) *echohealth.Health {
	t.Helper()
	h, err := echohealth.New(append([]echohealth.Option{quiet}, options...)...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, h.Close()) })
	return h
}

// serve starts a gRPC server for a Health and connects a client.
func serve(t *testing.T, h *echohealth.Health) (grpc_health_v1.HealthClient, *grpc.Server) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(server, grpchealth.New(h))
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		assert.NoError(t, <-served)
	})
	return connect(t, listener.Addr().String()), server
}

func connect(t *testing.T, address string) grpc_health_v1.HealthClient {
	t.Helper()
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, connection.Close()) })
	return grpc_health_v1.NewHealthClient(connection)
}

func request(service string) *grpc_health_v1.HealthCheckRequest {
	return &grpc_health_v1.HealthCheckRequest{Service: service}
}

// words returns the answers for services: each a status or an error code.
func words(t *testing.T, client grpc_health_v1.HealthClient, services ...string) map[string]string {
	t.Helper()
	answers := map[string]string{}
	for _, service := range services {
		response, err := client.Check(t.Context(), request(service))
		if err != nil {
			answers[service] = status.Code(err).String()
			continue
		}
		answers[service] = response.GetStatus().String()
	}
	return answers
}

// listed returns the answers of List.
func listed(t *testing.T, ctx context.Context, client grpc_health_v1.HealthClient) map[string]string {
	t.Helper()
	list, err := client.List(ctx, &grpc_health_v1.HealthListRequest{})
	require.NoError(t, err)
	answers := map[string]string{}
	for name, response := range list.GetStatuses() {
		answers[name] = response.GetStatus().String()
	}
	return answers
}

func drain(t *testing.T, h *echohealth.Health) {
	t.Helper()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.Error(t, h.Drain(ended), "it does not wait")
}

func TestNewOfNil(t *testing.T) {
	assert.PanicsWithValue(t, "grpchealth: New(nil): the Health must not be nil", func() { grpchealth.New(nil) })
}

// Check and List return the same statuses in each phase.
func TestServices(t *testing.T) {
	h := newHealth(t, echohealth.WithStartupGate(), echohealth.WithDatabase(well),
		echohealth.WithRedis(down, echohealth.Optional()), echohealth.WithCheck("queue", warns),
		echohealth.WithGroup("payment", "database", "queue"), echohealth.WithGroup("cart", "database", "redis"))
	client, _ := serve(t, h)
	phases := []struct {
		name  string
		enter func()
		want  map[string]string
	}{
		{"starting", func() {}, map[string]string{
			"": "NOT_SERVING", "liveness": "SERVING", "payment": "NOT_SERVING", "cart": "NOT_SERVING",
			"database": "SERVING", "redis": "NOT_SERVING", "queue": "SERVING",
		}},
		{"running", h.MarkStarted, map[string]string{
			"": "SERVING", "liveness": "SERVING", "payment": "SERVING", "cart": "NOT_SERVING",
			"database": "SERVING", "redis": "NOT_SERVING", "queue": "SERVING",
		}},
		{"draining", func() { drain(t, h) }, map[string]string{
			"": "NOT_SERVING", "liveness": "SERVING", "payment": "NOT_SERVING", "cart": "NOT_SERVING",
			"database": "SERVING", "redis": "NOT_SERVING", "queue": "SERVING",
		}},
		{"closed", func() { require.NoError(t, h.Close()) }, map[string]string{
			"": "NOT_SERVING", "liveness": "SERVING", "payment": "NOT_SERVING", "cart": "NOT_SERVING",
			"database": "NOT_SERVING", "redis": "NOT_SERVING", "queue": "NOT_SERVING",
		}},
	}
	for _, phase := range phases {
		phase.enter()
		assert.Equal(t, phase.want, words(t, client, slices.Collect(maps.Keys(phase.want))...), phase.name)
		assert.Equal(t, phase.want, listed(t, t.Context(), client), phase.name)
	}
	for _, nothing := range []string{"nothing", "cpu", "memory", "Liveness", "groups/payment", " ", "payment "} {
		assert.Equal(t, "NotFound", words(t, client, nothing)[nothing], "%q", nothing)
	}
}

// In a drain readiness and groups are not ready, and run nothing for it.
func TestADrainRunsNoChecks(t *testing.T) {
	var runs atomic.Int64
	counts := probes.Func(func(context.Context) error { runs.Add(1); return nil })
	h := newHealth(t, echohealth.WithoutSystemMetrics(), echohealth.WithDatabase(counts, echohealth.FreshFor(time.Millisecond)),
		echohealth.WithGroup("payment", "database"))
	client, _ := serve(t, h)
	require.Equal(t, map[string]string{"": "SERVING", "payment": "SERVING"}, words(t, client, "", "payment"))
	drain(t, h)
	before := runs.Load()
	for range 3 {
		time.Sleep(2 * time.Millisecond) // longer than the result is fresh
		assert.Equal(t, map[string]string{"": "NOT_SERVING", "payment": "NOT_SERVING"}, words(t, client, "", "payment"))
	}
	assert.Equal(t, before, runs.Load())
	assert.Equal(t, map[string]string{"database": "SERVING"}, words(t, client, "database"))
	assert.Greater(t, runs.Load(), before, "a request for a check runs the check")
}

func TestLiveness(t *testing.T) {
	loop := probes.NewHeartbeat(time.Millisecond)
	h := newHealth(t, echohealth.WithLiveness(loop), echohealth.WithoutSystemMetrics())
	client, _ := serve(t, h)
	require.Eventually(t, func() bool { return !h.Alive() }, 10*time.Second, 10*time.Millisecond)
	want := map[string]string{"": "SERVING", "liveness": "NOT_SERVING"}
	assert.Equal(t, want, words(t, client, "", "liveness"))
	assert.Equal(t, want, listed(t, t.Context(), client))
}

// A check or a group with the name "liveness" could not be asked for, so New does not accept it.
func TestNameOfLiveness(t *testing.T) {
	const want = `must have another name, because "liveness" is the service for what /live/ answers`
	named := newHealth(t, echohealth.WithCheck("liveness", down))
	assert.PanicsWithValue(t, `grpchealth: New: the check "liveness" `+want, func() { grpchealth.New(named) })
	grouped := newHealth(t, echohealth.WithCheck("cart", well), echohealth.WithGroup("liveness", "cart"))
	assert.PanicsWithValue(t, `grpchealth: New: the group "liveness" `+want, func() { grpchealth.New(grouped) })
	other := newHealth(t, echohealth.WithCheck("Liveness", well))
	assert.NotPanics(t, func() { grpchealth.New(other) }, "names differ by their case")
}

func TestListIsBounded(t *testing.T) {
	options := []echohealth.Option{echohealth.WithoutSystemMetrics()}
	for i := range 98 {
		options = append(options, echohealth.WithCheck(fmt.Sprint("check", i), well))
	}
	client, _ := serve(t, newHealth(t, options...))
	assert.Len(t, listed(t, t.Context(), client), 100)

	client, _ = serve(t, newHealth(t, append(options, echohealth.WithCheck("another", well))...))
	_, err := client.List(t.Context(), &grpc_health_v1.HealthListRequest{})
	assert.Equal(t, codes.ResourceExhausted, status.Code(err))
	assert.ErrorContains(t, err, "there are 101 services, and a list must not have more than 100")
}

// An answer waits only for the checks that it depends on, which run at the same time.
func TestAnswerWaitsOnlyForItsChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := probes.Func(func(context.Context) error { time.Sleep(300 * time.Millisecond); return nil })
		h := newHealth(t, echohealth.WithoutSystemMetrics(), echohealth.WithDatabase(well),
			echohealth.WithCheck("a", slow, echohealth.Optional()), echohealth.WithCheck("b", slow, echohealth.Optional()),
			echohealth.WithCheck("hung", hung, echohealth.Optional()), echohealth.WithGroup("slow", "a", "b", "database"))
		s := grpchealth.New(h)
		waits := []struct {
			service string
			took    time.Duration
		}{{"", 0}, {"liveness", 0}, {"database", 0}, {"slow", 300 * time.Millisecond}, {"hung", 500 * time.Millisecond}}
		for _, wait := range waits {
			began := time.Now()
			_, err := s.Check(t.Context(), request(wait.service))
			require.NoError(t, err)
			assert.Equal(t, wait.took, time.Since(began), wait.service)
		}
	})
}

// A client whose context ends gets an error and not a wrong status.
func TestDeadline(t *testing.T) {
	client, _ := serve(t, newHealth(t, echohealth.WithoutSystemMetrics(),
		echohealth.WithCheck("hung", hung, echohealth.Timeout(10*time.Second)), echohealth.WithGroup("all", "hung")))
	for _, service := range []string{"", "hung", "all"} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		_, err := client.Check(ctx, request(service))
		cancel()
		assert.Equal(t, codes.DeadlineExceeded, status.Code(err), service)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := client.List(ctx, &grpc_health_v1.HealthListRequest{})
	assert.Equal(t, codes.DeadlineExceeded, status.Code(err))

	ended, end := context.WithCancel(t.Context())
	end()
	s := grpchealth.New(newHealth(t, echohealth.WithoutSystemMetrics(), echohealth.WithDatabase(hung)))
	_, err = s.Check(ended, request(""))
	assert.Equal(t, codes.Canceled, status.Code(err))
	_, err = s.List(ended, &grpc_health_v1.HealthListRequest{})
	assert.Equal(t, codes.Canceled, status.Code(err))
}

// Calls share their results with all other looks.
func TestChecksShareRuns(t *testing.T) {
	var runs atomic.Int32
	counts := probes.Func(func(context.Context) error { runs.Add(1); return nil })
	h := newHealth(t, echohealth.WithDatabase(counts, echohealth.FreshFor(time.Minute)), echohealth.WithGroup("all", "database"))
	client, _ := serve(t, h)
	for range 3 {
		assert.Equal(t, map[string]string{"": "SERVING", "all": "SERVING", "database": "SERVING"}, words(t, client, "", "all", "database"))
		listed(t, t.Context(), client)
		h.Report(t.Context())
	}
	assert.EqualValues(t, 1, runs.Load())
}
