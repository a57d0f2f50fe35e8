package probes_test

import (
	"context"
	"testing"
	"time"

	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/probetest"
)

func TestConformance(t *testing.T) {
	t.Run("heartbeat", func(t *testing.T) {
		probetest.Run(t, func(*testing.T) probes.Probe { return probes.NewHeartbeat(time.Hour) }, probetest.Options{})
	})
	t.Run("stuck heartbeat", func(t *testing.T) {
		probetest.Run(t, func(*testing.T) probes.Probe {
			heartbeat := probes.NewHeartbeat(time.Millisecond)
			time.Sleep(2 * time.Millisecond)
			return heartbeat
		}, probetest.Options{Want: probes.Error})
	})
	t.Run("function", func(t *testing.T) {
		hung := false
		probetest.Run(t, func(*testing.T) probes.Probe {
			return probes.Func(func(ctx context.Context) error {
				if !hung {
					return nil
				}
				<-ctx.Done()
				return ctx.Err()
			})
		}, probetest.Options{Hang: func(t *testing.T) {
			hung = true
			t.Cleanup(func() { hung = false })
		}})
	})
}
