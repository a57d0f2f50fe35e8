package celeryprobe

import (
	"net/url"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/internal/amqpconn"
	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
)

// Celery accepts no user, password or database in the query of redis://. The probe reads them as redis-py.
func TestLoginInTheQueryAsRedisPyReadsIt(t *testing.T) {
	urls := []string{
		"redis://cache?db=3", "redis://cache/1?db=3", "redis://cache/1?db=0", "rediss://cache?username=app&password=pw",
		"redis://app:pw@cache?username=other&password=other", "redis://:pw@cache?username=app", "redis://cache?db=&password=",
	}
	var want []struct {
		DB                 int
		Username, Password string
	}
	kombu(t, &want, `
import json, sys
from redis.connection import parse_url
print(json.dumps([parse_url(url) for url in sys.argv[1:]], default=str))
`, urls...)
	for i, raw := range urls {
		o, ignored, err := redisOptions(raw, nil)
		require.NoError(t, err, raw)
		assert.Empty(t, ignored, raw)
		assert.Equal(t, want[i].DB, o.DB, raw)
		assert.Equal(t, want[i].Username, o.Username, raw)
		assert.Equal(t, want[i].Password, o.Password, raw)
	}
	o, _, err := sentinelOptions([]string{"sentinel://a/1?master_name=m&db=3&password=pw"}, "")
	require.NoError(t, err)
	assert.Equal(t, 3, o.DB)
	assert.Equal(t, "pw", o.Password)
}

// No argument of a connection of redis-py is an unknown option, except for those that a URL has elsewhere.
func TestOptionsOfRedisPy(t *testing.T) {
	var names []string
	kombu(t, &names, `
import inspect, json, redis
names = set()
for connection in redis.Connection, redis.SSLConnection, redis.UnixDomainSocketConnection:
    for base in connection.__mro__: # whose arguments a newer redis-py passes on as keywords
        names |= set(inspect.signature(base.__init__).parameters)
print(json.dumps(sorted(names - {"self", "args", "kwargs", "host", "port", "path"})))
`)
	require.Greater(t, len(names), 25)
	for _, name := range append(names, ignoredOptions...) {
		_, _, err := redisOptions("rediss://cache?"+url.Values{name: {"x"}}.Encode(), nil)
		if err != nil {
			assert.NotContains(t, err.Error(), "unknown option", name)
		}
	}
}

func TestOptionsThatTheProbeRefuses(t *testing.T) {
	for raw, want := range map[string]string{
		"redis://a?credential_provider=app.Credentials": "credential_provider: the probe can't call a class of Python: " +
			"use celeryprobe.Redis with a client that has a CredentialsProvider",
		"redis+socket:///redis.sock?credential_provider=app.Credentials": "use celeryprobe.Redis",
		"rediss://a?ssl_password=s3cret&ssl_certfile=/c":                 "a client certificate needs",
		"rediss://a?ssl_password=s3cret":                                 "give the certificate in celeryprobe.TLSConfig",
		"rediss://a?ssl_ca_data=s3cret":                                  "ssl_ca_data: it must be a certificate as PEM",
		"rediss://a?ssl_min_version=1.2":                                 `ssl_min_version="1.2": it must be 769 (TLS 1.0), 770, 771 or 772`,
		"rediss://a?ssl_ca_path=/does/not/exist":                         "CA certificates: open /does/not/exist",
		"redis://a?db=s3cret":                                            "db must be the number of a database",
		"redis://a?db=-1":                                                "db must be the number of a database",
		"redis://a?ssl_ca_path=/x":                                       "TLS options need a scheme with TLS",
	} {
		_, _, err := redisOptions(raw, nil)
		require.ErrorContains(t, err, want, raw)
		assert.NotContains(t, err.Error(), "s3cret", raw)
	}
}

func TestAdviceOnIgnoredOptions(t *testing.T) {
	probe := New("redis+socket:///redis.sock?password=s3cret&db=3&retry=x&socket_keepalive_options=x")
	require.NoError(t, probe.Validate())
	defer probe.Close()
	assert.Equal(t, []string{
		"broker URL: the probe ignores retry, socket_keepalive_options: redis-py takes them for its own connections",
		"broker URL: in the query of redis+socket:// Celery and the probe ignore db, password: " +
			"write redis+socket://user:password@/path?virtual_host=db",
	}, probe.Advise())
}

// A host name in a list stands for the first URL with another host.
func TestHostNamesInAListAsKombuReadsThem(t *testing.T) {
	lists := []string{
		"redis://:pw@a:7000/2;b", "redis://app:p%40w@a;b;c.example", "rediss://a:1/3?ssl_cert_reqs=none;b",
		"redis://:pw@a:7000/2;redis://:other@b:7001/3;c", "redis://[::1]:7000/1;b",
	}
	type target struct {
		Addr, Username, Password string
		DB                       int
	}
	var want [][]target
	kombu(t, &want, `
import json, logging, sys
from kombu import Connection
logging.disable()

def brokers(list):
    c = Connection(list)
    for _ in c.alt:
        yield {"addr": "%s:%s" % (c.hostname, c.port or 6379), "username": c.userid or "", "password": c.password or "",
               "db": int(c.virtual_host.strip("/") or 0)}
        c.maybe_switch_next()

print(json.dumps([[*brokers(list)] for list in sys.argv[1:]]))
`, lists...)
	for i, raw := range lists {
		require.NoError(t, New(raw).Validate(), raw)
		urls := amqpconn.SplitURLs(raw)
		require.Len(t, urls, len(want[i]), raw)
		for j, single := range urls {
			o, _, err := redisOptions(single, nil)
			require.NoError(t, err, single)
			if o.Addr == "[::1]:7000" { // the notation of Python
				o.Addr = "::1:7000"
			}
			assert.Equal(t, want[i][j], target{o.Addr, o.Username, o.Password, o.DB}, single)
		}
	}
	for _, raw := range []string{
		"redis://a;b:7000", "redis://a;", "redis+socket:///a.sock;b", "sentinel://a?master_name=m;b", "redis://a;b/1",
	} {
		assert.ErrorContains(t, New(raw).Validate(), "each must be a whole URL, as in amqp://a;amqp://b, or a host name", raw)
	}
}

// Redis with a client that has a CredentialsProvider, as the error of credential_provider advises.
func TestClientWithCredentialsProvider(t *testing.T) {
	server := testserver.NewRedis(t)
	admin := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer admin.Close()
	require.NoError(t, admin.Do(t.Context(), "ACL", "SETUSER", "app", "on", ">first", "~*", "+@all").Err())
	require.NoError(t, admin.Do(t.Context(), "ACL", "SETUSER", "default", "resetpass", ">other").Err())
	client := redis.NewClient(&redis.Options{
		Addr: server.Addr(), CredentialsProvider: func() (user, password string) { return "app", "first" },
	})
	defer client.Close()
	probe := Redis(client)
	defer probe.Close()
	require.NoError(t, probe.Validate())
	result := probe.Check(t.Context())
	assert.Equal(t, probes.OK, result.Status, "%v", result.Err)
	without := New("redis://" + server.Addr())
	defer without.Close()
	assert.ErrorContains(t, without.Check(t.Context()).Err, "NOAUTH")
}
