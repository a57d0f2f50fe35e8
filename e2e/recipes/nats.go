package recipes

import (
	"context"
	"errors"

	"github.com/echo-probes/echohealth/probes"
	"github.com/nats-io/nats.go"
)

func natsProbe(conn *nats.Conn) probes.Func {
	return func(ctx context.Context) error {
		err := conn.LastError()
		switch {
		case conn.IsConnected():
			return conn.FlushWithContext(ctx) // a PING and its PONG
		case errors.Is(err, nats.ErrAuthorization):
			return probes.Fail(probes.ReasonAuthenticationFailed, err)
		case conn.IsClosed():
			return probes.Fail(probes.ReasonClientClosed, err)
		}
		return probes.Fail(probes.ReasonConnectionLost, err) // the client reconnects by itself
	}
}
