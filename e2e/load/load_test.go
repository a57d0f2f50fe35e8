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

	// A machine that is busy otherwise may let the database take its time: that is not what is tested here.
	checkTimeout = 20 * time.Second

	// The application's clients: they keep two thirds of the pool busy, so that there is something to be disturbed.
	appClients = 8
	appPause   = 10 * time.Millisecond
	appQuery   = "SELECT pg_sleep(0.005)"

	// Those who ask for readiness: 5,000 requests a second between them, if the machine can do that much.
	connections = 500
	pause       = 100 * time.Millisecond

	rounds = 5
)

// kind is a way to be asked how one is.
type kind struct {
	name, path string
	samples    []sample
}

func TestMain(m *testing.M) { testserver.Main(m) }

// TestLoad measures how fast the application's own requests are while others ask for its health. The clients, the service and PostgreSQL
// share the machine, so that any load slows the application by its share of the CPUs; what is to be seen is the difference to a handler
// that does nothing, and that to one that asks the database each time. Only what does not depend on the machine is asserted.
func TestLoad(t *testing.T) {
	s := newService(t)
	kinds := []*kind{
		{name: "nobody asks"},
		{name: "echohealth", path: readyPath},
		{name: "static answer", path: staticPath},
		{name: "SELECT 1 each time", path: naivePath},
	}
	c := newClients(t, s.http.URL)
	for _, k := range kinds { // so that everything is connected
		c.round(k.path, 500*time.Millisecond)
	}
	length := roundLength(t)
	for i := range rounds {
		for j := range kinds { // each begins once: what slows the machine for a while slows all
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

// measure is a round in which the checks are counted.
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

// TestReadyIsAsFastAsStatic compares the two without HTTP, while the application's queries go on. A run of the check, during which whoever
// asks has to wait, is once a second and so beyond the 99th percentile of most batches. What the machine does beside it only ever adds, to
// some batches more than to others: that is why it is the quietest of many, in turn, and of as many as a busy machine needs. Below the floor
// it is a matter of single cache misses; an answer that is put together for each request is far above it at all times.
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
