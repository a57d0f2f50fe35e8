package soak_test

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9/logging"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/echo-probes/echohealth/internal/testserver"
)

// The limits of the service, with allowances for a busy machine, because go test runs several packages at the
// same time.
const (
	freshness = time.Second
	deadline  = 800 * time.Millisecond
	slack     = 700 * time.Millisecond

	// An answer that waits for a check must take no longer than the timeout, plus an allowance for the machine.
	slowest = deadline + 3*time.Second

	// A busy machine can stall the process for longer. The slowest answer of liveness shows this, because it
	// waits for no check. It is added to the limits. If it exceeds this value, the machine is too slow for the
	// test.
	standstill = 25 * time.Second

	// An answer that the service began this long after a server failed must not show the check as ok. By then
	// the last result has expired, and a run in progress has timed out.
	toRed = freshness + deadline + slack
	// A check must be ok this long after its server is back. A driver may wait for some seconds before it dials
	// again.
	toGreen = 20 * time.Second
)

func TestMain(m *testing.M) {
	logging.Disable() // otherwise go-redis logs many times a second that the server is down
	testserver.Main(m)
}

func TestSoak(t *testing.T) {
	length, load, seed := settings(t)
	t.Logf("%v of faults with ECHOHEALTH_SOAK_SEED=%d", length, seed)
	victims := startVictims(t, seed)
	leaks := goleak.IgnoreCurrent()
	j := newJudge(victims)
	s := newService(t, victims)

	warmUp(t, s, j, load)
	before := lowest()
	traffic := s.startTraffic(t, j, load)
	torment(t, victims, j, time.Now().Add(length))
	traffic.stop()

	t.Log(traffic.summary())
	t.Log(j.summary())
	traffic.assert(t)
	j.assert(t)
	before.assertSettles(t)
	require.NoError(t, s.close())
	assertNoLeaks(t, leaks)
}

// settings returns how long the test causes faults, the load on the service, and the seed of the faults'
// order.
func settings(t *testing.T) (length time.Duration, load load, seed uint64) {
	t.Helper()
	length, load, seed = 3*time.Minute, usual, rand.Uint64()
	var err error
	if text := os.Getenv("ECHOHEALTH_SOAK"); text != "" {
		load = heavy
		length, err = time.ParseDuration(text)
		require.NoError(t, err, "ECHOHEALTH_SOAK")
	}
	if text := os.Getenv("ECHOHEALTH_SOAK_SEED"); text != "" {
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err, "ECHOHEALTH_SOAK_SEED")
	}
	return length, load, seed
}

// warmUp makes all connections, so that the footprint before the faults is that of a healthy service.
func warmUp(t *testing.T, s *service, j *judge, load load) {
	t.Helper()
	traffic := s.startTraffic(t, j, load)
	time.Sleep(2 * time.Second)
	require.Eventually(t, j.allGreen, time.Minute, 100*time.Millisecond, "at the beginning")
	traffic.stop()
}

// assertNoLeaks calls goleak repeatedly, because drivers may need some time to close connections.
func assertNoLeaks(t *testing.T, known goleak.Option) {
	t.Helper()
	var err error
	assert.Eventually(t, func() bool { err = goleak.Find(known); return err == nil }, settling, time.Second, "%v", err)
}
