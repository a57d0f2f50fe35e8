package redisprobe_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync/atomic"
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

func newFailoverClient(t *testing.T, opt *redis.FailoverOptions) *redis.Client {
	t.Helper()
	opt.DialerRetries, opt.MaxRetries = 1, -1
	client := redis.NewFailoverClient(opt)
	t.Cleanup(func() { client.Close() })
	return client
}

func TestSentinel(t *testing.T) {
	master := testserver.NewRedis(t)
	sentinel := testserver.NewSentinel(t, "orders", master).Addr()
	newFailover := func(name, addr string) *redis.Client {
		return newFailoverClient(t, &redis.FailoverOptions{MasterName: name, SentinelAddrs: []string{addr}})
	}
	requireError(t, newProbe(t, newFailover("unknown", sentinel)), probes.ReasonNotFound)
	requireError(t, newProbe(t, newFailover("orders", refused(t))), probes.ReasonConnectionRefused)

	client := newFailover("orders", sentinel)
	probe := newProbe(t, client)
	requireOK(t, probe)
	master.Kill(t)
	requireError(t, probe, probes.ReasonConnectionRefused)
	master.Start(t)
	requireOK(t, probe)
	require.NoError(t, client.Close())
	requireError(t, probe, probes.ReasonClientClosed)
}

// newReplica starts a replica of master, and returns when the replica has the master's data.
func newReplica(t *testing.T, master *testserver.Redis) *testserver.Redis {
	t.Helper()
	replica := testserver.NewRedis(t, "--replicaof", "127.0.0.1 "+strconv.Itoa(master.Port()))
	client := newClient(t, &redis.Options{Addr: replica.Addr()})
	require.Eventually(t, func() bool {
		return client.InfoMap(t.Context(), "replication").Item("Replication", "master_link_status") == "up"
	}, 30*time.Second, 20*time.Millisecond)
	return replica
}

// failOver makes Sentinel promote the replica, and returns when Sentinel names it as the master.
func failOver(t *testing.T, sentinel *testserver.Redis, name string, replica *testserver.Redis) {
	t.Helper()
	admin := redis.NewSentinelClient(&redis.Options{Addr: sentinel.Addr()})
	defer admin.Close()
	require.Eventually(t, func() bool { // Sentinel can promote only a replica that it knows
		return admin.Failover(t.Context(), name).Err() == nil
	}, 60*time.Second, 50*time.Millisecond)
	require.Eventually(t, func() bool {
		addr, err := admin.GetMasterAddrByName(t.Context(), name).Result()
		return err == nil && addr[1] == strconv.Itoa(replica.Port())
	}, 60*time.Second, 50*time.Millisecond)
}

// wrappingDialer returns a dialer that counts its calls in dials, and wraps its errors.
func wrappingDialer(dials *atomic.Int32) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		dials.Add(1)
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil {
			return nil, fmt.Errorf("the application's dialer: %w", err)
		}
		return conn, nil
	}
}

// After a planned failover the old master takes writes until Sentinel demotes it. In this test Sentinel can't
// do that, so the kept connection never fails.
func TestFollowsAFailover(t *testing.T) {
	old := testserver.NewRedis(t, "--rename-command", "SLAVEOF", "", "--repl-diskless-sync-delay", "0")
	replica := newReplica(t, old)
	sentinel := testserver.NewSentinel(t, "orders", old)
	client := newFailoverClient(t, &redis.FailoverOptions{
		MasterName: "orders", SentinelAddrs: []string{sentinel.Addr()},
	})
	cluster := redis.NewFailoverClusterClient(&redis.FailoverOptions{
		MasterName: "orders", SentinelAddrs: []string{sentinel.Addr()}, DialerRetries: 1, MaxRetries: -1,
	})
	defer cluster.Close()
	wrapping := newFailoverClient(t, &redis.FailoverOptions{
		MasterName: "orders", SentinelAddrs: []string{sentinel.Addr()}, Dialer: wrappingDialer(new(atomic.Int32)),
	})
	all := []probes.Probe{newProbe(t, client), newProbe(t, client, redisprobe.PingOnly()), newProbe(t, cluster)}
	late := []probes.Probe{newProbe(t, client), newProbe(t, cluster), newProbe(t, wrapping)} // probes whose first check is after the old master was killed
	for _, probe := range slices.Concat(all, late) {
		requireOK(t, probe)
	}
	failOver(t, sentinel, "orders", replica)
	for _, probe := range all {
		requireOK(t, probe)
	}
	all = append(all, late...)

	replica.Kill(t)
	for i, probe := range all {
		require.Eventually(t, func() bool {
			return run(t, probe, soon).Status == probes.Error
		}, 30*time.Second, 50*time.Millisecond, "probe %d", i)
		requireError(t, probe, probes.ReasonConnectionRefused)
	}
	role, err := newClient(t, &redis.Options{Addr: old.Addr()}).Do(t.Context(), "ROLE").Slice()
	require.NoError(t, err)
	require.Equal(t, "master", role[0], "the old master still answers")
	replica.Start(t)
	promoted := newClient(t, &redis.Options{Addr: replica.Addr()})
	require.NoError(t, promoted.ReplicaOf(t.Context(), "NO", "ONE").Err())
	for _, probe := range all {
		requireOK(t, probe)
	}
}

// The application's connections still work if a new login fails or if no Sentinel answers.
func TestKeepsTheConnectionToTheSameMaster(t *testing.T) {
	master := testserver.NewRedis(t)
	sentinel := testserver.NewSentinel(t, "orders", master)
	var dials atomic.Int32
	client := newFailoverClient(t, &redis.FailoverOptions{
		MasterName: "orders", SentinelAddrs: []string{sentinel.Addr()}, Dialer: wrappingDialer(&dials),
	})
	probe := newProbe(t, client, redisprobe.NewConnectionEvery(0))
	requireOK(t, probe)
	admin := newClient(t, &redis.Options{Addr: master.Addr()})
	connections := func() string {
		return admin.InfoMap(t.Context(), "stats").Item("Stats", "total_connections_received")
	}
	before := connections()
	awaitDials := func(n int32) {
		t.Helper()
		for end := dials.Load() + n; dials.Load() < end; time.Sleep(5 * time.Millisecond) {
			requireOK(t, probe)
		}
		requireOK(t, probe)
	}
	require.NoError(t, admin.ConfigSet(t.Context(), "requirepass", "changed").Err())
	awaitDials(2)
	assert.NotEqual(t, before, connections(), "the master is dialed")
	sentinel.Kill(t)
	for killed := time.Now(); time.Since(killed) < 3*time.Second; time.Sleep(5 * time.Millisecond) {
		requireOK(t, probe) // the probe queries the Sentinels at least once; go-redis dials them repeatedly
	}
	require.NoError(t, client.Close())
	requireError(t, probe, probes.ReasonClientClosed)
}

// With the defaults of go-redis the client reports only after 1.7 s and 3.5 s that no Sentinel can be
// reached.
func TestUnreachableSentinels(t *testing.T) {
	for name, client := range map[string]redis.UniversalClient{
		"one server": redis.NewFailoverClient(&redis.FailoverOptions{
			MasterName: "orders", SentinelAddrs: []string{refused(t), refused(t)},
		}),
		"cluster": redis.NewFailoverClusterClient(&redis.FailoverOptions{
			MasterName: "orders", SentinelAddrs: []string{refused(t), refused(t)},
		}),
	} {
		before := goleak.IgnoreCurrent()
		probe := newProbe(t, client)
		require.Eventually(t, func() bool {
			return reason.Of(run(t, probe, 200*time.Millisecond).Err) == probes.ReasonConnectionRefused
		}, 60*time.Second, 50*time.Millisecond, name)
		require.NoError(t, probe.Close())
		leaktest.Verify(t, before)
		require.NoError(t, client.Close())
	}
}
