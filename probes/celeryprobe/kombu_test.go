package celeryprobe

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/internal/amqpconn"
)

// kombu runs a Python program with Celery's library kombu, and decodes the JSON that it prints.
func kombu(t *testing.T, result any, program string, args ...string) {
	t.Helper()
	if _, err := os.Stat("/usr/lib/python3/dist-packages/kombu"); err != nil {
		if os.Getenv("ECHOHEALTH_REQUIRE_SERVERS") != "" {
			t.Fatal(err)
		}
		t.Skip("kombu is not installed: ", err)
	}
	python := exec.CommandContext(t.Context(), "/usr/bin/python3", append([]string{"-c", program}, args...)...)
	python.Stderr = os.Stderr
	output, err := python.Output()
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(output, result))
}

// Every transport of kombu is supported, or its URL is an error that names an alternative.
func TestTransportsOfKombu(t *testing.T) {
	var aliases []string
	kombu(t, &aliases, "import json, kombu.transport; print(json.dumps(list(kombu.transport.TRANSPORT_ALIASES)))")
	require.Contains(t, aliases, "sqs")
	for _, alias := range aliases {
		raw := alias + "://"
		if transportOf(raw) == "" {
			assert.ErrorContains(t, New(raw).Validate(), "there is no probe for Celery's transport", alias)
		}
	}
}

// connectionParameters prints the parameters with which kombu would connect to each of the URLs.
const connectionParameters = `
import json, logging, sys
from kombu import Connection
from kombu.transport import redis as transport
import redis
logging.disable()

class Channel(transport.Channel):
    def __init__(self, connection):
        self.connection = connection

def parameters(url):
    client = Connection(url)
    client.default_port = 6379
    connection = type("Connection", (), {"client": client, "default_port": 6379})
    channel = Channel(connection)
    channel.connection_class, channel.connection_class_ssl = redis.Connection, redis.SSLConnection
    params = channel._connparams()
    return {
        "network": "unix" if "path" in params else "tcp",
        "addr": params.get("path") or "%s:%s" % (params["host"], params["port"]),
        "db": params["db"], "username": params["username"] or "", "password": params["password"] or "",
    }

print(json.dumps([parameters(url) for url in sys.argv[1:]]))
`

// The probe connects to the same server as Celery.
func TestRedisURLsLikeKombu(t *testing.T) {
	urls := []string{
		"redis://", "redis://cache", "redis://cache/", "redis://cache:1234/3", "redis://cache//3", "rediss://cache/3",
		"redis://:pw@cache", "redis://app:p%40%2Fw@cache", "redis://app@cache/1", "redis://[::1]:1234/1",
		"redis+socket:///run/redis.sock", "redis+socket:///run/redis.sock?virtual_host=2",
		"redis+socket://app:p%40@/run/redis%20x.sock?virtual_host=2", "redis+socket://:pw@/redis.sock",
		"rediss://cache?ssl_cert_reqs=none", "redis://cache/1?connect_timeout=3",
		"redis+socket:///redis.sock?health_check_interval=3&socket_timeout=2",
		"redis+socket:///redis.sock?db=3&username=app&password=pw",
		"redis+socket://app:pw@/redis.sock?virtual_host=2&db=3&username=other&password=other",
		"redis+socket:///redis.sock?socket_keepalive_options=x&legacy_responses=x",
		"rediss://cache/1?ssl_min_version=771&ssl_ciphers=HIGH&ssl_validate_ocsp=x",
	}
	type target struct {
		Network, Addr, Username, Password string
		DB                                int
	}
	var want []target
	kombu(t, &want, connectionParameters, urls...)
	for i, raw := range urls {
		o, _, err := redisOptions(raw, nil)
		require.NoError(t, err, raw)
		got := target{o.Network, o.Addr, o.Username, o.Password, o.DB}
		got.Addr = regexp.MustCompile(`^\[(.*)\]:`).ReplaceAllString(got.Addr, "$1:") // the notation of Python
		want[i].Addr = strings.Replace(want[i].Addr, "127.0.0.1:", "localhost:", 1)
		assert.Equal(t, want[i], got, raw)
	}
}

// A list means the same brokers in the same order as in kombu.
func TestListsLikeKombu(t *testing.T) {
	lists := []string{
		"amqp://a", "amqp://a;amqp://b", "redis://:p%3Bw@a/1;redis://b/2", "sentinel://a:1;sentinel://b:2;sentinel://c",
	}
	var want [][]string
	kombu(t, &want, `
import json, sys
from kombu import Connection
print(json.dumps([Connection(url).alt or [url] for url in sys.argv[1:]]))
`, lists...)
	for i, raw := range lists {
		assert.Equal(t, want[i], amqpconn.SplitURLs(raw))
	}
}

func TestSentinelURL(t *testing.T) {
	o, advice, err := sentinelOptions([]string{
		"sentinel://app:pw@a:1/3?master_name=broker&socket_timeout=1.5&max_connections=2", "sentinel://b",
	}, "")
	require.NoError(t, err)
	assert.Len(t, advice, 1)
	assert.Equal(t, []string{"a:1", "b:26379"}, o.SentinelAddrs)
	assert.Equal(t, redis.FailoverOptions{
		MasterName: "broker", SentinelAddrs: o.SentinelAddrs, Username: "app", Password: "pw", DB: 3,
		ReadTimeout: 1.5e9, WriteTimeout: 1.5e9, MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true,
	}, *o)
}

// The probe accepts each URL in the documentation's table, or refuses it if the table says so.
func TestDocumentedURLs(t *testing.T) {
	text, err := os.ReadFile("../../docs/celery.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(text), "\n## URLs\n")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	read, refused := 0, 0
	for _, row := range regexp.MustCompile(`(?m)^\| (.*) \| (.*) \|$`).FindAllStringSubmatch(section, -1) {
		for _, code := range regexp.MustCompile("`([a-z+]+://[^`]*)`").FindAllStringSubmatch(row[1], -1) {
			var opts []Option
			if strings.Contains(row[1], `MasterName("`) {
				opts = append(opts, MasterName("broker"))
			}
			err := New(code[1], opts...).Validate()
			if strings.HasPrefix(row[2], "no probe") {
				refused++
				assert.ErrorContains(t, err, "there is no probe for Celery's transport", code[1])
				continue
			}
			read++
			assert.NoError(t, err, code[1])
		}
	}
	assert.GreaterOrEqual(t, read, 10)
	assert.GreaterOrEqual(t, refused, len(otherTransports))
	for _, name := range slices.Concat(ignoredOptions, loginOptions, schemes, otherTransports) {
		assert.Contains(t, section, name)
	}
}
