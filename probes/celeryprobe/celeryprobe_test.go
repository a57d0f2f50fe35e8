package celeryprobe_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/internal/leaktest"
	"github.com/echo-probes/echohealth/internal/reason"
	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/celeryprobe"
)

func TestMain(m *testing.M) { testserver.Main(m) }

// noLeaks requires that no goroutine is left at the end of the test. Call it first, so that it checks after
// all other cleanup functions.
func noLeaks(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { leaktest.Verify(t, before) })
}

func newProbe(t testing.TB, url string, opts ...celeryprobe.Option) *celeryprobe.Probe {
	t.Helper()
	return use(t, celeryprobe.New(url, opts...))
}

func use(t testing.TB, probe *celeryprobe.Probe) *celeryprobe.Probe {
	t.Helper()
	require.NoError(t, probe.Validate())
	t.Cleanup(func() { assert.NoError(t, probe.Close()) })
	return probe
}

// within makes a check with the limit d, and requires that it ends by then. It allows some more time for a
// slow machine, but less than the limits of the clients.
func within(t *testing.T, probe probes.Probe, d time.Duration) probes.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	start := time.Now()
	result := probe.Check(ctx)
	assert.Less(t, time.Since(start), d+4*time.Second)
	return result
}

// check makes a check with ample time.
func check(t *testing.T, probe probes.Probe) probes.Result {
	t.Helper()
	return within(t, probe, 10*time.Second)
}

func requireOK(t *testing.T, result probes.Result, details ...slog.Attr) {
	t.Helper()
	require.Equal(t, probes.OK, result.Status, "%s: %v", result.Reason, result.Err)
	require.NoError(t, result.Err)
	requireDetails(t, result, details)
}

func requireWarning(t *testing.T, want probes.Reason, result probes.Result, details ...slog.Attr) {
	t.Helper()
	require.Equal(t, probes.Warning, result.Status, "%v", result.Err)
	require.Equal(t, want, result.Reason, "%v", result.Err)
	require.Error(t, result.Err)
	requireDetails(t, result, details)
}

func requireError(t *testing.T, want probes.Reason, result probes.Result) {
	t.Helper()
	require.Equal(t, probes.Error, result.Status, "%v", result.Err)
	if result.Reason == "" {
		result.Reason = reason.Of(result.Err) // as the health checks do
	}
	require.Equal(t, want, result.Reason, "%v", result.Err)
	require.NotContains(t, result.Err.Error(), "secret")
}

func requireDetails(t *testing.T, result probes.Result, want []slog.Attr) {
	t.Helper()
	if len(want) > 0 {
		require.Equal(t, want, result.Details, "%v", result.Err)
	}
	for _, detail := range result.Details {
		require.NoError(t, probes.CheckDetail(detail))
	}
}

// through returns a server's URL with the address of a proxy.
func through(t *testing.T, proxy *testserver.Proxy, raw string) string {
	t.Helper()
	u, err := url.Parse(raw)
	require.NoError(t, err)
	u.Host = proxy.Addr()
	return u.String()
}

func TestValidate(t *testing.T) {
	tests := []struct {
		want string
		url  string
		opts []celeryprobe.Option
	}{
		{`broker URL "http://***@rabbit/": its scheme must be one of amqp, amqps, pyamqp, librabbitmq, redis, rediss, redis+socket, sentinel`,
			"http://app:s3cret@rabbit/", nil},
		{`broker URL "***": its scheme must be one of`, "app:s3cret@rabbit", nil},
		{`broker URL "SQS://***@": there is no probe for Celery's transport "sqs": remove WithCelery, and check this broker with ` +
			`echohealth.WithCheck and a probes.Func of your own`, "SQS://key:s3cret@", nil},
		{`there is no probe for Celery's transport "sqla"`, "sqla+mysql://app:s3cret@db/celery", nil},
		{`the brokers of a list must all be RabbitMQ, all be Redis`, "amqp://app:s3cret@a;redis://:s3cret@b", nil},
		{`there is no probe for Celery's transport "memory"`, "redis://:s3cret@a;memory://", nil},
		{`broker URL "redis://***@a;b:6379": it names several brokers: each must be a whole URL`, "redis://:s3cret@a;b:6379", nil},
		{`broker URL "redis://***@b/x": its path must be the number of a database`, "redis://:s3cret@a;redis://:s3cret@b/x", nil},
		{`broker 2 of 2: unknown option "x"`, "amqp://app:s3cret@a;amqp://b?x=s3cret", nil},
		{`a socket's URL must have no host, as in redis+socket:///path`, "redis+socket://:s3cret@run/redis.sock", nil},
		{`its path must be the number of a database`, "redis+socket:///redis.sock?virtual_host=x", nil},
		{`TLS options need a scheme with TLS`, "redis+socket:///redis.sock?ssl_cert_reqs=none", nil},
		{`unknown option "virtual_host"`, "redis://:s3cret@a?virtual_host=1", nil},
		{`an option of the URL is unknown, and is not named because it may be a part of the password`, "redis://a?password=ab&s3cret", nil},
		{`unknown option "ssl_cadata"`, "rediss://a?ssl_cadata=s3cret", nil},
		{`socket_timeout="0": it must be a number of seconds from 0.001 to 31536000`, "redis://a?socket_timeout=0", nil},
		{`socket_connect_timeout="NaN": it must be`, "redis://a?socket_connect_timeout=NaN", nil},
		{`protocol="4": it must be 2 or 3`, "redis://a?protocol=4", nil},
		{`broker URL "sentinel://***@a:26379/0": the name of the master is missing: give celeryprobe.MasterName`,
			"sentinel://app:s3cret@a:26379/0", nil},
		{`master_name="a" and celeryprobe.MasterName("b") exclude each other`, "sentinel://a?master_name=a",
			[]celeryprobe.Option{celeryprobe.MasterName("b")}},
		{`celeryprobe.MasterName(""): the name must not be empty`, "sentinel://a", []celeryprobe.Option{celeryprobe.MasterName("")}},
		{`celeryprobe.MasterName is for a sentinel:// URL`, "redis://a", []celeryprobe.Option{celeryprobe.MasterName("b")}},
		{`ssl_cert_reqs: TLS needs celeryprobe.Redis with a client for Sentinel`, "sentinel://a?master_name=a&ssl_cert_reqs=none", nil},
		{`celeryprobe.TLSConfig is not for sentinel://`, "sentinel://a?master_name=a", []celeryprobe.Option{celeryprobe.TLSConfig(new(tls.Config))}},
		{`only the first URL may have options: unknown option "x"`, "sentinel://a?master_name=a;sentinel://b?x=s3cret", nil},
		{`broker URL "redis://***@host/x": its path must be the number of a database`, "redis://:s3cret@host/x", nil},
		{`its path must be the number of a database`, "redis://:s3cret@host/-1", nil},
		{`it can't be parsed`, "redis://:s3%cret@host/", nil},
		{`unknown option "database"`, "redis://:s3cret@host/?database=1", nil},
		{`connect_timeout="0": it must be a whole number of seconds from 1 to 31536000`, "redis://:s3cret@host/?connect_timeout=0", nil},
		{`connect_timeout="9223372037": it must be a whole number of seconds from 1 to 31536000`,
			"redis://:s3cret@host/?connect_timeout=9223372037", nil},
		{`TLS options need a scheme with TLS`, "redis://:s3cret@host/?ssl_cert_reqs=CERT_NONE", nil},
		{`"perhaps": the certificate verification must be`, "rediss://:s3cret@host/?ssl_cert_reqs=perhaps", nil},
		{`unknown option "hartbeat"`, "amqp://app:s3cret@rabbit/?hartbeat=1", nil},

		{"celeryprobe.Queues(): there must be at least one name", "", []celeryprobe.Option{celeryprobe.Queues()}},
		{`celeryprobe.Queues: "": a name must have 1 to 255 bytes`, "", []celeryprobe.Option{celeryprobe.Queues("a", "")}},
		{`celeryprobe.Queues: "a" is given twice`, "", []celeryprobe.Option{celeryprobe.Queues("a", "b", "a")}},
		{"celeryprobe.PendingThreshold(-1, 5): a threshold must be at least 0, or echohealth.Never", "", []celeryprobe.Option{celeryprobe.PendingThreshold(-1, 5)}},
		{"celeryprobe.PendingThreshold(Never, -1): a threshold must be at least 0", "", []celeryprobe.Option{celeryprobe.PendingThreshold(echohealth.Never, -1)}},
		{"celeryprobe.PendingThreshold(6, 5): warning must not exceed critical", "", []celeryprobe.Option{celeryprobe.PendingThreshold(6, 5)}},
		{"celeryprobe.TLSConfig(nil): the configuration must not be nil", "", []celeryprobe.Option{celeryprobe.TLSConfig(nil)}},
		{"TLS options need a scheme with TLS", "", []celeryprobe.Option{celeryprobe.TLSConfig(new(tls.Config))}},
		{`celeryprobe.Separator(""): the separator must not be empty`, "redis://", []celeryprobe.Option{celeryprobe.Separator("")}},
		{"celeryprobe.PrioritySteps(): there must be at least one step", "redis://", []celeryprobe.Option{celeryprobe.PrioritySteps()}},
		{"celeryprobe.PrioritySteps([0 3 3]): the steps must be in ascending order", "redis://", []celeryprobe.Option{celeryprobe.PrioritySteps(0, 3, 3)}},
		{"celeryprobe.PrioritySteps([-1]): the steps must be in ascending order, from 0", "redis://", []celeryprobe.Option{celeryprobe.PrioritySteps(-1)}},
		{"celeryprobe.GlobalKeyPrefix is for Redis, not for RabbitMQ", "amqp://", []celeryprobe.Option{celeryprobe.GlobalKeyPrefix("x")}},
	}
	for _, test := range tests {
		if test.url == "" {
			test.url = "amqp://app:s3cret@rabbit/"
		}
		probe := celeryprobe.New(test.url, test.opts...)
		err := probe.Validate()
		require.ErrorContains(t, err, test.want)
		assert.NotContains(t, err.Error(), "s3")
		assert.NotContains(t, err.Error(), "cret")
		requireError(t, probes.ReasonMisconfigured, probe.Check(t.Context()))
		assert.Nil(t, probe.Advise())
		assert.NoError(t, probe.Close())
	}
}

// Any URL is accepted or is an error, and no error contains its password.
func FuzzURL(f *testing.F) {
	for _, before := range []string{"", "redis://cache/?db=", "rediss://cache/?", "redis://cache/", "amqp://", "redis://a;", "%", "redis://app:1"} {
		for _, after := range []string{"cache/", "cache:6379/x", "cache/1?connect_timeout=0", "a;redis://b", "%", "[", "@", "/?ssl_cert_reqs=x", "cache/-1"} {
			f.Add(before, after)
		}
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		const password = "s3cret-Pa55"
		for _, form := range []string{"redis://:%s@", "rediss://app:%s@", "amqp://app:%s@", "redis://:1/%s@", "redis://:1?%s@", "redis://:1#%s@", "redis://:p@%s@"} {
			raw := before + fmt.Sprintf(form, password) + after
			err := celeryprobe.New(raw, celeryprobe.PingWorkers(1)).Validate()
			if strings.Contains(fmt.Sprint(err), password) && !strings.Contains(before+after, password) {
				t.Errorf("%q: %s", raw, err)
			}
		}
	})
}

func TestValidateAccepts(t *testing.T) {
	for _, raw := range []string{
		"amqp://", "pyamqp://guest@localhost//", "amqps://app:pw@rabbit/vh?ssl_cert_reqs=CERT_NONE", "redis://", "redis://cache/3",
		"librabbitmq://rabbit", "amqp://a;pyamqp://b//", "redis://a/1;rediss://:pw@b/2", "redis+socket:///redis.sock",
		"sentinel://:pw@a/1?master_name=m;sentinel://b:1;sentinel://:pw@c/1", "rediss://a?ssl_check_hostname=False&protocol=2",
		"rediss://:pw@cache:6380/0?ssl_cert_reqs=CERT_REQUIRED&connect_timeout=2", "rediss://app:pw@cache/?ssl_cert_reqs=none",
	} {
		assert.NoError(t, celeryprobe.New(raw).Validate(), raw)
	}
	for _, thresholds := range [][2]int{{0, 0}, {5, 5}, {5, echohealth.Never}, {echohealth.Never, 5}, {echohealth.Never, echohealth.Never}} {
		assert.NoError(t, celeryprobe.New("redis://", celeryprobe.PendingThreshold(thresholds[0], thresholds[1])).Validate(), "%v", thresholds)
	}
	assert.NoError(t, celeryprobe.New("rediss://cache", celeryprobe.TLSConfig(new(tls.Config))).Validate())
}

func TestValidateClient(t *testing.T) {
	client := redis.NewClient(new(redis.Options))
	defer client.Close()
	cluster := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"127.0.0.1:1"}})
	defer cluster.Close()
	assert.NoError(t, celeryprobe.Redis(client).Validate())
	assert.ErrorContains(t, celeryprobe.Redis(nil).Validate(), "celeryprobe.Redis(nil): the client must not be nil")
	assert.ErrorContains(t, celeryprobe.Redis((*redis.Client)(nil)).Validate(), "celeryprobe.Redis(nil): the client must not be nil")
	assert.ErrorContains(t, celeryprobe.Redis(cluster).Validate(), "must be a *redis.Client")
	assert.ErrorContains(t, celeryprobe.Redis(client, celeryprobe.TLSConfig(new(tls.Config))).Validate(), "celeryprobe.TLSConfig is for New")
}

func TestAdvise(t *testing.T) {
	assert.Len(t, celeryprobe.New("amqp://rabbit/?heartbeat=0").Advise(), 1)
	assert.Empty(t, celeryprobe.New("amqp://rabbit/").Advise())
	assert.Empty(t, celeryprobe.New("redis://cache/").Advise())

	assert.Equal(t, []string{"broker URL: the probe ignores health_check_interval, max_connections: redis-py takes them for its own connections"},
		celeryprobe.New("redis://a?max_connections=5&health_check_interval=30;redis://b?max_connections=6").Advise())
	assert.Len(t, celeryprobe.New("sentinel://a?master_name=m;sentinel://b/1").Advise(), 1)
	assert.Empty(t, celeryprobe.New("sentinel://a/1?master_name=m;sentinel://b/1;sentinel://c").Advise())

	byDefault := redis.NewClient(new(redis.Options))
	defer byDefault.Close()
	advice := celeryprobe.Redis(byDefault).Advise()
	require.Len(t, advice, 2)
	assert.Contains(t, advice[0], "set ContextTimeoutEnabled: true")
	assert.Contains(t, advice[1], "dials 5 times")
	wise := redis.NewClient(&redis.Options{ContextTimeoutEnabled: true, DialerRetries: 1})
	defer wise.Close()
	assert.Empty(t, celeryprobe.Redis(wise).Advise())
}

// Checks of both brokers fail with the same reasons, and are ok at the next check after the fault.
func TestNetworkFaults(t *testing.T) {
	brokers := map[string]struct {
		addr, url string
		opts      []celeryprobe.Option
	}{
		"RabbitMQ": {testserver.SharedRabbitMQ(t).Addr(), testserver.SharedRabbitMQ(t).URL(), []celeryprobe.Option{celeryprobe.Queues("faults")}},
		"Redis":    {testserver.SharedRedis(t).Addr(), testserver.SharedRedis(t).URL(), nil},
	}
	faults := []struct {
		name  string
		begin func(*testserver.Proxy)
		want  probes.Reason
	}{
		{"silent", (*testserver.Proxy).Silent, probes.ReasonTimeout},
		{"stalled", (*testserver.Proxy).Stall, probes.ReasonTimeout},
		{"reset in mid-answer", (*testserver.Proxy).ResetOnReply, probes.ReasonConnectionLost},
		{"refused", (*testserver.Proxy).Refuse, probes.ReasonConnectionRefused},
		{"byte by byte", func(p *testserver.Proxy) { p.Drip(100 * time.Millisecond) }, probes.ReasonTimeout},
	}
	for name, broker := range brokers {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			proxy := testserver.NewProxy(t, broker.addr)
			probe := newProbe(t, through(t, proxy, broker.url), broker.opts...)
			for _, fault := range faults {
				require.NotEqual(t, probes.Error, check(t, probe).Status, "before %s", fault.name)
				fault.begin(proxy)
				limit := 10 * time.Second // any other error than a timeout comes immediately if the machine is idle
				if fault.want == probes.ReasonTimeout {
					limit = 300 * time.Millisecond
				}
				for range 3 { // the first check has a kept connection, the others need a new one
					requireError(t, fault.want, within(t, probe, limit))
				}
				proxy.Pass()
				result := check(t, probe)
				require.NotEqual(t, probes.Error, result.Status, "after %s: %v", fault.name, result.Err)
			}
		})
	}
}

func TestUnreachable(t *testing.T) {
	for _, format := range []string{"amqp://app:app-secret@127.0.0.1:%d/", "redis://:app-secret@127.0.0.1:%d/0"} {
		probe := newProbe(t, fmt.Sprintf(format, testserver.FreePort(t)))
		requireError(t, probes.ReasonConnectionRefused, check(t, probe))
	}
	// A name with an empty label does not exist, and no name server is needed to know that.
	for _, raw := range []string{"amqp://name..invalid/", "redis://name..invalid/"} {
		requireError(t, probes.ReasonHostNotFound, check(t, newProbe(t, raw)))
	}
}
