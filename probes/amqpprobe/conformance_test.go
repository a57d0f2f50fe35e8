package amqpprobe_test

import (
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/amqpprobe"
	"github.com/echo-probes/echohealth/probes/probetest"
)

func TestConformance(t *testing.T) {
	rabbit := testserver.SharedRabbitMQ(t)
	proxy := testserver.NewProxy(t, rabbit.Addr())
	options := probetest.Options{
		Hang:    func(t *testing.T) { proxy.Stall(); t.Cleanup(proxy.Pass) },
		Secrets: []string{"app-secret"},
		Hidden:  []string{"127.0.0.1", "app"},
		Ignore:  []string{testserver.ProxyGoroutine},
	}
	t.Run("New", func(t *testing.T) {
		probetest.Run(t, func(*testing.T) probes.Probe {
			return amqpprobe.New("amqp://app:app-secret@" + proxy.Addr() + "/")
		}, options)
	})
	t.Run("New where the vhost is missing", func(t *testing.T) {
		failed := options
		failed.Want = probes.Error
		probetest.Run(t, func(*testing.T) probes.Probe {
			return amqpprobe.New("amqp://app:app-secret@" + proxy.Addr() + "/app")
		}, failed)
	})
	// There is no Hang, because a check does not use the network, and notices only a connection that amqp091-go
	// has closed.
	t.Run("FromConn", func(t *testing.T) {
		probetest.Run(t, func(t *testing.T) probes.Probe {
			conn := dial(t, rabbit.URL())
			return amqpprobe.FromConn(func() *amqp.Connection { return conn })
		}, probetest.Options{Secrets: []string{"app-secret"}, Hidden: []string{"127.0.0.1", "app"}})
	})
	t.Run("FromConn before the first connection", func(t *testing.T) {
		probetest.Run(t, func(*testing.T) probes.Probe {
			return amqpprobe.FromConn(func() *amqp.Connection { return nil })
		}, probetest.Options{Want: probes.Warning})
	})
}
