package traces

import (
	"context"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/grpchealth"
)

// The filter leaves out the requests of grpc.health.v1, and no others. Without it each one is a span.
func TestGRPC(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	provider := trace.NewTracerProvider(trace.WithBatcher(exporter))
	defer provider.Shutdown(context.Background())
	h, err := echohealth.New()
	require.NoError(t, err)
	defer h.Close()
	old := otel.GetTracerProvider()
	otel.SetTracerProvider(provider)
	defer otel.SetTracerProvider(old)
	plain := grpc.NewServer(grpc.StatsHandler(otelgrpc.NewServerHandler()))
	for name, test := range map[string]struct {
		server *grpc.Server
		spans  int
	}{"with the filter": {newServer(), 0}, "without": {plain, probings + 2}} {
		t.Run(name, func(t *testing.T) {
			connection := connect(t, test.server, h)
			client := grpc_health_v1.NewHealthClient(connection)
			for range probings {
				answer, err := client.Check(t.Context(), new(grpc_health_v1.HealthCheckRequest))
				require.NoError(t, err)
				require.Equal(t, grpc_health_v1.HealthCheckResponse_SERVING, answer.GetStatus())
			}
			_, err := client.List(t.Context(), new(grpc_health_v1.HealthListRequest))
			require.NoError(t, err)
			watched, end := context.WithCancel(t.Context())
			stream, err := client.Watch(watched, new(grpc_health_v1.HealthCheckRequest))
			require.NoError(t, err)
			_, err = stream.Recv()
			require.NoError(t, err)
			end()
			require.NoError(t, connection.Invoke(t.Context(), "/shop.Orders/Place", new(emptypb.Empty), new(emptypb.Empty)))
			require.NoError(t, connection.Close())
			test.server.GracefulStop() // which ends the spans
			spans := names(t, provider, exporter)
			assert.Contains(t, spans, "shop.Orders/Place")
			assert.Len(t, spans, test.spans+1)
		})
	}
}

// orders is a service of the application.
var orders = grpc.ServiceDesc{
	ServiceName: "shop.Orders",
	Methods: []grpc.MethodDesc{{
		MethodName: "Place",
		Handler: func(_ any, _ context.Context, read func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			return new(emptypb.Empty), read(new(emptypb.Empty))
		},
	}},
}

// connect serves health and connects a client.
func connect(t *testing.T, server *grpc.Server, h *echohealth.Health) *grpc.ClientConn {
	t.Helper()
	grpc_health_v1.RegisterHealthServer(server, grpchealth.New(h))
	server.RegisterService(&orders, nil)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		assert.NoError(t, <-served)
	})
	connection, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { _ = connection.Close() })
	return connection
}
