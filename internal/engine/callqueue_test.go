package engine_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/echo-probes/echohealth/internal/engine"
	"github.com/stretchr/testify/assert"
)

func TestCallsAreMadeInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var queue engine.CallQueue
		var got []int
		for i := range 100 {
			queue.Add(func() {
				got = append(got, i) // the race detector finds two concurrent calls
				if i == 50 {
					panic("must not end the process")
				}
			})
		}
		assert.True(t, queue.Close(time.Second))
		for i := range 100 {
			assert.Equal(t, i, got[i])
		}
		queue.Add(func() { t.Error("it is closed") })
		synctest.Wait()
	})
}

func TestAFullQueueDropsTheOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		drops := 0
		queue := engine.CallQueue{OnDrop: func() { drops++ }}
		var got []int
		for range 2 {
			hang := make(chan struct{})
			queue.Add(func() { <-hang })
			synctest.Wait()
			got = nil
			for i := range 2000 {
				queue.Add(func() { got = append(got, i) })
			}
			close(hang)
			synctest.Wait()
			assert.Len(t, got, 1024)
			assert.Equal(t, 976, got[0], "the oldest are dropped")
			assert.Equal(t, 1999, got[1023], "and the newest kept")
		}
		assert.Equal(t, 2, drops, "once each time")
		queue.Close(time.Second)
		queue.Add(func() {})
		assert.Equal(t, 2, drops, "a closed queue drops nothing")
	})
}

// The queue is full, drains until one call is left, and is full again. It was not empty in between, so OnDrop
// must not be called a second time.
func TestDropsAreReportedOnceUntilTheQueueIsEmpty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		drops, gate := 0, make(chan struct{})
		queue := engine.CallQueue{OnDrop: func() { drops++ }}
		add := func(n int) {
			for range n {
				queue.Add(func() { <-gate })
			}
			synctest.Wait()
		}
		add(1)
		add(1025)
		for range 1023 {
			gate <- struct{}{}
			synctest.Wait()
		}
		add(1024)
		assert.Equal(t, 1, drops)
		close(gate)
	})
}

func TestCloseDropsCallsBehindAHangingCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var queue engine.CallQueue
		hang := make(chan struct{})
		queue.Add(func() { <-hang })
		queue.Add(func() { t.Error("it was dropped") })
		began := time.Now()
		assert.False(t, queue.Close(time.Second))
		assert.Equal(t, time.Second, time.Since(began))
		close(hang)
		synctest.Wait()
	})
}
