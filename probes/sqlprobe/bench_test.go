package sqlprobe_test

import (
	"context"
	"testing"
	"time"

	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
)

func BenchmarkCheck(b *testing.B) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	b.Run("idle pool", func(b *testing.B) {
		probe := newProbe(b, open(b, testserver.SharedPostgres(b).DSN()))
		b.ReportAllocs()
		for b.Loop() {
			if result := probe.Check(ctx); result.Status != probes.OK {
				b.Fatal(result.Status, result.Err)
			}
		}
	})
	b.Run("baseline, db.QueryRowContext", func(b *testing.B) {
		db := open(b, testserver.SharedPostgres(b).DSN())
		b.ReportAllocs()
		for b.Loop() {
			var one int
			if err := db.QueryRowContext(ctx, "SELECT 1").Scan(&one); err != nil {
				b.Fatal(err)
			}
		}
	})
}
