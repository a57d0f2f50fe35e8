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

// handshake is a hook that keeps what a server says of itself, and what it says before it hangs up. go-redis takes any
// error that answers its HELLO for an old server's and goes on, so that only the broken connection would be left.
type handshake struct{ node *atomic.Bool }

var hangups = []struct {
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
		if err == nil {
			h.node.Store(hello.Val()["mode"] == "cluster")
			return nil
		}
		for _, h := range hangups {
			if strings.HasPrefix(err.Error(), h.reply) {
				// Two layers: go-redis takes the outer one off. No %w: nor may it be taken for a reply to go on from.
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
