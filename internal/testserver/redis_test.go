package testserver_test

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/internal/testserver"
)

type redisUser struct{ *testserver.Redis }

func (u redisUser) client() *redis.Client {
	opts, err := redis.ParseURL(u.URL())
	if err != nil {
		panic(err)
	}
	opts.ContextTimeoutEnabled = true
	opts.MaxRetries = -1
	return redis.NewClient(opts)
}

func (u redisUser) ask(ctx context.Context) error {
	client := u.client()
	defer client.Close()
	return client.Ping(ctx).Err()
}

// do executes a command and ignores the result, because some commands have none.
func (u redisUser) do(t *testing.T, args ...any) {
	t.Helper()
	client := u.client()
	defer client.Close()
	client.Do(t.Context(), args...)
}

func (u redisUser) store(t *testing.T) { u.do(t, "SET", "key", "value") }

func (u redisUser) stored(t *testing.T) bool {
	t.Helper()
	client := u.client()
	defer client.Close()
	return client.Get(t.Context(), "key").Val() == "value"
}

func TestRedisLifecycle(t *testing.T) {
	redis := testserver.NewRedis(t)
	testLife(t, redis, redisUser{redis})
}

func TestRedisArguments(t *testing.T) {
	server := testserver.NewRedis(t, "--requirepass", "s3cret/@", "--maxmemory", "5mb")
	client := redisUser{server}.client()
	defer client.Close()
	limit, err := client.ConfigGet(t.Context(), "maxmemory").Result()
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"maxmemory": "5242880"}, limit)

	stranger := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer stranger.Close()
	assert.ErrorContains(t, stranger.Ping(t.Context()).Err(), "NOAUTH")
}
