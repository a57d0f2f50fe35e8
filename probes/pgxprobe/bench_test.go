package pgxprobe_test

import (
	"context"
	"testing"
	"time"

	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/pgxprobe"
	"github.com/jackc/pgx/v5/pgxpool"
)

func BenchmarkCheck(b *testing.B) {
	server := testserver.SharedPostgres(b)
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	check := func(b *testing.B, pool *pgxpool.Pool, want probes.Status, opts ...pgxprobe.Option) {
		probe := newProbe(b, pool, opts...)
		b.ReportAllocs()
		for b.Loop() {
			if result := probe.Check(ctx); result.Status != want {
				b.Fatal(result.Status, result.Err)
			}
		}
	}
	b.Run("idle pool", func(b *testing.B) {
		pool := newPool(b, server.DSN())
		warm(b, pool, 1)
		check(b, pool, probes.OK)
	})
	b.Run("idle pool, RequireWritable", func(b *testing.B) {
		pool := newPool(b, server.DSN())
		warm(b, pool, 1)
		check(b, pool, probes.OK, pgxprobe.RequireWritable())
	})
	b.Run("full pool", func(b *testing.B) {
		pool := newPool(b, server.DSN(), maxConns(1))
		take(b, pool, 1)
		check(b, pool, probes.Warning)
	})
	b.Run("baseline, pool.Exec", func(b *testing.B) {
		pool := newPool(b, server.DSN())
		b.ReportAllocs()
		for b.Loop() {
			if _, err := pool.Exec(ctx, "SELECT 1"); err != nil {
				b.Fatal(err)
			}
		}
	})
}
