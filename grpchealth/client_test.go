package grpchealth_test

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/grpchealth"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/health" // turns on the client's health checking
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
)

// replica is one instance of a service.
type replica struct {
	health   *echohealth.Health
	database *switched
	address  string
	watches  atomic.Int32
	calls    atomic.Int32 // calls of the application's methods
}

const applicationMethod = "/application.Shop/Order"

func newReplica(t *testing.T) *replica {
	t.Helper()
	r := &replica{database: &switched{}}
	r.health = newHealth(t, echohealth.WithoutSystemMetrics(), echohealth.WithDatabase(r.database), echohealth.WithDrainDelay(time.Minute))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r.address = listener.Addr().String()
	server := grpc.NewServer(
		grpc.StreamInterceptor(func(s any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			if info.FullMethod == grpc_health_v1.Health_Watch_FullMethodName {
				r.watches.Add(1)
			}
			return next(s, stream)
		}),
		grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error { // the application's methods
			r.calls.Add(1)
			return stream.SendMsg(&grpc_health_v1.HealthCheckResponse{})
		}))
	grpc_health_v1.RegisterHealthServer(server, grpchealth.New(r.health))
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return r
}

// shop connects a client with client-side health checking.
func shop(t *testing.T, replicas ...*replica) *grpc.ClientConn {
	t.Helper()
	addresses := manual.NewBuilderWithScheme("replicas")
	var state resolver.State
	for _, r := range replicas {
		state.Endpoints = append(state.Endpoints, resolver.Endpoint{Addresses: []resolver.Address{{Addr: r.address}}})
	}
	addresses.InitialState(state)
	connection, err := grpc.NewClient("replicas:///", grpc.WithResolvers(addresses), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig": [{"round_robin": {}}], "healthCheckConfig": {"serviceName": ""}}`))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, connection.Close()) })
	return connection
}

// order makes ten calls and returns how many of them each replica got.
func order(t *testing.T, connection *grpc.ClientConn, replicas ...*replica) (counts [2]int32) {
	t.Helper()
	for i, r := range replicas {
		counts[i] = -r.calls.Load()
	}
	for range 10 {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		err := connection.Invoke(ctx, applicationMethod, request(""), &grpc_health_v1.HealthCheckResponse{}, grpc.WaitForReady(true))
		cancel()
		assert.NoError(t, err)
	}
	for i, r := range replicas {
		counts[i] += r.calls.Load()
	}
	return counts
}

// A client that checks the health of its servers stops using a server that is not ready, uses it again later,
// and loses no call when a server drains.
func TestClientSideHealthChecking(t *testing.T) {
	a, b := newReplica(t), newReplica(t)
	connection := shop(t, a, b)
	eventually := func(want [2]int32, why string) {
		t.Helper()
		require.Eventually(t, func() bool { return order(t, connection, a, b) == want }, time.Minute, 50*time.Millisecond, why)
	}
	eventually([2]int32{5, 5}, "both serve")
	a.database.down.Store(true)
	eventually([2]int32{0, 10}, "the database of a is down")
	a.database.down.Store(false)
	eventually([2]int32{5, 5}, "it is up again")
	require.EqualValues(t, 1, a.watches.Load())

	drain(t, a.health)
	eventually([2]int32{0, 10}, "a drains")
	began := time.Now()
	time.Sleep(3 * time.Second)
	// The client calls Watch immediately, and then with a backoff that begins with 0.8 s.
	assert.LessOrEqual(t, float64(a.watches.Load()), 4+2*time.Since(began).Seconds(), "no loop of calls")
	assert.Equal(t, connectivity.Ready, connection.GetState())
	assert.Equal(t, [2]int32{0, 10}, order(t, connection, a, b))
}
