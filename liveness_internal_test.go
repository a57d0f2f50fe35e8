package echohealth

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/probes"
)

// A loop that was stopped with its process, by SIGSTOP or for want of CPU, is given as much time again.
func TestAStoppedProcessIsNoHangingLoop(t *testing.T) {
	for name, goesOn := range map[string]bool{"it goes on": true, "it hangs all the same": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				beat := probes.NewHeartbeat(time.Second)
				h, err := New(WithLiveness(beat), WithoutSystemMetrics(), WithLogger(slog.New(slog.DiscardHandler)))
				require.NoError(t, err)
				defer h.Close()
				l := h.features[Live].(*liveness).loops[0]
				l.timer.Stop() // as if the process were stopped: neither the timer nor the loop gets a turn
				time.Sleep(4 * time.Second)
				l.look()
				assert.True(t, h.Alive())
				for range 5 { // 4 s: longer than the 3 s by which the timer was late
					time.Sleep(800 * time.Millisecond)
					if goesOn {
						beat.Beat()
					}
				}
				assert.Equal(t, goesOn, h.Alive())
				assert.Equal(t, !goesOn, l.stuck.Load())
			})
		})
	}
}
