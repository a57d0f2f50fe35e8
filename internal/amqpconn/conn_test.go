package amqpconn_test

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"runtime"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/echo-probes/echohealth/internal/amqpconn"
	"github.com/echo-probes/echohealth/internal/leaktest"
	"github.com/echo-probes/echohealth/internal/reason"
	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
)

func TestMain(m *testing.M) { testserver.Main(m) }

// noLeaks checks at the end of the test that no goroutine is left. It must be called first, because cleanups
// run in reverse order.
func noLeaks(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { leaktest.Verify(t, before) })
}

// open returns a Conn to url. The Conn is closed at the end of the test.
func open(t *testing.T, url string) *amqpconn.Conn {
	t.Helper()
	target, err := amqpconn.ParseURL(url, nil)
	require.NoError(t, err)
	conn := amqpconn.New(target)
	t.Cleanup(func() { assert.NoError(t, conn.Close()) })
	return conn
}

// through returns the URL of a broker with the address of a proxy.
func through(t *testing.T, proxy *testserver.Proxy, brokerURL string) string {
	t.Helper()
	u, err := url.Parse(brokerURL)
	require.NoError(t, err)
	u.Host = proxy.Addr()
	return u.String()
}

func exchange(name string) func(context.Context, *amqpconn.Session) error {
	return func(_ context.Context, s *amqpconn.Session) error {
		ch, err := s.Channel()
		if err != nil {
			return err
		}
		return ch.ExchangeDeclarePassive(name, "direct", true, false, false, false, nil)
	}
}

var ask = exchange("amq.direct")

// within calls ask with a timeout of d and checks that it returns in time. It allows 8 s more for a busy
// machine; amqp091-go without Conn would take 15 s.
func within(t *testing.T, conn *amqpconn.Conn, d time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	start := time.Now()
	err := conn.Do(ctx, ask)
	assert.Less(t, time.Since(start), d+8*time.Second)
	return err
}

func requireReason(t *testing.T, want probes.Reason, err error) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, want, reason.Of(err), "%v", err)
	require.NotContains(t, err.Error(), "secret")
}

func TestOneConnectionForManyCalls(t *testing.T) {
	noLeaks(t)
	rabbit := testserver.SharedRabbitMQ(t)
	proxy := testserver.NewProxy(t, rabbit.Addr())
	conn := open(t, through(t, proxy, rabbit.URL()))
	for range 50 {
		require.NoError(t, conn.Do(t.Context(), ask))
	}
	assert.Equal(t, 1, proxy.Accepted())
	requireReason(t, probes.ReasonNotFound, conn.Do(t.Context(), exchange("amq.missing")))
	require.NoError(t, conn.Do(t.Context(), ask), "a refusal closes the channel, not the connection")
	assert.Equal(t, 1, proxy.Accepted())
}

// The limit of bytes to read is for one call. It must not end a connection after some hours of checks.
func TestEachCallMayReadAsMuch(t *testing.T) {
	noLeaks(t)
	conn := open(t, testserver.SharedRabbitMQ(t).URL())
	var session *amqpconn.Session
	var ch *amqp.Channel
	var queue amqp.Queue
	require.NoError(t, conn.Do(t.Context(), func(_ context.Context, s *amqpconn.Session) (err error) {
		session = s
		ch, err = s.NewChannel()
		require.NoError(t, err)
		queue, err = ch.QueueDeclare("", false, false, true, false, nil)
		require.NoError(t, err)
		require.NoError(t, ch.Confirm(false))
		message := amqp.Publishing{Body: make([]byte, 9<<20)}
		confirmed, err := ch.PublishWithDeferredConfirm("", queue.Name, true, false, message)
		require.NoError(t, err)
		require.True(t, confirmed.Wait())
		return nil
	}))
	for range 5 { // 45 MB in all; one call may read 32 MB
		require.NoError(t, conn.Do(t.Context(), func(_ context.Context, s *amqpconn.Session) error {
			require.Same(t, session, s)
			message, ok, err := ch.Get(queue.Name, false)
			require.True(t, ok, "%v", err)
			return message.Nack(false, true)
		}))
	}
}

func TestGoroutines(t *testing.T) {
	noLeaks(t)
	conn := open(t, testserver.SharedRabbitMQ(t).URL())
	before := runtime.NumGoroutine()
	require.NoError(t, conn.Do(t.Context(), ask))
	assert.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.LessOrEqual(c, runtime.NumGoroutine(), before+3, "with the counted connection")
	}, 20*time.Second, 10*time.Millisecond)
	require.NoError(t, conn.Close())
	assert.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.LessOrEqual(c, runtime.NumGoroutine(), before+1, "with the counted connection")
	}, 20*time.Second, 10*time.Millisecond)
}

func TestConnectionName(t *testing.T) {
	rabbit := testserver.SharedRabbitMQ(t)
	conn := open(t, rabbit.URL())
	require.NoError(t, conn.Do(t.Context(), ask))
	assert.Contains(t, rabbit.Ctl(t, "list_connections", "client_properties"), `{"connection_name","echohealth"}`)
}

func TestOneCallerAtATime(t *testing.T) {
	noLeaks(t)
	conn := open(t, testserver.SharedRabbitMQ(t).URL())
	var calls sync.WaitGroup
	for range 10 {
		calls.Go(func() { assert.NoError(t, conn.Do(t.Context(), ask)) })
	}
	calls.Wait()

	held, release := make(chan struct{}), make(chan struct{})
	calls.Go(func() {
		conn.Do(t.Context(), func(context.Context, *amqpconn.Session) error {
			close(held)
			<-release
			return nil
		})
	})
	<-held
	requireReason(t, probes.ReasonTimeout, within(t, conn, 20*time.Millisecond))
	close(release)
	calls.Wait()
	assert.NoError(t, conn.Do(t.Context(), ask))
}

func TestUnreachable(t *testing.T) {
	noLeaks(t)
	refused := open(t, fmt.Sprintf("amqp://app:app-secret@127.0.0.1:%d/", testserver.FreePort(t)))
	requireReason(t, probes.ReasonConnectionRefused, within(t, refused, 5*time.Second))

	// A name with an empty label does not exist, and no name server is needed to know that.
	unknown := open(t, "amqp://app:app-secret@name..invalid/")
	requireReason(t, probes.ReasonHostNotFound, within(t, unknown, 5*time.Second))
}

func TestLoginRefused(t *testing.T) {
	noLeaks(t)
	rabbit := testserver.SharedRabbitMQ(t)
	rabbit.Ctl(t, "add_vhost", "closed")
	rabbit.Ctl(t, "add_vhost", "full")
	rabbit.Ctl(t, "set_permissions", "--vhost", "full", "app", "^$", "^$", "^$")
	rabbit.Ctl(t, "set_vhost_limits", "--vhost", "full", `{"max-connections":0}`)
	tests := map[string]struct {
		url  string
		want probes.Reason
	}{
		"wrong password":      {"amqp://app:wrong-secret@" + rabbit.Addr() + "/", probes.ReasonAuthenticationFailed},
		"unknown user":        {"amqp://nobody:app-secret@" + rabbit.Addr() + "/", probes.ReasonAuthenticationFailed},
		"unknown vhost":       {rabbit.URL() + "missing", probes.ReasonNotFound},
		"vhost not permitted": {rabbit.URL() + "closed", probes.ReasonPermissionDenied},
		"connection limit":    {rabbit.URL() + "full", probes.ReasonTooManyConnections},
		"mechanism":           {rabbit.URL() + "?auth_mechanism=external", probes.ReasonMisconfigured},
		"tls to a plain port": {"amqps://app:app-secret@" + rabbit.Addr() + "/", probes.ReasonTLSError},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target, err := amqpconn.ParseURL(test.url, nil)
			require.NoError(t, err)
			conn := amqpconn.New(target)
			defer conn.Close()
			requireReason(t, test.want, within(t, conn, 10*time.Second))
		})
	}
}

// RabbitMQ answers wrong credentials only after 3 s. A call with a shorter timeout ends with a timeout.
func TestLoginTimeout(t *testing.T) {
	noLeaks(t)
	conn := open(t, "amqp://app:wrong-secret@"+testserver.SharedRabbitMQ(t).Addr()+"/")
	requireReason(t, probes.ReasonTimeout, within(t, conn, 300*time.Millisecond))

	limited := open(t, "amqp://app:wrong-secret@"+testserver.SharedRabbitMQ(t).Addr()+"/?connection_timeout=300")
	requireReason(t, probes.ReasonTimeout, within(t, limited, 2*time.Second))
}

func TestNotABroker(t *testing.T) {
	noLeaks(t)
	tests := map[string]struct {
		answer string
		want   probes.Reason
	}{
		"another protocol": {"HTTP/1.1 400 Bad Request\r\n\r\n", probes.ReasonMisconfigured},
		"TLS":              {"\x15\x03\x01\x00\x02\x02\x46\x00", probes.ReasonTLSError},
		"nothing":          {"", probes.ReasonConnectionLost},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			conn := open(t, "amqp://app:app-secret@"+answering(t, test.answer))
			requireReason(t, test.want, within(t, conn, 5*time.Second))
		})
	}
}

// answering starts a server that answers the first bytes of each connection with words, and then closes the
// connection.
func answering(t *testing.T, words string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conn.Read(make([]byte, 100))
			conn.Write([]byte(words))
			conn.Close()
		}
	})
	t.Cleanup(func() { listener.Close(); serving.Wait() })
	return listener.Addr().String()
}

func TestFrozenBroker(t *testing.T) {
	noLeaks(t)
	rabbit := testserver.NewRabbitMQ(t)
	kept, fresh := open(t, rabbit.URL()), open(t, rabbit.URL())
	require.NoError(t, kept.Do(t.Context(), ask))
	rabbit.Freeze(t)
	requireReason(t, probes.ReasonTimeout, within(t, kept, 100*time.Millisecond))
	requireReason(t, probes.ReasonTimeout, within(t, kept, 100*time.Millisecond))
	requireReason(t, probes.ReasonTimeout, within(t, fresh, 100*time.Millisecond))
	rabbit.Thaw(t)
	assert.NoError(t, within(t, kept, 5*time.Second))
	assert.NoError(t, within(t, fresh, 5*time.Second))
}

func TestRestartedBroker(t *testing.T) {
	noLeaks(t)
	rabbit := testserver.NewRabbitMQ(t)
	conn := open(t, rabbit.URL())
	for _, end := range []func(testing.TB){rabbit.Kill, rabbit.Stop} {
		require.NoError(t, within(t, conn, 5*time.Second))
		end(t)
		requireReason(t, probes.ReasonConnectionRefused, within(t, conn, 5*time.Second))
		rabbit.Start(t)
		require.NoError(t, within(t, conn, 5*time.Second))
	}
}

func TestLostConnectionIsReplacedInTheSameCall(t *testing.T) {
	noLeaks(t)
	rabbit := testserver.SharedRabbitMQ(t)
	proxy := testserver.NewProxy(t, rabbit.Addr())
	conn := open(t, through(t, proxy, rabbit.URL()))
	require.NoError(t, conn.Do(t.Context(), ask))
	for range 5 {
		proxy.Reset()
		require.NoError(t, conn.Do(t.Context(), ask))
	}
	assert.Equal(t, 6, proxy.Accepted())
}

func TestNetworkFaults(t *testing.T) {
	noLeaks(t)
	rabbit := testserver.SharedRabbitMQ(t)
	proxy := testserver.NewProxy(t, rabbit.Addr())
	conn := open(t, through(t, proxy, rabbit.URL()))
	faults := []struct {
		name  string
		begin func()
		want  probes.Reason
	}{
		{"silent", proxy.Silent, probes.ReasonTimeout},
		{"stalled", proxy.Stall, probes.ReasonTimeout},
		{"reset in mid-answer", proxy.ResetOnReply, probes.ReasonConnectionLost},
		{"refused", proxy.Refuse, probes.ReasonConnectionRefused},
		{"byte by byte", func() { proxy.Drip(50 * time.Millisecond) }, probes.ReasonTimeout},
	}
	for _, fault := range faults {
		require.NoError(t, within(t, conn, 5*time.Second), "before %s", fault.name)
		fault.begin()
		limit := 20 * time.Second // any other error than a timeout comes immediately if the machine is idle
		if fault.want == probes.ReasonTimeout {
			limit = 200 * time.Millisecond
		}
		for range 3 { // the first call uses the kept connection, the others have none
			requireReason(t, fault.want, within(t, conn, limit))
		}
		proxy.Pass()
		require.NoError(t, within(t, conn, 5*time.Second), "after %s", fault.name)
	}
}

// publish sends messages to an exchange without a queue, until the broker blocks the connection because of an
// alarm. One message may not suffice, because the connection may learn of the alarm only after it.
func publish(ctx context.Context, s *amqpconn.Session) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	ch, err := s.Channel()
	if err != nil {
		return err
	}
	for {
		if err := ch.PublishWithContext(ctx, "amq.fanout", "", false, false, amqp.Publishing{}); err != nil {
			return err
		}
		select {
		case b := <-s.Blocks():
			return s.SetBlocked(b)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// bounded is the limit for Close in these tests. Close needs at most 1 s, and Close of amqp091-go 14 s or
// more.
const bounded = 8 * time.Second

func TestMemoryAlarm(t *testing.T) {
	noLeaks(t)
	rabbit := testserver.NewRabbitMQ(t)
	silent, publishing, closing := open(t, rabbit.URL()), open(t, rabbit.URL()), open(t, rabbit.URL())
	rabbit.Ctl(t, "set_vm_memory_high_watermark", "absolute", "1")
	require.NoError(t, within(t, silent, 5*time.Second), "a connection that doesn't publish is answered")
	requireReason(t, probes.ReasonBrokerBlocked, publishing.Do(t.Context(), publish))
	requireReason(t, probes.ReasonBrokerBlocked, closing.Do(t.Context(), publish))
	for range 3 {
		// The Conn knows of the alarm and sends nothing to the broker. A call would time out.
		requireReason(t, probes.ReasonBrokerBlocked, within(t, publishing, 5*time.Second))
	}
	start := time.Now()
	require.NoError(t, closing.Close())
	assert.Less(t, time.Since(start), bounded)

	rabbit.Ctl(t, "set_vm_memory_high_watermark", "absolute", "1GB")
	assert.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.NoError(c, publishing.Do(t.Context(), ask))
	}, 10*time.Second, 10*time.Millisecond)
}

// Close must be fast if the client does not know yet that the connection is blocked, and if the broker is
// frozen.
func TestCloseIsBounded(t *testing.T) {
	noLeaks(t)
	rabbit := testserver.NewRabbitMQ(t)
	blocked, frozen := open(t, rabbit.URL()), open(t, rabbit.URL())
	require.NoError(t, frozen.Do(t.Context(), ask))
	require.NoError(t, blocked.Do(t.Context(), ask))
	rabbit.Ctl(t, "set_vm_memory_high_watermark", "absolute", "1")
	require.NoError(t, blocked.Do(t.Context(), func(ctx context.Context, s *amqpconn.Session) error {
		ch, err := s.Channel()
		if err != nil {
			return err
		}
		return ch.PublishWithContext(ctx, "amq.fanout", "", false, false, amqp.Publishing{})
	}))
	start := time.Now()
	require.NoError(t, blocked.Close())
	assert.Less(t, time.Since(start), bounded)

	rabbit.Freeze(t)
	start = time.Now()
	require.NoError(t, frozen.Close())
	assert.Less(t, time.Since(start), bounded)
	requireReason(t, probes.ReasonClientClosed, frozen.Do(t.Context(), ask))
	require.NoError(t, frozen.Close(), "twice is once")
}

func TestCloseEndsTheCallInFlight(t *testing.T) {
	noLeaks(t)
	proxy := testserver.NewProxy(t, testserver.SharedRabbitMQ(t).Addr())
	conn := open(t, through(t, proxy, testserver.SharedRabbitMQ(t).URL()))
	require.NoError(t, conn.Do(t.Context(), ask))
	proxy.Stall()
	asking := make(chan struct{})
	var call sync.WaitGroup
	call.Go(func() {
		err := conn.Do(t.Context(), func(ctx context.Context, s *amqpconn.Session) error {
			close(asking)
			return ask(ctx, s)
		})
		requireReason(t, probes.ReasonClientClosed, err)
	})
	<-asking
	start := time.Now()
	require.NoError(t, conn.Close())
	assert.Less(t, time.Since(start), bounded)
	call.Wait()
}

func BenchmarkDo(b *testing.B) {
	rabbit := testserver.SharedRabbitMQ(b)
	target, err := amqpconn.ParseURL(rabbit.URL(), nil)
	require.NoError(b, err)
	conn := amqpconn.New(target)
	defer conn.Close()
	b.ReportAllocs()
	for b.Loop() {
		if err := conn.Do(b.Context(), ask); err != nil {
			b.Fatal(err)
		}
	}
}
