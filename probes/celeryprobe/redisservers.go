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

// redisServer is one Redis of a failover list, or the only one.
type redisServer struct {
	conn  *redisconn.Conn
	db    int
	owned *redis.Client // made by the probe to follow Sentinel; nil without Sentinel
}

func (s redisServer) close() {
	s.conn.Close()
	if s.owned != nil {
		_ = s.owned.Close() // the only error is that it is already closed
	}
}

// do calls f with the server that answered last, and then with the next ones until one answers, as Celery
// does. Each server has its share of the time that ctx leaves.
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

// limited calls f in the share of the time that one of so many servers has.
func (s redisServer) limited(ctx context.Context, servers int, f redisCall) error {
	if deadline, ok := ctx.Deadline(); ok && servers > 1 {
		share, cancel := context.WithTimeout(ctx, time.Until(deadline)/time.Duration(servers))
		defer cancel()
		ctx = share
	}
	return s.conn.Do(ctx, f)
}

// goesOn reports whether the next server is to be tried. As in Celery, it is after any failure to connect, to
// log in or to select the database, but not after a refusal of a command.
func goesOn(err error) bool {
	switch reason.Of(err) {
	case probes.ReasonPermissionDenied, probes.ReasonMisconfigured, probes.ReasonClientClosed:
		return false
	}
	return true
}

// withReasonOf returns the errors with the reason of err.
func withReasonOf(err error, errs []error) error {
	if len(errs) == 1 {
		return errs[0]
	}
	return probes.Fail(reason.Of(err), errors.Join(errs...))
}

// current is the server that answered last.
func (b *redisBroker) current() redisServer { return b.servers[b.answering.Load()] }

// place returns the place in a failover list of the server that answered last, from 1, or 0 without a list.
func (b *redisBroker) place() int {
	if len(b.servers) == 1 {
		return 0
	}
	return int(b.answering.Load()) + 1
}
