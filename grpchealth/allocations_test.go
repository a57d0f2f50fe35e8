//go:build !race

package grpchealth_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/grpchealth"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

// TestAllocations measures only the handler, without the allocations of gRPC itself for a call.
func TestAllocations(t *testing.T) {
	h := newHealth(t, echohealth.WithoutSystemMetrics(), echohealth.WithDatabase(well, echohealth.FreshFor(time.Hour)),
		echohealth.WithRedis(well, echohealth.FreshFor(time.Hour)), echohealth.WithGroup("payment", "database", "redis"))
	s := grpchealth.New(h)
	ctx := metadata.NewIncomingContext(context.Background(), metadata.Pairs(":authority", "shop:50051", "content-type", "application/grpc", "user-agent", "grpc-go"))
	ctx = peer.NewContext(ctx, &peer.Peer{Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4711}})
	for service, want := range map[string]float64{"": 2, "liveness": 1, "database": 15, "payment": 27} {
		r := request(service)
		assert.Equal(t, want, testing.AllocsPerRun(100, func() {
			_, err := s.Check(ctx, r)
			require.NoError(t, err)
		}), "%q", service)
	}
}
