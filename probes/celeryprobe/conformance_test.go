package celeryprobe_test

import (
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/celeryprobe"
	"github.com/echo-probes/echohealth/probes/probetest"
)

// The check is a warning because no worker answers the ping.
func TestConformance(t *testing.T) {
	rabbit, server := testserver.SharedRabbitMQ(t), testserver.NewRedis(t, "--requirepass", "app-secret")
	ch := channel(t, rabbit)
	declare(t, ch, "conforming", 0)
	consume(t, ch, "conforming", 1)
	brokers := map[string]struct {
		proxy *testserver.Proxy
		url   string
	}{
		"RabbitMQ": {testserver.NewProxy(t, rabbit.Addr()), rabbit.URL()},
		"Redis":    {testserver.NewProxy(t, server.Addr()), server.URL()},
	}
	for name, broker := range brokers {
		through := through(t, broker.proxy, broker.url)
		options := probetest.Options{
			Hang:    func(t *testing.T) { broker.proxy.Stall(); t.Cleanup(broker.proxy.Pass) },
			Secrets: []string{"app-secret"},
			Hidden:  []string{"127.0.0.1"},
			Ignore:  []string{testserver.ProxyGoroutine},
		}
		t.Run(name, func(t *testing.T) {
			probetest.Run(t, func(*testing.T) probes.Probe { return celeryprobe.New(through, celeryprobe.Queues("conforming")) }, options)
		})
		t.Run(name+" with a ping", func(t *testing.T) {
			warned := options
			warned.Want = probes.Warning
			probetest.Run(t, func(*testing.T) probes.Probe {
				return celeryprobe.New(through, celeryprobe.Queues("conforming"), celeryprobe.PingWorkers(1))
			}, warned)
		})
	}
	t.Run("the application's Redis", func(t *testing.T) {
		parsed, err := redis.ParseURL(server.URL())
		require.NoError(t, err)
		probetest.Run(t, func(t *testing.T) probes.Probe {
			client := redis.NewClient(parsed)
			t.Cleanup(func() { client.Close() })
			return celeryprobe.Redis(client)
		}, probetest.Options{Secrets: []string{"app-secret"}, Hidden: []string{"127.0.0.1"}})
	})
}
