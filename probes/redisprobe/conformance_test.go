package redisprobe_test

import (
	"testing"

	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/probetest"
	"github.com/echo-probes/echohealth/probes/redisprobe"
	"github.com/redis/go-redis/v9"
)

func TestConformance(t *testing.T) {
	server := testserver.NewRedis(t, "--requirepass", "app-secret")
	proxy := testserver.NewProxy(t, server.Addr())
	tests := map[string]struct {
		password string
		opts     []redisprobe.Option
		want     probes.Status
	}{
		"writing":                 {"app-secret", nil, probes.OK},
		"reading":                 {"app-secret", []redisprobe.Option{redisprobe.PingOnly()}, probes.OK},
		"with the wrong password": {"wrong-secret", nil, probes.Error},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			probetest.Run(t, func(t *testing.T) probes.Probe {
				return redisprobe.New(newClient(t, &redis.Options{Addr: proxy.Addr(), Password: test.password}), test.opts...)
			}, probetest.Options{
				Want:    test.want,
				Hang:    func(t *testing.T) { proxy.Stall(); t.Cleanup(proxy.Pass) },
				Secrets: []string{"secret"},
				Hidden:  []string{"127.0.0.1"},
				Ignore:  []string{testserver.ProxyGoroutine},
			})
		})
	}
}
