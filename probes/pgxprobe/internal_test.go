package pgxprobe

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Each host that pgx tries has its share of a dial's time. The same one without TLS is none.
func TestHosts(t *testing.T) {
	tests := map[string]int{
		"host=a":                  1,
		"host=a sslmode=prefer":   1,
		"host=a,b":                2,
		"host=a,a port=5432,5433": 2,
		"host=a,b,c port=5432,5433,5434 sslmode=allow": 3,
	}
	for dsn, want := range tests {
		config, err := pgx.ParseConfig(dsn)
		require.NoError(t, err)
		assert.Equal(t, want, hosts(config), dsn)
		adaptConfig(config)
		assert.Equal(t, dialPause/time.Duration(want), config.ConnectTimeout)
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
