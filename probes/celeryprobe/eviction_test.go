package celeryprobe

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/internal/testserver"
)

// info returns a number from Redis's INFO.
func info(t testing.TB, client *redis.Client, section, name string) (n int) {
	t.Helper()
	_, value, found := strings.Cut(client.Info(context.Background(), section).Val(), "\n"+name+":")
	require.True(t, found)
	_, err := fmt.Sscan(value, &n)
	require.NoError(t, err)
	return n
}

// cache is an application's data in Celery's Redis. It fills the memory up to the limit.
type cache struct {
	*redis.Client
	ttl  time.Duration
	keys int
}

// fill writes keys until Redis evicts some, and then removes keys until left bytes are free.
func (c *cache) fill(t *testing.T, left int) {
	t.Helper()
	value := strings.Repeat("v", 100)
	for before := c.evicted(t); c.evicted(t) == before; {
		for range 20 {
			require.NoError(t, c.Set(t.Context(), fmt.Sprintf("cache:%06d", c.keys), value, c.ttl).Err())
			c.keys++
		}
	}
	limit := info(t, c.Client, "memory", "maxmemory")
	for key := c.keys; limit-info(t, c.Client, "memory", "used_memory") < left; {
		key--
		require.NoError(t, c.Del(t.Context(), fmt.Sprintf("cache:%06d", key)).Err())
	}
}

func (c *cache) evicted(t *testing.T) int { return info(t, c.Client, "stats", "evicted_keys") }

// If Redis has room for the messages of a ping and for one of its own buffers (16 KB, for a client that was
// idle), a ping must not evict another application's keys. Otherwise it may evict only as many keys as these
// take: about 120 of this test. A value of 64 KB would evict 450. The test uses the median of several pings,
// because the first one also opens connections.
func TestPingEvictsNothing(t *testing.T) {
	server := testserver.NewRedis(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), PoolSize: 1})
	defer client.Close()
	startWorkers(t, server.URL(), 1)
	p := pinging(t, server.URL())
	for policy, ttl := range map[string]time.Duration{
		"allkeys-lru": 0, "allkeys-lfu": 0, "volatile-lru": time.Hour, "volatile-ttl": time.Hour,
	} {
		for left, most := range map[int]int{32 << 10: 0, 0: 200} {
			t.Run(fmt.Sprintf("%s with %d bytes left", policy, left), func(t *testing.T) {
				require.NoError(t, client.ConfigSet(t.Context(), "maxmemory-policy", policy).Err())
				limit := info(t, client, "memory", "used_memory") + 1<<20
				require.NoError(t, client.ConfigSet(t.Context(), "maxmemory", fmt.Sprint(limit)).Err())
				cache := &cache{Client: client, ttl: ttl}
				var evicted []int
				for range 9 {
					cache.fill(t, left)
					before := cache.evicted(t)
					pingOnce(t, p, 1)
					evicted = append(evicted, cache.evicted(t)-before)
				}
				slices.Sort(evicted)
				t.Logf("keys evicted by a ping: %d", evicted)
				assert.LessOrEqual(t, evicted[len(evicted)/2], most)
				require.NoError(t, client.ConfigSet(t.Context(), "maxmemory", "0").Err())
				require.NoError(t, client.FlushDB(t.Context()).Err())
			})
		}
	}
}
