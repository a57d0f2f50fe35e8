package amqpprobe_test

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/amqpprobe"
)

// The probe tries the brokers of a list in order, and the check shows the position of the broker in use.
func TestFailoverList(t *testing.T) {
	noLeaks(t)
	rabbit := testserver.SharedRabbitMQ(t)
	first, second := testserver.NewProxy(t, rabbit.Addr()), testserver.NewProxy(t, rabbit.Addr())
	probe := newProbe(t, proxied(t, first, rabbit.URL())+";"+proxied(t, second, rabbit.URL()))
	onBroker := func(place int) {
		t.Helper()
		assert.Equal(t, probes.Result{
			Status: probes.OK, Details: []slog.Attr{slog.Int("broker", place)},
		}, probe.Check(t.Context()))
	}
	onBroker(1)
	first.Refuse()
	onBroker(2)
	first.Pass()
	onBroker(2)
	second.Refuse()
	onBroker(1)
	first.Refuse()
	result := probe.Check(t.Context())
	requireError(t, probes.ReasonConnectionRefused, result)
	assert.Empty(t, result.Details)
}

func TestFailoverListOfWholeURLs(t *testing.T) {
	assert.NoError(t, amqpprobe.New("amqp://app:secret@a/orders;b").Validate(), "a host name alone, as in Celery")
	err := amqpprobe.New("amqp://app:secret@a;b:5672").Validate()
	require.ErrorContains(t, err, "each must be a whole URL, as in amqp://a;amqp://b")
	require.NotContains(t, err.Error(), "secret")
}
