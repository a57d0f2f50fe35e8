package amqpconn_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/internal/amqpconn"
	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
)

// failover returns two proxies to one broker, and a Conn that has both in its failover list.
func failover(t *testing.T) (first, second *testserver.Proxy, conn *amqpconn.Conn) {
	t.Helper()
	noLeaks(t)
	rabbit := testserver.SharedRabbitMQ(t)
	first, second = testserver.NewProxy(t, rabbit.Addr()), testserver.NewProxy(t, rabbit.Addr())
	conn = open(t, through(t, first, rabbit.URL())+";"+through(t, second, rabbit.URL()))
	return first, second, conn
}

// usedBroker makes a call within d and returns the position of the broker that it used.
func usedBroker(t *testing.T, conn *amqpconn.Conn, d time.Duration) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	place := 0
	require.NoError(t, conn.Do(ctx, func(ctx context.Context, s *amqpconn.Session) error {
		place = s.Broker()
		return ask(ctx, s)
	}))
	return place
}

const ample = 20 * time.Second

func TestFailover(t *testing.T) {
	first, second, conn := failover(t)
	assert.Equal(t, 1, usedBroker(t, conn, ample))
	assert.Zero(t, second.Accepted())

	first.Refuse()
	first.Reset()
	assert.Equal(t, 2, usedBroker(t, conn, ample))
	first.Pass()
	for range 5 {
		assert.Equal(t, 2, usedBroker(t, conn, ample), "the kept connection stays")
	}
	assert.Equal(t, 1, second.Accepted())

	second.Refuse()
	second.Reset()
	assert.Equal(t, 1, usedBroker(t, conn, ample))

	first.Refuse()
	first.Reset()
	err := within(t, conn, ample)
	requireReason(t, probes.ReasonConnectionRefused, err)
	assert.ErrorContains(t, err, "broker 1 of 2: dial tcp "+first.Addr())
	assert.ErrorContains(t, err, "broker 2 of 2: dial tcp "+second.Addr())
}

// A broker that sends nothing must not use up the time for the others.
func TestFailoverFromASilentBroker(t *testing.T) {
	first, _, conn := failover(t)
	first.Silent()
	assert.Equal(t, 2, usedBroker(t, conn, 4*time.Second))
}

// If a kept connection did not answer in time, the next call must not wait for the same broker again.
func TestFailoverFromAFrozenBroker(t *testing.T) {
	first, _, conn := failover(t)
	assert.Equal(t, 1, usedBroker(t, conn, ample))
	first.Stall()
	requireReason(t, probes.ReasonTimeout, within(t, conn, 100*time.Millisecond))
	accepted := first.Accepted()
	assert.Equal(t, 2, usedBroker(t, conn, ample))
	assert.Equal(t, accepted, first.Accepted())
}

// Like Celery, the probe does not try the next broker if a broker refuses the login. It must wait the 3 s
// that RabbitMQ takes to refuse it.
func TestNoFailoverFromARefusedLogin(t *testing.T) {
	noLeaks(t)
	rabbit := testserver.SharedRabbitMQ(t)
	second := testserver.NewProxy(t, rabbit.Addr())
	for url, want := range map[string]probes.Reason{
		"amqp://app:wrong-secret@" + rabbit.Addr(): probes.ReasonAuthenticationFailed,
		rabbit.URL() + "missing":                   probes.ReasonNotFound,
	} {
		err := within(t, open(t, url+";"+through(t, second, rabbit.URL())), 5*time.Second)
		requireReason(t, want, err)
		assert.ErrorContains(t, err, "broker 1 of 2: ")
	}
	assert.Zero(t, second.Accepted())
}

// Try begins with the first broker, like a new connection of the application.
func TestTryTakesTheBrokersInTurn(t *testing.T) {
	noLeaks(t)
	rabbit := testserver.SharedRabbitMQ(t)
	refused := fmt.Sprintf("amqp://app:app-secret@127.0.0.1:%d/", testserver.FreePort(t))
	target, err := amqpconn.ParseURL(refused+";"+rabbit.URL(), nil)
	require.NoError(t, err)
	assert.NoError(t, target.Try(t.Context()))
	target, err = amqpconn.ParseURL(refused+";"+refused, nil)
	require.NoError(t, err)
	requireReason(t, probes.ReasonConnectionRefused, target.Try(t.Context()))
}

func TestNoListHasNoPlace(t *testing.T) {
	assert.Zero(t, usedBroker(t, open(t, testserver.SharedRabbitMQ(t).URL()), ample))
}

func TestSplitURLs(t *testing.T) {
	for raw, urls := range map[string][]string{
		"":                           {""},
		"amqp://a":                   {"amqp://a"},
		"amqp://a;amqps://b/v;amqp:": {"amqp://a", "amqps://b/v;amqp:"},
		"amqp://a;b":                 {"amqp://a", "amqp://b"},
		"amqp://a;b:5672":            {"amqp://a;b:5672"},
		"amqp://u:p;w@a/":            {"amqp://u:p;w@a/"},
		"redis://a;redis://b;":       {"redis://a", "redis://b;"},
		"amqp://u:p;w@a:1/v?x=1;b;c": {"amqp://u:p;w@a:1/v?x=1", "amqp://u:p;w@b:1/v?x=1", "amqp://u:p;w@c:1/v?x=1"},
		"amqp://u:p@a;amqps://b/v;c": {"amqp://u:p@a", "amqps://b/v", "amqp://u:p@c"},
		"amqp://[::1]/v;b":           {"amqp://[::1]/v", "amqp://b/v"},
		"amqp://[::1]:1;b":           {"amqp://[::1]:1", "amqp://b:1"},
		"sentinel://a;b":             {"sentinel://a;b"},
		"redis+socket:///a;b":        {"redis+socket:///a;b"},
		"a;b":                        {"a;b"},
	} {
		assert.Equal(t, urls, amqpconn.SplitURLs(raw), raw)
	}
}

func TestParseList(t *testing.T) {
	_, err := amqpconn.ParseURL("amqp://app:s3;cret@a/vh?heartbeat=5;pyamqp://b//;amqps://c", nil)
	assert.NoError(t, err)
	for raw, want := range map[string]string{
		"amqp://app:s3cret@a;amqp://b/?x=1": `broker URL "amqp://***@a;amqp://b/?***": broker 2 of 2: ` +
			`unknown option "x"`,
		"amqp://app:s3cret@a:5672;b:5672/": "it names several brokers: each must be a whole URL, " +
			"as in amqp://a;amqp://b, or a host name without a port",
		"amqp://a;amqp://b;":              "broker 2 of 2: it names several brokers",
		"amqp://a;redis://app:s3cret@b/0": "broker 2 of 2: its scheme must be one of amqp, amqps, pyamqp",
	} {
		_, err := amqpconn.ParseURL(raw, nil)
		require.Error(t, err, raw)
		assert.ErrorContains(t, err, want, raw)
		assert.False(t, strings.Contains(err.Error(), "cret"), err)
	}
}

func TestAdviceForAListIsGivenOnce(t *testing.T) {
	target, err := amqpconn.ParseURL("amqp://a?heartbeat=0;amqp://b?heartbeat=0", nil)
	require.NoError(t, err)
	assert.Len(t, target.Advise(), 1)
}

// A part of a password does not become a host, whose name would be looked up and logged.
func TestPasswordInTheQueryIsNotAHost(t *testing.T) {
	const raw = "redis://h/0?password=Sec;ret"
	assert.Equal(t, []string{raw}, amqpconn.SplitURLs(raw))
}
