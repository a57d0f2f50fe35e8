package celeryprobe

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/internal/reason"
	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
)

// The kept connection works in all cases in which no new connection can be made.
func TestRedisConnect(t *testing.T) {
	server := testserver.NewRedis(t)
	proxy := testserver.NewProxy(t, server.Addr())
	admin := redis.NewClient(&redis.Options{Addr: server.Addr(), PoolSize: 1})
	defer admin.Close()
	do := func(args ...any) { t.Helper(); require.NoError(t, admin.Do(t.Context(), args...).Err()) }
	do("ACL", "SETUSER", "depths", "on", ">a-secret", "~celery*", "+hello", "+llen") // as in docs/celery.md

	p := New("redis://depths:a-secret@"+proxy.Addr(), Queues("celery"))
	require.NoError(t, p.Validate())
	broker := p.broker
	defer broker.Close()
	kept := func() {
		t.Helper()
		_, err := broker.depths(t.Context(), p.queues)
		require.NoError(t, err)
	}
	kept()
	require.NoError(t, broker.connect(t.Context()))
	assert.Equal(t, 2, proxy.Accepted(), "a separate connection")
	assert.Eventually(t, func() bool { return proxy.Open() == 1 }, 10*time.Second, time.Millisecond, "which is closed")

	refused := func(want probes.Reason, begin, end []any) {
		t.Helper()
		do(begin...)
		assert.Equal(t, want, reason.Of(broker.connect(t.Context())))
		kept()
		do(end...)
		require.NoError(t, broker.connect(t.Context()))
	}
	refused(probes.ReasonAuthenticationFailed,
		[]any{"ACL", "SETUSER", "depths", "resetpass", ">another"}, []any{"ACL", "SETUSER", "depths", "resetpass", ">a-secret"})
	refused(probes.ReasonTooManyConnections,
		[]any{"CONFIG", "SET", "maxclients", "1"}, []any{"CONFIG", "SET", "maxclients", "1000"})

	proxy.Stall()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	assert.Equal(t, context.DeadlineExceeded, broker.connect(ctx))
}

// After a password change the check is a warning until the password is right again, because the kept
// connection works.
func TestNewConnectionsToRedis(t *testing.T) {
	server := testserver.NewRedis(t)
	admin := redis.NewClient(&redis.Options{Addr: server.Addr(), PoolSize: 1})
	defer admin.Close()
	password := func(p string) {
		t.Helper()
		require.NoError(t, admin.Do(t.Context(), "ACL", "SETUSER", "depths", "on", "resetpass", ">"+p, "~celery*", "+hello", "+llen").Err())
	}
	password("a-secret")
	p := New("redis://depths:a-secret@"+server.Addr(), NewConnectionEvery(50*time.Millisecond))
	defer p.Close()
	becomes := func(status probes.Status, want probes.Reason) {
		t.Helper()
		assert.Eventually(t, func() bool {
			result := p.Check(t.Context())
			return result.Status == status && (status == probes.OK || reason.Of(result.Err) == want)
		}, 30*time.Second, 20*time.Millisecond)
	}
	becomes(probes.OK, "")
	password("another")
	becomes(probes.Warning, probes.ReasonAuthenticationFailed)
	password("a-secret")
	becomes(probes.OK, "")
}
