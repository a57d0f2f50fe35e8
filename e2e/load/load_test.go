package load_test

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/internal/testserver"
)

const (
	freshness = time.Second
	poolSize  = 4

	// On a busy machine the database may be slow. This test must not fail because of that.
	checkTimeout = 20 * time.Second

	// The application's clients. They use two thirds of the pool, so that the checks could disturb them.
	appClients = 8
	appPause   = 10 * time.Millisecond
	appQuery   = "SELECT pg_sleep(0.005)"

	// The clients that request readiness. They send 5,000 requests a second, unless the machine is too slow.
	connections = 500
	pause       = 100 * time.Millisecond

	rounds = 5
)

// kind is an endpoint that the clients request, with the samples of its rounds.
type kind struct {
	name, path string
	samples    []sample
}

func TestMain(m *testing.M) { testserver.Main(m) }

// TestLoad measures the latency of the application's own requests during requests for its health. The
// clients, the service and PostgreSQL share the machine, so every load slows the application. The figures of
// interest are the differences to a handler with a static answer, and to a handler that queries the database
// for each request. The test asserts only what does not depend on the machine.
func TestLoad(t *testing.T) {
	s := newService(t)
	kinds := []*kind{
		{name: "no requests"},
		{name: "echohealth", path: readyPath},
		{name: "static answer", path: staticPath},
		{name: "SELECT 1 each time", path: naivePath},
	}
	c := newClients(t, s.http.URL)
	for _, k := range kinds { // makes all connections
		c.round(k.path, 500*time.Millisecond)
	}
	length := roundLength(t)
	for i := range rounds {
		for j := range kinds { // each kind is first in one round
			k := kinds[(i+j)%len(kinds)]
			k.samples = append(k.samples, s.measure(t, c, k.path, length))
		}
	}
	t.Log(table(kinds))
}

func roundLength(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("ECHOHEALTH_LOAD")
	if text == "" {
		return time.Second
	}
	length, err := time.ParseDuration(text)
	require.NoError(t, err, "ECHOHEALTH_LOAD")
	return length
}

// measure runs a round, and counts the runs of the check in it.
func (s *service) measure(t *testing.T, c *clients, path string, length time.Duration) sample {
	t.Helper()
	before, start := s.probe.runs.Load(), time.Now()
	sample := c.round(path, length)
	took := time.Since(start)
	sample.runs = s.probe.runs.Load() - before

	asked := len(sample.health.latencies)
	assert.NoError(t, errors.Join(sample.app.err, sample.health.err))
	assert.Zero(t, sample.app.red, "the application's requests that failed")
	assert.LessOrEqual(t, sample.runs, int64(took/freshness)+1, "runs of the check in %v, in which %d asked", took, asked)
	assert.LessOrEqual(t, sample.health.red, asked/2, "of %d answers say not ready, although all there is is a busy pool", asked)
	return sample
}

// TestReadyIsAsFastAsStatic compares the two handlers without HTTP, during the application's queries. The
// check runs once a second, and only the requests during that run wait. They are beyond the 99th percentile
// of most batches. Other processes can only make a batch slower. So the test compares the fastest batches,
// and runs more batches on a busy machine. Below the floor, single cache misses decide. A handler that built
// its answer for each request would be far above the floor.
func TestReadyIsAsFastAsStatic(t *testing.T) {
	const (
		batches = 50
		most    = 100 * batches
		calls   = 2000
		factor  = 3
	)
	if os.Getenv("ECHOHEALTH_LOAD") == "" {
		t.Skip("it compares times; it runs with ECHOHEALTH_LOAD")
	}
	s := newService(t)
	ready, static := direct{s.health, readyPath}, direct{s.static, readyPath}
	defer newClients(t, s.http.URL).startApp()()
	fast, limit, n := time.Hour, time.Hour, 0
	for ; n < batches || n < most && fast > max(factor*limit, floor); n++ {
		fast = min(fast, percentile(ready.call(t, calls), 99))
		limit = min(limit, percentile(static.call(t, calls), 99))
	}
	t.Logf("99th percentile in the quietest of %d batches: ready %v, static %v", n, fast, limit)
	assert.LessOrEqual(t, fast, max(factor*limit, floor))
}
