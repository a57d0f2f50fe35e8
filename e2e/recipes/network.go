package recipes

import (
	"context"
	"net"

	"github.com/echo-probes/echohealth/probes"
)

func tcpProbe(address string) probes.Func {
	return func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	}
}

func dnsProbe(resolver *net.Resolver, name string) probes.Func {
	return func(ctx context.Context) error {
		_, err := resolver.LookupHost(ctx, name)
		return err
	}
}
