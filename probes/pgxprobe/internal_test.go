package pgxprobe

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// All addresses that pgx tries share the time of a dial. A fallback to the same address without TLS has no
// share.
func TestShareTime(t *testing.T) {
	known := map[string][]string{"one": {"10.0.0.1"}, "two": {"10.0.0.1", "10.0.0.2"}, "ports": {"10.0.0.1:1", "10.0.0.1:2"}}
	tests := map[string]int{
		"host=one":                                    1,
		"host=one sslmode=prefer":                     1,
		"host=two sslmode=disable":                    2,
		"host=two sslmode=prefer":                     4, // pgx tries both addresses with TLS, and then both without
		"host=ports sslmode=disable":                  2,
		"host=one,one port=5432,5433":                 2,
		"host=one,two sslmode=disable":                2, // the first address of two is that of one
		"host=one,two port=5432,5433 sslmode=disable": 3,
		"host=unknown":                                1,
		"host=unknown,one":                            1,
		"host=/run/postgresql,/tmp":                   2,
		"host=/run/postgresql,two sslmode=disable":    3,
		"host=one,two,two port=1,2,3 sslmode=disable": 5,
	}
	for dsn, want := range tests {
		config, err := pgx.ParseConfig(dsn)
		require.NoError(t, err)
		asked := make(map[string]int)
		config.LookupFunc = func(_ context.Context, host string) ([]string, error) {
			if asked[host]++; known[host] == nil {
				return nil, errors.New("unknown")
			}
			return known[host], nil
		}
		shareTime(context.Background(), config)
		assert.Equal(t, dialPause/time.Duration(want), config.ConnectTimeout, dsn)
		ips, err := config.LookupFunc(context.Background(), "unknown")
		assert.Empty(t, ips)
		assert.Error(t, err)
		for host, times := range asked {
			assert.Equal(t, 1, times, "%s: %s", dsn, host)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		shareTime(ctx, config)
		cancel()
		assert.LessOrEqual(t, config.ConnectTimeout, time.Second/time.Duration(want), "a share of the remaining time")
	}
}

// The next check repeats only a dial that cost the server little.
func TestRepeatable(t *testing.T) {
	for _, err := range []error{
		syscall.ECONNREFUSED, io.EOF, &net.DNSError{IsNotFound: true}, &pgconn.PgError{Code: "57P03"},
		pgconn.ErrReadOnlyConnection, pgconn.ErrStandbyConnection,
		&net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded},
	} {
		assert.True(t, repeatable(err), "%v", err)
	}
	for _, err := range []error{
		&pgconn.PgError{Code: "28P01"}, &pgconn.PgError{Code: "53300"}, &pgconn.PgError{Code: "3D000"},
		&pgconn.PgError{Code: "08P01", Message: "no more connections allowed (max_client_conn)"},
		&pgconn.PgError{Code: "08P01", Message: "a text of the next PgBouncer"}, context.DeadlineExceeded,
	} {
		assert.False(t, repeatable(err), "%v", err)
	}
}

func TestStuckDetector(t *testing.T) {
	type reading struct {
		at                 time.Duration
		saturated          bool
		acquired, canceled int64
		want               time.Duration
	}
	const s = time.Second
	tests := map[string][]reading{
		"calls that fail": {
			{0, true, 7, 2, 0}, {10 * s, true, 7, 3, 0}, {20 * s, true, 7, 4, 10 * s}, {40 * s, true, 7, 9, 30 * s}, {41 * s, true, 7, 9, 31 * s},
		},
		"no call":                   {{0, true, 7, 2, 0}, {40 * s, true, 7, 2, 0}, {80 * s, true, 7, 2, 0}},
		"one call failed, long ago": {{0, true, 7, 2, 0}, {s, true, 7, 3, 0}, {20 * s, true, 7, 3, 19 * s}, {32 * s, true, 7, 3, 0}, {33 * s, true, 7, 4, 0}},
		"one call succeeded":        {{0, true, 7, 2, 0}, {s, true, 7, 3, 0}, {40 * s, true, 8, 9, 0}, {41 * s, true, 8, 10, 0}, {71 * s, true, 8, 11, 30 * s}},
		"not saturated meanwhile":   {{0, true, 7, 2, 0}, {s, true, 7, 3, 0}, {20 * s, false, 7, 4, 0}, {40 * s, true, 7, 5, 0}, {41 * s, true, 7, 5, 0}},
		"failures before the first reading don't count": {{0, true, 0, 99, 0}, {40 * s, true, 0, 99, 0}},
		"readings that are far apart":                   {{0, true, 7, 2, 0}, {60 * s, true, 7, 3, 0}, {120 * s, true, 7, 4, 60 * s}},
	}
	for name, readings := range tests {
		t.Run(name, func(t *testing.T) {
			var detector stuckDetector
			start := time.Now()
			for _, r := range readings {
				assert.Equal(t, r.want, detector.update(r.saturated, start.Add(r.at), r.acquired, r.canceled), "at %s", r.at)
			}
		})
	}
}
