package celeryprobe

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/echo-probes/echohealth/internal/reason"
	"github.com/echo-probes/echohealth/internal/redisconn"
	"github.com/echo-probes/echohealth/probes"
)

// redisServer is one Redis server of a failover list, or the only one.
type redisServer struct {
	conn  *redisconn.Conn
	db    int
	owned *redis.Client // client that the probe made to follow Sentinel; nil without Sentinel
}

func (s redisServer) close() {
	s.conn.Close()
	if s.owned != nil {
		_ = s.owned.Close() // fails only if it is already closed
	}
}

// do calls f with the server that answered last. As in Celery, if that server fails, do calls f with the next
// ones until one answers. The servers that are left share the time until the end of ctx.
func (b *redisBroker) do(ctx context.Context, f redisCall) error {
	n := len(b.servers)
	first := int(b.answering.Load())
	var errs []error
	for tried := range n {
		i := (first + tried) % n
		err := b.servers[i].limited(ctx, n-tried, f)
		if err == nil {
			b.answering.Store(int32(i))
			return nil
		}
		if n > 1 {
			err = fmt.Errorf("broker %d of %d: %w", i+1, n, err)
		}
		errs = append(errs, err)
		if ctx.Err() != nil || !goesOn(err) {
			return withReasonOf(err, errs)
		}
	}
	return withReasonOf(errs[0], errs)
}

// limited calls f in an equal share of the time until the end of ctx. servers is the number of shares.
func (s redisServer) limited(ctx context.Context, servers int, f redisCall) error {
	if deadline, ok := ctx.Deadline(); ok && servers > 1 {
		share, cancel := context.WithTimeout(ctx, time.Until(deadline)/time.Duration(servers))
		defer cancel()
		ctx = share
	}
	return s.conn.Do(ctx, f)
}

// goesOn reports whether do tries the next server after err. As in Celery, it does so after any failure to
// connect, to log in or to select the database, but not after the refusal of a command.
func goesOn(err error) bool {
	switch reason.Of(err) {
	case probes.ReasonPermissionDenied, probes.ReasonMisconfigured, probes.ReasonClientClosed:
		return false
	}
	return true
}

// withReasonOf joins errs and gives them the reason of err.
func withReasonOf(err error, errs []error) error {
	if len(errs) == 1 {
		return errs[0]
	}
	return probes.Fail(reason.Of(err), errors.Join(errs...))
}

// current returns the server that answered last.
func (b *redisBroker) current() redisServer { return b.servers[b.answering.Load()] }

// place returns the position in a failover list of the server that answered last, beginning with 1. It
// returns 0 if there is no list.
func (b *redisBroker) place() int {
	if len(b.servers) == 1 {
		return 0
	}
	return int(b.answering.Load()) + 1
}
