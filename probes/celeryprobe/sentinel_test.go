package celeryprobe_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/internal/reason"
	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/celeryprobe"
)

// sentinel starts a Redis Sentinel for a master with a replica, and returns its address and a client for it.
// It starts a failover by itself after the master has been silent for downAfter.
func sentinel(t *testing.T, master *testserver.Redis, downAfter time.Duration) (addr string, client *redis.SentinelClient) {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	require.NoError(t, err) // the master runs at this time
	addr = fmt.Sprintf("127.0.0.1:%d", testserver.FreePort(t))
	config := filepath.Join(t.TempDir(), "sentinel.conf")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, "port %s\nbind 127.0.0.1\ndir %s\n"+
		"sentinel monitor broker 127.0.0.1 %d 1\nsentinel down-after-milliseconds broker %d\n"+
		"sentinel failover-timeout broker 5000\n", addr[len("127.0.0.1:"):], filepath.Dir(config), master.Port(), downAfter.Milliseconds()), 0o600))
	process := exec.Command(program, config, "--sentinel")
	require.NoError(t, process.Start())
	t.Cleanup(func() { _ = process.Process.Kill(); _ = process.Wait() })
	client = redis.NewSentinelClient(&redis.Options{Addr: addr})
	t.Cleanup(func() { client.Close() })
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		replicas, err := client.Replicas(t.Context(), "broker").Result()
		assert.NoError(c, err)
		if assert.Len(c, replicas, 1) {
			assert.Equal(c, "slave", replicas[0]["flags"])
			assert.Equal(c, "ok", replicas[0]["master-link-status"])
		}
	}, 60*time.Second, 50*time.Millisecond)
	return addr, client
}

// The probe uses the new master after the old one was killed, and after an administrator requested a
// failover.
func TestSentinel(t *testing.T) {
	noLeaks(t)
	for name, downAfter := range map[string]time.Duration{"planned": time.Minute, "unplanned": 500 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			one, two := testserver.NewRedis(t), testserver.NewRedis(t)
			direct := redis.NewClient(&redis.Options{Addr: two.Addr(), DB: 1})
			defer direct.Close()
			require.NoError(t, direct.ReplicaOf(t.Context(), "127.0.0.1", fmt.Sprint(one.Port())).Err())
			addr, admin := sentinel(t, one, downAfter)
			client := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: "broker", SentinelAddrs: []string{addr}, DB: 1})
			defer client.Close()
			url := fmt.Sprintf("sentinel://127.0.0.1:%d/1;sentinel://%s", testserver.FreePort(t), addr)
			byURL := newProbe(t, url, celeryprobe.MasterName("broker"))
			byClient := use(t, celeryprobe.Redis(client))
			requireOK(t, check(t, byURL), pending(0))
			requireOK(t, check(t, byClient), pending(0))

			if name == "planned" {
				require.NoError(t, admin.Failover(t.Context(), "broker").Err())
			} else {
				one.Kill(t)
			}
			require.Eventually(t, func() bool {
				master, err := admin.GetMasterAddrByName(t.Context(), "broker").Result()
				return err == nil && master[1] == fmt.Sprint(two.Port())
			}, 60*time.Second, 10*time.Millisecond)
			switched := time.Now()
			push(t, direct, "celery", 2)
			eventually(t, byURL, probes.OK, "", pending(2))
			eventually(t, byClient, probes.OK, "", pending(2))
			t.Logf("both follow after %s", time.Since(switched))
		})
	}
}

// After a planned failover the old master answers until Sentinel demotes it. In this test Sentinel can't do
// that, so the kept connection never fails.
func TestSentinelNamesADeadMaster(t *testing.T) {
	noLeaks(t)
	old := testserver.NewRedis(t, "--rename-command", "SLAVEOF", "")
	replica := testserver.NewRedis(t, "--replicaof", "127.0.0.1 "+fmt.Sprint(old.Port()))
	addr := testserver.NewSentinel(t, "broker", old).Addr()
	admin := redis.NewSentinelClient(&redis.Options{Addr: addr})
	defer admin.Close()
	client := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: "broker", SentinelAddrs: []string{addr}})
	defer client.Close()
	byURL := newProbe(t, "sentinel://"+addr, celeryprobe.MasterName("broker"))
	byClient := use(t, celeryprobe.Redis(client))
	requireOK(t, check(t, byURL), pending(0))
	requireOK(t, check(t, byClient), pending(0))

	require.Eventually(t, func() bool { // Sentinel can promote only a replica that it knows
		return admin.Failover(t.Context(), "broker").Err() == nil
	}, 60*time.Second, 50*time.Millisecond)
	require.Eventually(t, func() bool {
		master, err := admin.GetMasterAddrByName(t.Context(), "broker").Result()
		return err == nil && master[1] == fmt.Sprint(replica.Port())
	}, 60*time.Second, 50*time.Millisecond)
	replica.Kill(t)
	for _, probe := range []*celeryprobe.Probe{byURL, byClient} {
		result := eventually(t, probe, probes.Error, "")
		assert.Equal(t, probes.ReasonConnectionRefused, reason.Of(result.Err))
	}
	direct := redis.NewClient(&redis.Options{Addr: old.Addr()})
	defer direct.Close()
	require.NoError(t, direct.Set(t.Context(), "key", 1, 0).Err(), "the old master still takes writes")
}
