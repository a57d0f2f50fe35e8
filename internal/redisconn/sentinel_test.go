package redisconn_test

import (
	"context"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"

	"github.com/echo-probes/echohealth/internal/reason"
	"github.com/echo-probes/echohealth/internal/redisconn"
	"github.com/echo-probes/echohealth/probes"
)

// within calls conn with a timeout of limit. It returns how long the call took and the reason of its error.
func within(t *testing.T, limit time.Duration, conn *redisconn.Conn) (time.Duration, probes.Reason) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	start := time.Now()
	err := conn.Do(ctx, ping)
	return time.Since(start), reason.Of(err)
}

// If the Sentinels do not answer a question, the error of an earlier question must not be reported as the
// cause.
func TestEarlierErrorIsNotReportedAsTheCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var silent atomic.Bool
		conn := redisconn.New(&redis.Options{
			Addr: "FailoverClient",
			Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
				giveUp := time.After(2 * time.Second)
				if silent.Load() {
					giveUp = nil
				}
				select {
				case <-giveUp:
					return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
				case <-ctx.Done():
					return nil, ctx.Err()
				}
			},
		})
		defer conn.Close()
		await := func(want probes.Reason) {
			t.Helper()
			for range 30 {
				took, got := within(t, 800*time.Millisecond, conn)
				assert.LessOrEqual(t, took, 800*time.Millisecond)
				if got == want {
					return
				}
			}
			assert.Fail(t, "never "+string(want))
		}
		await(probes.ReasonConnectionRefused)
		silent.Store(true)
		await(probes.ReasonTimeout)
	})
}

// The application's ClusterSlots may ignore its context, and may panic.
func TestSlotsEndWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var panics atomic.Bool
		conn := redisconn.NewCluster(redis.NewClusterClient(&redis.ClusterOptions{
			ClusterSlots: func(context.Context) ([]redis.ClusterSlot, error) {
				if panics.Load() {
					panic("slots")
				}
				time.Sleep(5 * time.Second)
				return nil, assert.AnError
			},
		}).Options())
		defer conn.Close()
		took, got := within(t, 800*time.Millisecond, conn)
		assert.Equal(t, 800*time.Millisecond, took)
		assert.Equal(t, probes.ReasonTimeout, got)
		panics.Store(true)
		_, got = within(t, 800*time.Millisecond, conn)
		assert.Equal(t, probes.ReasonPanic, got)
		time.Sleep(10 * time.Second) // until the first call has returned
	})
}
