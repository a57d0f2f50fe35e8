package engine_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/echo-probes/echohealth/internal/engine"
	"github.com/stretchr/testify/assert"
)

func TestARelayCallsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var relay engine.Relay
		var heard []int
		for i := range 100 {
			relay.Tell(func() {
				heard = append(heard, i) // the race detector sees whether two are called at a time
				if i == 50 {
					panic("nobody is to die of it")
				}
			})
		}
		assert.True(t, relay.Close(time.Second))
		for i := range 100 {
			assert.Equal(t, i, heard[i])
		}
		relay.Tell(func() { t.Error("it is closed") })
		synctest.Wait()
	})
}

func TestARelayForgetsTheOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lossy := 0
		relay := engine.Relay{Lossy: func() { lossy++ }}
		var heard []int
		for range 2 {
			hang := make(chan struct{})
			relay.Tell(func() { <-hang })
			synctest.Wait()
			heard = nil
			for i := range 2000 {
				relay.Tell(func() { heard = append(heard, i) })
			}
			close(hang)
			synctest.Wait()
			assert.Len(t, heard, 1024)
			assert.Equal(t, 1999, heard[1023])
		}
		assert.Equal(t, 2, lossy, "once each time")
	})
}

func TestAClosedRelayForgetsWhatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var relay engine.Relay
		hang := make(chan struct{})
		relay.Tell(func() { <-hang })
		relay.Tell(func() { t.Error("it was forgotten") })
		began := time.Now()
		assert.False(t, relay.Close(time.Second))
		assert.Equal(t, time.Second, time.Since(began))
		close(hang)
		synctest.Wait()
	})
}
