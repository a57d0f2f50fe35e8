package amqpprobe_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/amqpprobe"
)

// often is how often the probes of these tests make a new connection.
const often = 100 * time.Millisecond

// keeping returns a probe that has a connection and often makes a new one.
func keeping(t *testing.T, url string, opts ...amqpprobe.Option) *amqpprobe.Probe {
	t.Helper()
	probe := amqpprobe.New(url, append(opts, amqpprobe.NewConnectionEvery(often))...)
	require.NoError(t, probe.Validate())
	t.Cleanup(func() { assert.NoError(t, probe.Close()) })
	requireOK(t, probe.Check(t.Context()))
	return probe
}

// In each case the broker refuses new connections but keeps the existing ones. The attempts leave nothing on
// the broker.
func TestNewConnections(t *testing.T) {
	noLeaks(t)
	rabbit := testserver.NewRabbitMQ(t)
	rabbit.Ctl(t, "add_vhost", "site")
	rabbit.Ctl(t, "add_user", "kept", "a-secret")
	rabbit.Ctl(t, "set_permissions", "-p", "site", "kept", "^$", "^$", "^$")
	probe := keeping(t, "amqp://kept:a-secret@"+rabbit.Addr()+"/site")
	const limit = `{"max-connections":1}`
	tests := []struct{ begin, end, want string }{ // begin and end are arguments of rabbitmqctl
		{"change_password kept another-secret", "change_password kept a-secret", "authentication_failed"},
		{"clear_permissions -p site kept", "set_permissions -p site kept ^$ ^$ ^$", "permission_denied"},
		{"set_vhost_limits -p site " + limit, "clear_vhost_limits -p site", "too_many_connections"},
		{"set_user_limits kept " + limit, "clear_user_limits kept all", "too_many_connections"},
	}
	for _, test := range tests {
		rabbit.Ctl(t, strings.Fields(test.begin)...)
		eventually(t, probe, probes.Warning, probes.Reason(test.want))
		requireWarning(t, probes.Reason(test.want), probe.Check(t.Context()))
		rabbit.Ctl(t, strings.Fields(test.end)...)
		eventually(t, probe, probes.OK, "")
	}
	require.NoError(t, probe.Close())
	assert.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.Empty(c, rabbit.Ctl(t, "list_connections", "user"))
	}, 2*time.Minute, 100*time.Millisecond)
}

func TestNewConnectionsAfterTheCertificateExpires(t *testing.T) {
	noLeaks(t)
	rabbit := testserver.SharedRabbitMQ(t)
	front := newTLSFront(t, rabbit.Addr())
	probe := keeping(t, "amqps://app:app-secret@"+front.addr+"/", amqpprobe.TLSConfig(front.trusted()))
	front.expire(true)
	eventually(t, probe, probes.Warning, probes.ReasonTLSError)
	front.expire(false)
	eventually(t, probe, probes.OK, "")
}

func TestNewConnectionsWithoutTheHostName(t *testing.T) {
	noLeaks(t)
	rabbit := testserver.SharedRabbitMQ(t)
	probe := keeping(t, fmt.Sprintf("amqp://app:app-secret@rabbit.test.:%d/", rabbit.Port()))
	names.gone.Store(true)
	eventually(t, probe, probes.Warning, probes.ReasonHostNotFound)
	names.gone.Store(false)
	eventually(t, probe, probes.OK, "")
}

// An attempt without an answer delays no check. It ends with the probe, or when the check itself fails.
func TestNewConnectionsThatHang(t *testing.T) {
	noLeaks(t)
	rabbit := testserver.SharedRabbitMQ(t)
	proxy, silent := testserver.NewProxy(t, rabbit.Addr()), testserver.NewProxy(t, rabbit.Addr())
	silent.Silent()
	ends := map[string]func(*amqpprobe.Probe){
		"with the probe": func(probe *amqpprobe.Probe) { require.NoError(t, probe.Close()) },
		"when the check fails": func(probe *amqpprobe.Probe) {
			proxy.Refuse()
			requireError(t, probes.ReasonConnectionRefused, within(t, probe, 5*time.Second))
			proxy.Pass()
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			probe := keeping(t, proxied(t, proxy, rabbit.URL()))
			proxy.Redirect(silent.Addr())
			require.Eventually(t, func() bool {
				requireOK(t, within(t, probe, 5*time.Second))
				return silent.Open() == 1
			}, 20*time.Second, time.Millisecond)
			start := time.Now()
			end(probe)
			assert.Eventually(t, func() bool { return silent.Open() == 0 }, 10*time.Second, time.Millisecond)
			assert.Less(t, time.Since(start), 8*time.Second, "an attempt takes 10 s")
			proxy.Redirect(rabbit.Addr())
		})
	}
}
