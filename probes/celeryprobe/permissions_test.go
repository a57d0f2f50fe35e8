package celeryprobe_test

import (
	"log/slog"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/celeryprobe"
)

// documented returns the arguments of those commands in docs/celery.md that begin with program.
func documented(t *testing.T, program string) [][]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/celery.md")
	require.NoError(t, err)
	var commands [][]string
	for _, line := range regexp.MustCompile(`(?m)^\$ `+program+` (.*)$`).FindAllStringSubmatch(string(text), -1) {
		var args []string
		for _, word := range strings.Fields(line[1]) {
			args = append(args, strings.Trim(word, "'"))
		}
		commands = append(commands, args)
	}
	require.NotEmpty(t, commands)
	return commands
}

// as returns the URL with another user.
func as(t *testing.T, user, raw string) string {
	t.Helper()
	u, err := url.Parse(raw)
	require.NoError(t, err)
	u.User = url.UserPassword(user, "a-secret")
	return u.String()
}

func TestDocumentedPermissionsSuffice(t *testing.T) {
	rabbit, server := testserver.NewRabbitMQ(t), testserver.NewRedis(t)
	for _, args := range documented(t, "rabbitmqctl") {
		rabbit.Ctl(t, args...)
	}
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer client.Close()
	for _, args := range documented(t, "redis-cli") {
		command := make([]any, len(args))
		for i, arg := range args {
			command[i] = arg
		}
		require.NoError(t, client.Do(t.Context(), command...).Err())
	}
	for name, brokerURL := range map[string]string{"RabbitMQ": rabbit.URL(), "Redis": server.URL()} {
		t.Run(name, func(t *testing.T) {
			// A worker without mingle has not declared the exchange for replies.
			worker(t, brokerURL, "one", testserver.CeleryArgs("--without-mingle"))
			consumers := []slog.Attr(nil)
			if name == "RabbitMQ" {
				consumers = []slog.Attr{slog.Int("consumers", 1)}
			}
			eventually(t, newProbe(t, as(t, "depths", brokerURL)), probes.OK, "", found(consumers)...)
			denied := newProbe(t, as(t, "depths", brokerURL), celeryprobe.PingWorkers(1))
			for range 3 {
				requireWarning(t, probes.ReasonPermissionDenied, check(t, denied), found(consumers)...)
			}
			for _, ping := range []celeryprobe.Option{celeryprobe.PingWorkers(1), celeryprobe.RequireConsumers()} {
				eventually(t, newProbe(t, as(t, "pings", brokerURL), ping), probes.OK, "", found(consumers, workers(1))...)
			}
		})
	}
	for _, right := range []string{"multi", "setnx", "pexpire", "publish"} {
		t.Run("Redis without "+right, func(t *testing.T) {
			require.NoError(t, client.Do(t.Context(), "ACL", "SETUSER", "pings", "-"+right).Err())
			defer client.Do(t.Context(), "ACL", "SETUSER", "pings", "+"+right)
			before := client.Keys(t.Context(), "*").Val()
			denied := newProbe(t, as(t, "pings", server.URL()), celeryprobe.PingWorkers(1))
			for range 3 {
				requireWarning(t, probes.ReasonPermissionDenied, check(t, denied), pending(0))
			}
			assert.ElementsMatch(t, before, client.Keys(t.Context(), "*").Val(), "all of it or nothing")
		})
	}
	t.Run("Redis without what is not needed", func(t *testing.T) {
		worker(t, server.URL(), "two")
		require.NoError(t, client.Do(t.Context(), "ACL", "SETUSER", "pings", "-info", "resetchannels", "&/0.celery.pidbox").Err())
		require.NoError(t, client.Do(t.Context(), "ACL", "LOG", "RESET").Err())
		probe := newProbe(t, as(t, "pings", server.URL()), celeryprobe.PingWorkers(1), celeryprobe.PingEvery(time.Second))
		for range 3 {
			eventually(t, probe, probes.OK, "", found(nil, workers(1))...)
			time.Sleep(time.Second) // wait until a ping is due
		}
		refusals, err := client.ACLLog(t.Context(), 10).Result()
		require.NoError(t, err)
		assert.Len(t, refusals, 2)
		for _, refusal := range refusals {
			assert.EqualValues(t, map[string]int64{"info": 2, "/0.celery.echohealth.pidbox": 1}[refusal.Object], refusal.Count, "%+v", refusal)
		}
	})
	t.Run("publishing denied", func(t *testing.T) {
		rabbit.Ctl(t, "set_permissions", "pings", ".*", `.*\.reply\.celery\.pidbox`, ".*")
		denied := newProbe(t, as(t, "pings", rabbit.URL()), celeryprobe.PingWorkers(1))
		for range 3 {
			result := eventually(t, denied, probes.Warning, probes.ReasonNoConsumers, queues(0, 0)...) // the worker has ended
			assert.ErrorContains(t, result.Err, "access to exchange 'celery.pidbox' in vhost '/' refused")
		}
	})
}
