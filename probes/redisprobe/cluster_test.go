package redisprobe_test

import (
	"context"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/echo-probes/echohealth/internal/leaktest"
	"github.com/echo-probes/echohealth/internal/reason"
	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/redisprobe"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// newCluster returns the three masters of a cluster, each with a third of the slots.
func newCluster(t *testing.T, args ...string) [3]*testserver.Redis {
	t.Helper()
	var nodes [3]*testserver.Redis
	var bus [3]string // the ports over which the nodes communicate
	for i := range nodes {
		bus[i] = strconv.Itoa(testserver.FreePort(t))
		nodes[i] = testserver.NewRedis(t, append([]string{
			"--cluster-enabled", "yes", "--cluster-port", bus[i], "--cluster-node-timeout", "15000"}, args...)...)
	}
	for i, node := range nodes {
		admin := newClient(t, &redis.Options{Addr: node.Addr()})
		require.NoError(t, admin.ClusterAddSlotsRange(t.Context(), 16384*i/3, 16384*(i+1)/3-1).Err())
		require.NoError(t, admin.Do(t.Context(), "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err())
		if i > 0 {
			require.NoError(t, admin.Do(t.Context(), "CLUSTER", "MEET", "127.0.0.1", nodes[0].Port(), bus[0]).Err())
		}
	}
	for _, node := range nodes {
		awaitCluster(t, node, "cluster_state:ok")
		awaitCluster(t, node, "cluster_size:3")
	}
	return nodes
}

func awaitCluster(t *testing.T, node *testserver.Redis, want string) {
	t.Helper()
	admin := newClient(t, &redis.Options{Addr: node.Addr()})
	require.Eventually(t, func() bool {
		return strings.Contains(admin.ClusterInfo(t.Context()).Val(), want)
	}, 30*time.Second, 20*time.Millisecond)
}

func newClusterClient(t *testing.T, addrs ...string) *redis.ClusterClient {
	t.Helper()
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs})
	t.Cleanup(func() { client.Close() })
	return client
}

func TestCluster(t *testing.T) {
	nodes := newCluster(t)
	client := newClusterClient(t, nodes[0].Addr(), nodes[1].Addr(), nodes[2].Addr())
	probe := newProbe(t, client)
	ping := newProbe(t, client, redisprobe.PingOnly())
	requireOK(t, probe)
	requireOK(t, ping)

	t.Run("a plain client on one node", func(t *testing.T) {
		for _, node := range nodes { // also on the node with the slot of the probe's key
			plain := newProbe(t, newClient(t, &redis.Options{Addr: node.Addr()}))
			for range 2 {
				requireError(t, plain, probes.ReasonMisconfigured)
			}
		}
	})

	t.Run("one master takes no writes", func(t *testing.T) {
		for _, node := range nodes { // also on the nodes without the slot of the probe's key
			do := admin(t, node, "")
			do("CONFIG", "SET", "maxmemory", "1")()
			requireError(t, probe, probes.ReasonOutOfResources)
			requireOK(t, ping)
			do("CONFIG", "SET", "maxmemory", "0")()
			requireOK(t, probe)
		}
		require.NoError(t, client.ForEachMaster(t.Context(), func(ctx context.Context, master *redis.Client) error {
			return master.FlushAll(ctx).Err()
		}))
		requireOK(t, probe)
		keys := 0
		for _, node := range nodes {
			keys += len(newClient(t, &redis.Options{Addr: node.Addr()}).Keys(t.Context(), "*").Val())
		}
		assert.Equal(t, 1, keys, "one key is written")
	})

	t.Run("each part of the slots is asked", func(t *testing.T) {
		seen := map[int64]bool{}
		for _, name := range redisprobe.SlotKeys {
			seen[client.ClusterKeySlot(t.Context(), "echohealth:slot:"+name).Val()/1024] = true
		}
		assert.Len(t, seen, 16)
	})

	t.Run("a slot that is moving", func(t *testing.T) {
		var key string
		require.NoError(t, client.ForEachMaster(t.Context(), func(ctx context.Context, master *redis.Client) error {
			if keys := master.Keys(ctx, "echohealth:*").Val(); len(keys) == 1 {
				key = keys[0]
				return master.Del(ctx, key).Err()
			}
			return nil
		}))
		from, err := client.MasterForKey(t.Context(), key)
		require.NoError(t, err)
		to := newClient(t, &redis.Options{Addr: nodes[0].Addr()})
		if from.Options().Addr == nodes[0].Addr() {
			to = newClient(t, &redis.Options{Addr: nodes[1].Addr()})
		}
		slot := client.ClusterKeySlot(t.Context(), key).Val()
		require.NoError(t, to.Do(t.Context(), "CLUSTER", "SETSLOT", slot, "IMPORTING", from.Do(t.Context(), "CLUSTER", "MYID").Val()).Err())
		require.NoError(t, from.Do(t.Context(), "CLUSTER", "SETSLOT", slot, "MIGRATING", to.Do(t.Context(), "CLUSTER", "MYID").Val()).Err())
		requireOK(t, probe)
		for _, node := range []*redis.Client{from, to} {
			require.NoError(t, node.Do(t.Context(), "CLUSTER", "SETSLOT", slot, "STABLE").Err())
		}
	})

	t.Run("one master hangs", func(t *testing.T) {
		nodes[1].Freeze(t)
		before := goleak.IgnoreCurrent()
		for range 10 {
			requireError(t, probeFor(50*time.Millisecond, ping), probes.ReasonTimeout)
		}
		leaktest.Verify(t, before)
		nodes[1].Thaw(t)
		awaitCluster(t, nodes[0], "cluster_state:ok")
		awaitCluster(t, nodes[1], "cluster_state:ok")
		requireOK(t, probe)
	})

	t.Run("one master is gone", func(t *testing.T) {
		nodes[1].Kill(t)
		requireError(t, probe, probes.ReasonConnectionRefused)
		requireError(t, ping, probes.ReasonConnectionRefused)
		nodes[1].Start(t)
		for _, node := range nodes {
			awaitCluster(t, node, "cluster_state:ok")
		}
		requireOK(t, probe)
	})

	t.Run("closed", func(t *testing.T) {
		require.NoError(t, client.Close())
		requireError(t, probe, probes.ReasonClientClosed)
	})
}

// probeFor gives each check at most limit, even if its context has more time.
func probeFor(limit time.Duration, probe probes.Probe) probes.Probe {
	return probes.Func(func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		return probe.Check(ctx).Err
	})
}

// oneNode returns a cluster of one node, which has all slots.
func oneNode(t *testing.T, args ...string) *testserver.Redis {
	t.Helper()
	args = append(args, "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(testserver.FreePort(t)))
	node := testserver.NewRedis(t, args...)
	require.NoError(t, newClient(t, &redis.Options{Addr: node.Addr()}).ClusterAddSlotsRange(t.Context(), 0, 16383).Err())
	awaitCluster(t, node, "cluster_state:ok")
	return node
}

// Each of the nodes has a third of the slots, so one of them has the slot of the probe's key. The probe does
// not know that the server is a cluster node, because the server does not answer HELLO, or because the probe
// uses the client itself and does not see the answer.
func TestUnknownClusterNode(t *testing.T) {
	type wrapper struct{ redis.UniversalClient }
	for _, node := range newCluster(t, "--rename-command", "HELLO", "") {
		single := newClient(t, &redis.Options{Addr: node.Addr()})
		ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": node.Addr()}})
		defer ring.Close()
		for _, client := range []redis.UniversalClient{single, wrapper{single}, ring} {
			probe := newProbe(t, client)
			for range 2 {
				requireError(t, probe, probes.ReasonMisconfigured)
			}
		}
	}
}

// A client for one server may be used with a cluster node that has all slots.
func TestPlainClientOnTheOnlyNode(t *testing.T) {
	node := oneNode(t)
	client := newClient(t, &redis.Options{Addr: node.Addr()})
	permit := func(args ...any) {
		t.Helper()
		require.NoError(t, client.Do(t.Context(), append([]any{"ACL", "SETUSER", "app"}, args...)...).Err())
	}
	permit("on", ">s3cret", "~echohealth:*", "+ping", "+set") // as the package's documentation says
	probe := newProbe(t, newClient(t, &redis.Options{Addr: node.Addr(), Username: "app", Password: "s3cret"}))
	requireOK(t, probe)
	requireOK(t, probe)
	permit("+cluster|slots")
	cluster := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{node.Addr()}, Username: "app", Password: "s3cret"})
	defer cluster.Close()
	requireOK(t, newProbe(t, cluster))
	assert.EqualValues(t, 1, client.DBSize(t.Context()).Val(), "one key is written")
}

func TestClusterDown(t *testing.T) {
	node := oneNode(t)
	admin := newClient(t, &redis.Options{Addr: node.Addr()})
	client := newClusterClient(t, node.Addr())
	probe := newProbe(t, client)
	ping := newProbe(t, client, redisprobe.PingOnly())
	requireOK(t, probe)
	requireOK(t, ping)

	require.NoError(t, admin.ClusterDelSlotsRange(t.Context(), 0, 8191).Err())
	awaitCluster(t, node, "cluster_state:fail")
	requireError(t, probe, probes.ReasonDependencyStarting)
	requireOK(t, ping) // a PING is answered although the cluster takes no writes, so a check also writes

	require.NoError(t, admin.ClusterDelSlotsRange(t.Context(), 8192, 16383).Err())
	requireError(t, probe, probes.ReasonDependencyStarting)
	requireError(t, ping, probes.ReasonDependencyStarting)
}

func TestClusterUnreachable(t *testing.T) {
	requireError(t, newProbe(t, newClusterClient(t, refused(t), refused(t), refused(t))), probes.ReasonConnectionRefused)
	server := testserver.NewRedis(t)
	requireError(t, newProbe(t, newClusterClient(t, server.Addr())), probes.ReasonMisconfigured)
}

// The client tries again until its deadline. The probe must have the cause before the deadline of the check.
func TestCauseBeforeTheDeadline(t *testing.T) {
	type wrapper struct{ redis.UniversalClient }
	cluster := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs:    []string{refused(t), refused(t)},
		PoolSize: 1000, // after this many failed dials a client returns the cause immediately
	})
	defer cluster.Close()
	probe := newProbe(t, wrapper{cluster})
	require.Eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 800*time.Millisecond)
		defer cancel()
		err := probe.Check(ctx).Err
		return ctx.Err() == nil && reason.Of(err) == probes.ReasonConnectionRefused
	}, 30*time.Second, 10*time.Millisecond)
}

// The application may reach the nodes at other addresses than those that the nodes report.
func TestClusterNodeClients(t *testing.T) {
	node := oneNode(t, "--cluster-announce-ip", "192.0.2.1")
	translate := func(ctx context.Context, network, addr string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, strings.Replace(addr, "192.0.2.1", "127.0.0.1", 1))
	}
	for name, opt := range map[string]redis.ClusterOptions{
		"dialer": {Dialer: translate},
		"constructor": {NewClient: func(opt *redis.Options) *redis.Client {
			opt.Dialer = translate
			return redis.NewClient(opt)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			opt.Addrs = []string{node.Addr()}
			client := redis.NewClusterClient(&opt)
			defer client.Close()
			requireOK(t, newProbe(t, client))
		})
	}
}

func TestRing(t *testing.T) {
	shards := map[string]string{}
	servers := map[string]*testserver.Redis{"a": testserver.NewRedis(t), "b": testserver.NewRedis(t)}
	for name, server := range servers {
		shards[name] = server.Addr()
	}
	ring := redis.NewRing(&redis.RingOptions{Addrs: shards, HeartbeatFrequency: 50 * time.Millisecond, DialerRetries: 1})
	defer ring.Close()
	probe := newProbe(t, ring)
	requireOK(t, probe)
	requireOK(t, newProbe(t, ring, redisprobe.PingOnly()))
	for name, server := range servers {
		assert.EqualValues(t, 1, newClient(t, &redis.Options{Addr: server.Addr()}).DBSize(t.Context()).Val(), "shard %s is written to", name)
	}
	awaitShards := func(n int) {
		t.Helper()
		require.Eventually(t, func() bool { return ring.Len() == n }, 30*time.Second, 10*time.Millisecond)
	}

	servers["a"].Freeze(t)
	requireError(t, probe, probes.ReasonTimeout)
	servers["a"].Thaw(t)
	servers["a"].Kill(t)
	awaitShards(1)
	requireOK(t, probe) // the ring does not use the shard that is down

	servers["b"].Kill(t)
	awaitShards(0)
	requireError(t, probe, probes.ReasonUnreachable)
	servers["a"].Start(t)
	awaitShards(1)
	requireOK(t, probe)

	require.NoError(t, ring.Close())
	requireError(t, probe, probes.ReasonClientClosed)
}
