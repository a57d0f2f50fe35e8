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
	// masterEvery is the time after which the Sentinels are asked again for the address of the master.
	masterEvery = 2 * time.Second

	// masterWait limits how long a call waits for the answer, and masterLimit how long the answer may take.
	masterWait  = 100 * time.Millisecond
	masterLimit = 10 * time.Second
)

// sentinel asks the Sentinels of a client from redis.NewFailoverClient or NewFailoverClusterClient, through
// functions of that client. For the first kind it knows the master's address: after a failover the old master
// may answer for ten more seconds, so a kept connection to it proves nothing. For both it knows why no
// Sentinel answered: with go-redis's defaults that takes 1.7 s, longer than most checks may.
type sentinel struct {
	question func(ctx context.Context) (net.Addr, error) // the address is nil for a cluster's client

	mu     sync.Mutex // guards the rest
	asked  time.Time  // of the last question
	asking bool
	master string // the address; "" before it is known
	failed error  // of the last question or dial; nil if it was answered
}

// newSentinel returns nil for a client of another kind. Only the dialer can ask. It also dials the master, so
// each question costs the master one connection, on which nothing is sent (with TLS the handshake).
func newSentinel(app *redis.Options) *sentinel {
	if app.Addr != "FailoverClient" { // the address that go-redis gives to no other client
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

// newClusterSentinel returns nil if the client asks the cluster's nodes for the slots.
func newClusterSentinel(app *redis.ClusterOptions) *sentinel {
	if app.ClusterSlots == nil {
		return nil
	}
	return &sentinel{question: func(ctx context.Context) (net.Addr, error) {
		_, err := app.ClusterSlots(ctx)
		return nil, err
	}}
}

// dialer returns the application's dialer for o. It records the address that o is connected to.
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

// slots returns the application's function for the slots, and records its error. The result returns when its
// context ends: go-redis's own function waits for a lock that another call may hold until it gives up.
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

// learn takes the answer to a question. A failed dial shows the master's address too. A failure because ctx
// has ended shows nothing.
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

// noSentinel reports whether no Sentinel answered. Then err holds the failed dials of the Sentinels.
func noSentinel(err error) bool { return strings.HasPrefix(err.Error(), "redis: all sentinels ") }

// cause returns err, or the last failure if o was not connected before its deadline. If that failure is too
// old, the next call has a new one.
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

// replaced reports whether the master is no longer the server that o is connected to. It asks if the last
// question is too old, and waits briefly for the answer. A later answer is for the next call.
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

// ask starts a question if one is due. The channel is closed when it is answered.
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

// askOnce ignores a panic of the application's function, as go-redis does.
func (s *sentinel) askOnce(parent context.Context) {
	defer func() { _ = recover() }()
	ctx, cancel := context.WithTimeout(parent, masterLimit)
	defer cancel()
	master, err := s.question(ctx)
	if err != nil && ctx.Err() != nil {
		err = nil // the last failure is not the cause any more
	}
	s.learn(ctx, master, err)
}
