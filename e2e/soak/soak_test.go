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

// What the service promises, and what a busy machine may add to it: the packages of this module are tested side by side.
const (
	freshness = time.Second
	deadline  = 800 * time.Millisecond
	slack     = 700 * time.Millisecond

	// An answer that waits for a check takes no longer than the deadline, and what a machine may add that runs all of this at once.
	slowest = deadline + 3*time.Second

	// A machine that has too much to do may stand still for longer, which the slowest liveness shows, since that waits for nothing: it is added
	// to what is allowed. This is what is too much.
	standstill = 25 * time.Second

	// A check may be green for so long after its server has gone, by an answer whose making began then: by now what was found before has
	// served its time, and what was under way has timed out.
	toRed = freshness + deadline + slack
	// It has to be green again so long after its server came back. A driver may wait for some seconds before it dials again.
	toGreen = 20 * time.Second
)

func TestMain(m *testing.M) {
	logging.Disable() // go-redis says on stderr, many times a second, that there is no server
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

// settings are how long there are faults, how much is asked meanwhile, and what the faults depend on.
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

// warmUp lets everything connect, so that what is counted afterwards is what a service holds that is well.
func warmUp(t *testing.T, s *service, j *judge, load load) {
	t.Helper()
	traffic := s.startTraffic(t, j, load)
	time.Sleep(2 * time.Second)
	require.Eventually(t, j.allGreen, time.Minute, 100*time.Millisecond, "at the beginning")
	traffic.stop()
}

// assertNoLeaks is goleak with the patience that drivers need: what they close may take a while.
func assertNoLeaks(t *testing.T, known goleak.Option) {
	t.Helper()
	var err error
	assert.Eventually(t, func() bool { err = goleak.Find(known); return err == nil }, settling, time.Second, "%v", err)
}
