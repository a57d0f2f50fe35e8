package redisconn

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/echo-probes/echohealth/probes"
	"github.com/redis/go-redis/v9"
)

// handshake is a hook that records what a server says at login, and the error that it sends before it closes
// the connection. go-redis treats any error to HELLO as that of an old server and continues, so that only
// the closed connection would be left as the error.
type handshake struct{ node *atomic.Bool }

var rejections = []struct {
	reply  string
	reason probes.Reason
}{
	{"ERR max number of clients", probes.ReasonTooManyConnections},
	{"DENIED ", probes.ReasonPermissionDenied}, // protected mode
}

func (h handshake) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		hello, ok := cmd.(*redis.MapStringInterfaceCmd)
		if !ok || cmd.Name() != "hello" {
			return err
		}
		h.node.Store(err != nil || hello.Val()["mode"] != "standalone")
		if err == nil {
			return nil
		}
		for _, h := range rejections {
			if strings.HasPrefix(err.Error(), h.reply) {
				// Two layers, because go-redis removes the outer one. No %w for err, because go-redis would
				// treat it as a reply and continue.
				return fmt.Errorf("hello: %w", probes.Fail(h.reason, errors.New(err.Error())))
			}
		}
		return err
	}
}

func (handshake) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (handshake) DialHook(next redis.DialHook) redis.DialHook { return next }
