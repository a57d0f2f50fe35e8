package redisprobe_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/redisprobe"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestKeyPrefix(t *testing.T) {
	for name, server := range map[string]*testserver.Redis{
		"one server": testserver.NewRedis(t), "a cluster's only node": oneNode(t),
	} {
		admin := newClient(t, &redis.Options{Addr: server.Addr()})
		require.NoError(t, admin.Do(t.Context(), "ACL", "SETUSER", "shop", "on", ">s3cret",
			"~shop:*", "+ping", "+set", "+cluster|slots").Err())
		client := newClient(t, &redis.Options{Addr: server.Addr(), Username: "shop", Password: "s3cret"})
		requireError(t, newProbe(t, client), probes.ReasonPermissionDenied)
		probe := newProbe(t, client, redisprobe.KeyPrefix("other:"), redisprobe.KeyPrefix("shop:"))
		requireOK(t, probe)
		requireOK(t, probe)
		keys := admin.Keys(t.Context(), "*").Val()
		require.Len(t, keys, 1, name)
		assert.Regexp(t, `^shop:echohealth:[A-Z2-7]{26}$`, keys[0], name)
	}
}

func TestKeyPrefixOfACluster(t *testing.T) {
	node := oneNode(t)
	admin := newClient(t, &redis.Options{Addr: node.Addr()})
	cluster := newClusterClient(t, node.Addr())
	for _, prefix := range []string{"{shop}:", "a}b:", "日本:"} {
		requireOK(t, newProbe(t, cluster, redisprobe.KeyPrefix(prefix)))
		assert.NotEmpty(t, admin.Keys(t.Context(), prefix+"echohealth:*").Val())
	}
	for _, prefix := range []string{"shop:", "a}b:", "日本:", strings.Repeat("x", 256)} {
		seen := map[int64]bool{}
		for _, name := range redisprobe.SlotKeys {
			seen[admin.ClusterKeySlot(t.Context(), prefix+"echohealth:slot:"+name).Val()/1024] = true
		}
		assert.Len(t, seen, 16, prefix)
	}
}

func TestInvalidKeyPrefix(t *testing.T) {
	client := newClient(t, &redis.Options{})
	for _, prefix := range []string{
		"", "shop\n", "\x00", "\u0085", "\xff", "{shop:", "{}:", "a{", "}{", strings.Repeat("x", 257),
	} {
		probe := redisprobe.New(client, redisprobe.KeyPrefix("good:"), redisprobe.KeyPrefix(prefix))
		quoted := strconv.Quote(prefix[:min(len(prefix), 80)])
		assert.ErrorContains(t, probe.Validate(), "redisprobe.KeyPrefix("+quoted+"): the prefix must have 1 to 256 bytes")
		assert.Equal(t, probes.ReasonMisconfigured, probe.Check(t.Context()).Reason)
	}
}
