package redisconn_test

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/internal/redisconn"
	"github.com/echo-probes/echohealth/internal/testserver"
)

func TestMain(m *testing.M) { testserver.Main(m) }

// A list of any size may be on the server, whoever put it there.
func TestAnswersAreBounded(t *testing.T) {
	server := testserver.NewRedis(t)
	proxy := testserver.NewProxy(t, server.Addr())
	application := redis.NewClient(&redis.Options{Addr: proxy.Addr()})
	defer application.Close()
	client := redisconn.New(t.Context(), application.Options())
	defer client.Close()

	element := strings.Repeat("x", 8<<20)
	for range 3 {
		require.NoError(t, client.LPush(t.Context(), "list", element).Err())
	}
	for range 3 { // more than the limit, but not in one answer
		list, err := client.LRange(t.Context(), "list", 0, -1).Result()
		require.NoError(t, err)
		require.Len(t, list, 3)
	}
	assert.Equal(t, 1, proxy.Accepted())
	require.NoError(t, client.LPush(t.Context(), "list", element, element).Err())
	_, err := client.LRange(t.Context(), "list", 0, -1).Result()
	assert.ErrorContains(t, err, "redis sent more than 32 MB")
	require.NoError(t, client.Ping(t.Context()).Err(), "the next answer comes over another connection")
}

// A connection that the server has closed is noticed before it is used, as with any client of go-redis's.
func TestClosedConnectionIsNoticed(t *testing.T) {
	server := testserver.NewRedis(t)
	application := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer application.Close()
	client := redisconn.New(t.Context(), application.Options())
	defer client.Close()
	require.NoError(t, client.Ping(t.Context()).Err())
	require.NoError(t, application.ClientKillByFilter(t.Context(), "TYPE", "normal", "SKIPME", "yes").Err())
	assert.NoError(t, client.Ping(t.Context()).Err())
}
