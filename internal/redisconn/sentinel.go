package redisconn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/echo-probes/echohealth/probes"
	"github.com/redis/go-redis/v9"
)

const (
	// masterEvery is the time after which the Sentinels are asked for the master's address again.
	masterEvery = 2 * time.Second

	// masterWait limits how long a call waits for the Sentinels' answer. masterLimit limits how long the answer
	// may take.
	masterWait  = 100 * time.Millisecond
	masterLimit = 10 * time.Second
)

// sentinel asks the Sentinels of a client from redis.NewFailoverClient or redis.NewFailoverClusterClient. It
// calls the client's own dialer or its function ClusterSlots. For a NewFailoverClient it finds out the
// master's address, because after a failover a kept connection to the old master can work for ten more
// seconds. For both it records why no Sentinel answered, because go-redis's defaults take 1.7 s for this
// error, which is longer than the timeout of most checks.
type sentinel struct {
	question func(ctx context.Context) (net.Addr, error) // asks once; a cluster's client has no address

	mu     sync.Mutex // guards the fields below
	asked  time.Time  // when the last question ended
	asking bool
	master string // the master's address; "" if not yet known
	failed error  // the error of the last question or dial; nil if it succeeded
}

// newSentinel returns nil if the client does not use Sentinel. Only the client's dialer can ask the
// Sentinels, and it also dials the master. So each question makes one connection to the master, on which
// nothing is sent except the handshake of TLS.
func newSentinel(app *redis.Options) *sentinel {
	if app.Addr != "FailoverClient" { // go-redis gives only failover clients this address
		return nil
	}
	return &sentinel{question: func(ctx context.Context) (net.Addr, error) {
		conn, err := app.Dialer(ctx, "tcp", app.Addr)
		if err != nil {
			return nil, err
		}
		defer conn.Close()
		return conn.RemoteAddr(), nil
	}}
}

// newClusterSentinel returns nil if the client does not use Sentinel: its ClusterSlots is not set, and it
// asks the cluster's nodes.
func newClusterSentinel(app *redis.ClusterOptions) *sentinel {
	if app.ClusterSlots == nil {
		return nil
	}
	return &sentinel{question: func(ctx context.Context) (net.Addr, error) {
		_, err := app.ClusterSlots(ctx)
		return nil, err
	}}
}

// dialer returns a function that calls the application's dialer and records the address that o is connected
// to.
func (s *sentinel) dialer(o *ownClient,
	app *redis.Options) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := app.Dialer(ctx, network, addr)
		if err != nil {
			s.learn(ctx, nil, err)
			return nil, err
		}
		if server := conn.RemoteAddr(); server != nil {
			text := server.String()
			o.server.Store(&text)
		}
		s.learn(ctx, conn.RemoteAddr(), nil)
		return conn, nil
	}
}

// slots returns a function that calls the application's ClusterSlots and records its error. The function
// returns when its context ends. ClusterSlots itself would not, because it waits for a lock that another call
// can hold longer.
func (s *sentinel) slots(app *redis.ClusterOptions) func(context.Context) ([]redis.ClusterSlot, error) {
	return func(ctx context.Context) ([]redis.ClusterSlot, error) {
		done := make(chan struct{})
		var answer []redis.ClusterSlot
		var failure error
		go func() {
			defer close(done)
			defer func() {
				if v := recover(); v != nil {
					failure = probes.Fail(probes.ReasonPanic, fmt.Errorf("panic: %v", v))
				}
			}()
			answer, failure = app.ClusterSlots(ctx)
			s.learn(ctx, nil, failure)
		}()
		select {
		case <-done:
			return answer, failure
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// learn records the result of a question or a dial. The error of a failed dial has the master's address too.
// A failure after the end of ctx is not recorded.
func (s *sentinel) learn(ctx context.Context, master net.Addr, err error) {
	if err != nil && ctx.Err() != nil {
		return
	}
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" && !noSentinel(err) {
		master = dial.Addr
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = err
	if master != nil {
		s.master = master.String()
	}
}

// noSentinel reports whether err means that no Sentinel answered. The failed dials in err are then those of
// the Sentinels.
func noSentinel(err error) bool { return strings.HasPrefix(err.Error(), "redis: all sentinels ") }

// cause returns err, or the error of the last question if o was not connected before the deadline. It also
// starts a question if one is due. The next call gets the new error.
func (s *sentinel) cause(parent context.Context, o *ownClient, err error) error {
	if s == nil || o.server.Load() != nil || !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	s.ask(parent)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil {
		return s.failed
	}
	return err
}

// replaced reports whether o is connected to a server that is not the master any more. If a question is due,
// replaced starts it and waits for the answer, but only briefly. An answer that comes later is used by the
// next call.
func (s *sentinel) replaced(ctx, parent context.Context, o *ownClient) bool {
	server := o.server.Load()
	if s == nil || server == nil {
		return false
	}
	if done := s.ask(parent); done != nil {
		wait := masterWait
		if deadline, ok := ctx.Deadline(); ok {
			wait = min(wait, time.Until(deadline)/4)
		}
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-done:
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return *server != s.master
}

// ask starts a question if one is due. It then returns a channel that is closed when the question has ended.
func (s *sentinel) ask(parent context.Context) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asking || time.Since(s.asked) < masterEvery {
		return nil
	}
	s.asking = true
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.askOnce(parent)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.asking, s.asked = false, time.Now()
	}()
	return done
}

// askOnce asks one question. It ignores a panic of the application's function, as go-redis does.
func (s *sentinel) askOnce(parent context.Context) {
	defer func() { _ = recover() }()
	ctx, cancel := context.WithTimeout(parent, masterLimit)
	defer cancel()
	master, err := s.question(ctx)
	if err != nil && ctx.Err() != nil {
		err = nil // the question got no answer, and an older error may not be the cause any more
	}
	s.learn(ctx, master, err)
}
