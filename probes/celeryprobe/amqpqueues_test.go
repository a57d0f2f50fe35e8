package celeryprobe_test

import (
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/celeryprobe"
)

func unknownQueues(n int) slog.Attr { return slog.Int("unknown_queues", n) }

// A queue that is exclusive to another connection is no error. Only its figures are unknown.
func TestAMQPExclusiveQueue(t *testing.T) {
	noLeaks(t)
	rabbit := testserver.SharedRabbitMQ(t)
	ch := channel(t, rabbit)
	declare(t, ch, "mail", 3)
	consume(t, channel(t, rabbit), "mail", 1)
	_, err := ch.QueueDeclare("locked", false, true, true, false, nil)
	require.NoError(t, err)

	alone := newProbe(t, rabbit.URL(), celeryprobe.Queues("locked"))
	both := newProbe(t, rabbit.URL(), celeryprobe.Queues("mail", "locked"))
	for range 3 {
		requireOK(t, check(t, alone), unknownQueues(1))
		requireOK(t, check(t, both), append(queues(2, 1), unknownQueues(1))...)
	}
	three := newProbe(t, rabbit.URL(), celeryprobe.Queues("locked", "missing", "mail"))
	requireWarning(t, probes.ReasonNotFound, check(t, three), append(queues(2, 1), unknownQueues(1))...)
}

// manyQueues declares n queues, and returns their names.
func manyQueues(t *testing.T, rabbit *testserver.RabbitMQ, n int) []string {
	t.Helper()
	ch := channel(t, rabbit)
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("many-%d", i)
		_, err := ch.QueueDeclare(names[i], false, false, false, false, nil)
		require.NoError(t, err)
		t.Cleanup(func() { ch.QueueDelete(names[i], false, false, false) })
	}
	return names
}

// With a round trip of 100 ms, it takes at least 30 s to measure 300 queues one after the other.
func TestAMQPManyQueuesOverASlowNetwork(t *testing.T) {
	noLeaks(t)
	rabbit := testserver.SharedRabbitMQ(t)
	names := manyQueues(t, rabbit, 300)
	proxy := testserver.NewProxy(t, rabbit.Addr())
	probe := newProbe(t, through(t, proxy, rabbit.URL()), celeryprobe.Queues(append(names, "missing")...))
	requireWarning(t, probes.ReasonNotFound, check(t, probe), queues(0, 0)...)
	proxy.Delay(100 * time.Millisecond)
	start := time.Now()
	result := within(t, probe, time.Minute)
	took := time.Since(start)
	requireWarning(t, probes.ReasonNotFound, result, queues(0, 0)...)
	assert.Less(t, took, 15*time.Second)
	assert.Equal(t, 1, proxy.Accepted())
}

// The check does not fail if it may open only a few channels. It uses the channels that it may open.
func TestAMQPFewChannels(t *testing.T) {
	noLeaks(t)
	rabbit := testserver.SharedRabbitMQ(t)
	names := manyQueues(t, rabbit, 100)
	rabbit.Ctl(t, "add_user", "narrow", "narrow-secret")
	t.Cleanup(func() { rabbit.Ctl(t, "delete_user", "narrow") })
	rabbit.Ctl(t, "set_permissions", "narrow", "^$", "^$", "^$")
	rabbit.Ctl(t, "set_user_limits", "narrow", `{"max-channels": 1}`)
	u, err := url.Parse(rabbit.URL())
	require.NoError(t, err)
	u.User = url.UserPassword("narrow", "narrow-secret")
	limited := newProbe(t, u.String(), celeryprobe.Queues(names...))
	// After the broker has closed a connection, it takes a moment to notice that its channels are gone.
	eventually(t, limited, probes.Warning, probes.ReasonNoConsumers, queues(0, 0)...)
	for range 3 {
		requireWarning(t, probes.ReasonNoConsumers, check(t, limited), queues(0, 0)...)
	}

	// A missing queue costs its channel, and the probe opens another one.
	names = append([]string{"missing0", "missing1", "missing2"}, names...)
	for range 30 { // each time the goroutines begin in another order
		ofURL := newProbe(t, rabbit.URL()+"?channel_max=2", celeryprobe.Queues(names...))
		requireWarning(t, probes.ReasonNotFound, check(t, ofURL), queues(0, 0)...)
	}

	rabbit.Ctl(t, "set_user_limits", "narrow", `{"max-channels": 0}`)
	none := newProbe(t, u.String(), celeryprobe.Queues(names...))
	for range 10 { // RabbitMQ closes the connection, and each check must report why
		requireError(t, probes.ReasonTooManyConnections, check(t, none))
	}
}

// A limit of connections does not make the probe use only one channel. It measures many queues over several
// channels again when connections are allowed again.
func TestAMQPConnectionLimitKeepsTheChannels(t *testing.T) {
	noLeaks(t)
	rabbit := testserver.SharedRabbitMQ(t)
	names := manyQueues(t, rabbit, 100)
	rabbit.Ctl(t, "add_user", "few", "a-secret")
	t.Cleanup(func() { rabbit.Ctl(t, "delete_user", "few") })
	rabbit.Ctl(t, "set_permissions", "few", "^$", "^$", "^$")
	rabbit.Ctl(t, "set_user_limits", "few", `{"max-connections": 0}`)
	probe := newProbe(t, as(t, "few", rabbit.URL()), celeryprobe.Queues(names...))
	requireError(t, probes.ReasonTooManyConnections, check(t, probe))
	rabbit.Ctl(t, "set_user_limits", "few", `{"max-connections": -1}`)
	requireWarning(t, probes.ReasonNoConsumers, check(t, probe), queues(0, 0)...)
	channels := rabbit.Ctl(t, "list_channels", "user")
	assert.Equal(t, 8, strings.Count(channels, "few"))
}
