package redisprobe_test

import (
	"context"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/redisprobe"
	"github.com/redis/go-redis/v9"
)

func benchmark(b *testing.B, probe probes.Probe, want probes.Status) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		ctx, cancel := context.WithTimeout(b.Context(), 5*time.Second)
		if result := probe.Check(ctx); result.Status != want {
			b.Fatal(result.Err)
		}
		cancel()
	}
}

func BenchmarkCheck(b *testing.B) {
	client := newClient(b, &redis.Options{Addr: testserver.SharedRedis(b).Addr()})
	b.Run("PING and SET", func(b *testing.B) { benchmark(b, newProbe(b, client), probes.OK) })
	b.Run("PingOnly", func(b *testing.B) { benchmark(b, newProbe(b, client, redisprobe.PingOnly()), probes.OK) })
	b.Run("first", func(b *testing.B) {
		benchmark(b, probes.Func(func(ctx context.Context) error {
			probe := redisprobe.New(client)
			defer probe.Close()
			return probe.Check(ctx).Err
		}), probes.OK)
	})
}

func BenchmarkCheckRefused(b *testing.B) {
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(testserver.FreePort(b)))
	benchmark(b, newProbe(b, newClient(b, &redis.Options{Addr: addr})), probes.Error)
}
