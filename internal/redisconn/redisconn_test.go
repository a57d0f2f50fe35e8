package redisconn_test

import (
	"context"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/internal/redisconn"
	"github.com/echo-probes/echohealth/internal/testserver"
)

func TestMain(m *testing.M) { testserver.Main(m) }

// newConn returns a Conn for the server at addr.
func newConn(t *testing.T, addr string) *redisconn.Conn {
	t.Helper()
	conn := redisconn.New(redis.NewClient(&redis.Options{Addr: addr}).Options())
	t.Cleanup(conn.Close)
	return conn
}

func ping(ctx context.Context, client redis.UniversalClient) error { return client.Ping(ctx).Err() }

// A list on the server can have any size, because other clients write it.
func TestAnswersAreBounded(t *testing.T) {
	server := testserver.NewRedis(t)
	proxy := testserver.NewProxy(t, server.Addr())
	conn := newConn(t, proxy.Addr())
	push := func(elements ...any) {
		t.Helper()
		require.NoError(t, conn.Do(t.Context(), func(ctx context.Context, client redis.UniversalClient) error {
			return client.LPush(ctx, "list", elements...).Err()
		}))
	}
	var list []string
	read := func(ctx context.Context, client redis.UniversalClient) (err error) {
		list, err = client.LRange(ctx, "list", 0, -1).Result()
		return err
	}

	element := strings.Repeat("x", 8<<20)
	for range 3 {
		push(element)
	}
	for range 3 { // more than the limit in all, but not in one answer
		require.NoError(t, conn.Do(t.Context(), read))
		require.Len(t, list, 3)
	}
	assert.Equal(t, 1, proxy.Accepted())
	push(element, element)
	assert.ErrorContains(t, conn.Once(t.Context(), read), "the server sent more than 32 MB")
	require.NoError(t, conn.Do(t.Context(), ping), "the next answer comes over another connection")
}

// As with any client of go-redis, a connection that the server has closed is replaced before its use.
func TestClosedConnectionIsNoticed(t *testing.T) {
	server := testserver.NewRedis(t)
	conn := newConn(t, server.Addr())
	require.NoError(t, conn.Once(t.Context(), ping))
	admin := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer admin.Close()
	require.NoError(t, admin.ClientKillByFilter(t.Context(), "TYPE", "normal", "SKIPME", "yes").Err())
	assert.NoError(t, conn.Once(t.Context(), ping))
}
