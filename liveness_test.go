package echohealth_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/probes"
)

func live(h *echohealth.Health) string {
	answer := get(h, "/api/health/live/")
	return answer.Body.String()
}

const (
	aliveBody = `^\{"status":"alive",` + timestamp + `\}$`
	stuckBody = `^\{"status":"stuck",` + timestamp + `\}$`
)

func TestLiveness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &logBuffer{}
		consumer, other := probes.NewHeartbeat(10*time.Second), probes.NewHeartbeat(time.Hour)
		h := newHealth(t, logTo(log), echohealth.WithoutSystemMetrics(), echohealth.WithLiveness(other),
			echohealth.WithLiveness(consumer), echohealth.WithCheck("consumer", consumer, echohealth.Optional()))
		for range 3 {
			time.Sleep(9 * time.Second)
			consumer.Beat()
			assert.Regexp(t, aliveBody, live(h))
		}
		time.Sleep(10*time.Second + time.Second/2)
		assert.Regexp(t, stuckBody, live(h))
		assert.Equal(t, 503, get(h, "/api/health/live/").Code)
		assert.False(t, h.Alive())
		time.Sleep(time.Minute)
		assert.False(t, h.Alive())
		consumer.Beat()
		assert.True(t, h.Alive(), "immediately")
		assert.Regexp(t, aliveBody, live(h))
		time.Sleep(time.Second * 3 / 2)
		require.NoError(t, h.Close())
		assert.Equal(t, []string{
			"level=ERROR msg=liveness changed loop=consumer from=alive to=stuck lasted=37.001s",
			"level=INFO msg=liveness changed loop=consumer from=stuck to=alive lasted=1m1s",
		}, loops(log))
		assert.True(t, h.Alive())
	})
}

// loops returns the records about liveness, without their times.
func loops(log *logBuffer) (lines []string) {
	for line := range strings.Lines(log.String()) {
		if strings.Contains(line, "liveness") {
			_, line, _ = strings.Cut(strings.ReplaceAll(strings.TrimSpace(line), `"`, ""), " ")
			lines = append(lines, line)
		}
	}
	return lines
}

// A loop that hangs is logged even without a request.
func TestAHangingLoopIsLoggedByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &logBuffer{}
		newHealth(t, logTo(log), echohealth.WithoutSystemMetrics(), echohealth.WithLiveness(probes.NewHeartbeat(time.Second)))
		time.Sleep(1100 * time.Millisecond)
		synctest.Wait()
		assert.Equal(t, []string{"level=ERROR msg=liveness changed loop=heartbeat 1 from=alive to=stuck lasted=1.001s"}, loops(log))
	})
}

// A loop need not beat before the service has started, or while it ends.
func TestLivenessInThePhases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		beat := probes.NewHeartbeat(time.Second)
		h := newHealth(t, quiet, echohealth.WithoutSystemMetrics(), echohealth.WithLiveness(beat), echohealth.WithStartupGate(),
			echohealth.WithDrainDelay(time.Minute))
		time.Sleep(time.Minute)
		assert.True(t, h.Alive())
		h.MarkStarted()
		beat.Beat()
		time.Sleep(time.Minute)
		assert.False(t, h.Alive())
		go h.Drain(t.Context())
		synctest.Wait()
		assert.True(t, h.Alive())
		assert.Equal(t, 200, get(h, "/api/health/live/").Code)
	})
}

// A failing dependency does not make live fail, even with WithLiveness.
func TestDependenciesDoNotAffectLiveness(t *testing.T) {
	h := newHealth(t, quiet, echohealth.WithDatabase(failing(assert.AnError)), echohealth.WithLiveness(probes.NewHeartbeat(time.Hour)))
	assert.Equal(t, 503, get(h, "/api/health/ready/").Code)
	assert.Equal(t, 200, get(h, "/api/health/live/").Code)
}

func TestInvalidLiveness(t *testing.T) {
	beat := probes.NewHeartbeat(time.Second)
	for want, opts := range map[string][]echohealth.Option{
		`WithLiveness(): there must be at least one heartbeat`:                                                               {echohealth.WithLiveness()},
		`WithLiveness: heartbeat 2 must not be nil`:                                                                          {echohealth.WithLiveness(beat, nil)},
		`WithLiveness: heartbeat 1 must not be given twice`:                                                                  {echohealth.WithLiveness(beat), echohealth.WithLiveness(beat)},
		`WithLiveness: heartbeat 1: NewHeartbeat(30ns): the duration must be at least 1ms (a bare number is in nanoseconds)`: {echohealth.WithLiveness(probes.NewHeartbeat(30))},
	} {
		_, err := echohealth.New(opts...)
		assert.ErrorContains(t, err, want)
	}
}

// The first beat is due one maximum after the loop may run, which is after New or after MarkStarted.
func TestLivenessCountsFromTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &logBuffer{}
		beat := probes.NewHeartbeat(10 * time.Second)
		time.Sleep(time.Minute)
		h := newHealth(t, logTo(log), echohealth.WithoutSystemMetrics(), echohealth.WithLiveness(beat), echohealth.WithStartupGate())
		gateless := newHealth(t, quiet, echohealth.WithoutSystemMetrics(), echohealth.WithLiveness(beat))
		time.Sleep(9999 * time.Millisecond)
		assert.True(t, gateless.Alive(), "the loop has had no time yet since New")
		time.Sleep(10 * time.Millisecond)
		assert.False(t, gateless.Alive())
		require.NoError(t, gateless.Close())

		time.Sleep(time.Minute + time.Second/2)
		h.MarkStarted()
		time.Sleep(9999 * time.Millisecond)
		assert.True(t, h.Alive(), "the loop has had no time yet since MarkStarted")
		assert.Empty(t, loops(log))
		time.Sleep(time.Second)
		assert.False(t, h.Alive())
	})
}
