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

// handshake is a hook of go-redis for the command HELLO at the login. It records the server's mode, and makes
// some error replies fatal. go-redis would take any error reply for that of an old server and continue. The
// error of the call would then only be that the server closed the connection.
type handshake struct{ node *atomic.Bool }

var rejections = []struct {
	reply  string
	reason probes.Reason
}{
	{"ERR max number of clients", probes.ReasonTooManyConnections},
	{"DENIED ", probes.ReasonPermissionDenied}, // the server runs in protected mode
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
				// The error is wrapped twice, because go-redis removes the outer layer. err itself is not wrapped,
				// because go-redis would recognize a reply and continue.
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
