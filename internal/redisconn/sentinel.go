package redisconn

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// masterEvery is the time between two questions for the master.
	masterEvery = 2 * time.Second

	// masterWait limits how long a call waits for the answer, and masterLimit how long the answer may take.
	masterWait  = 100 * time.Millisecond
	masterLimit = 10 * time.Second
)

// sentinel knows the master's address of a client from redis.NewFailoverClient. After a failover the old
// master may answer for ten more seconds, so a kept connection to it proves nothing. Only the application's
// dialer can ask the Sentinels. It also dials the master, so each question costs the master one connection,
// on which nothing is sent (with TLS the handshake).
type sentinel struct {
	dial func(ctx context.Context, network, addr string) (net.Conn, error)

	mu     sync.Mutex // guards the rest
	asked  time.Time  // of the last question
	asking bool
	master string // the address; "" before it is known
}

// newSentinel returns nil for a client of another kind.
func newSentinel(app *redis.Options) *sentinel {
	if app.Addr != "FailoverClient" { // the address that go-redis gives to no other client
		return nil
	}
	return &sentinel{dial: app.Dialer, asked: time.Now()}
}

// dialer is a dialer for o. It records where o is connected to.
func (s *sentinel) dialer(o *ownClient) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := s.dial(ctx, network, addr)
		if master := s.learn(ctx, conn, err); err == nil {
			o.server.Store(&master)
		}
		return conn, err
	}
}

// learn takes the master's address from the result of a dial. A failed dial tells it too: a failure of the
// question to the Sentinels is not a bare *net.OpError, unless ctx has ended.
func (s *sentinel) learn(ctx context.Context, conn net.Conn, err error) string {
	var addr net.Addr
	if err == nil {
		addr = conn.RemoteAddr()
	} else if op, ok := err.(*net.OpError); ok && op.Op == "dial" && ctx.Err() == nil {
		addr = op.Addr
	}
	if addr == nil {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.master = addr.String()
	return s.master
}

// replaced reports whether the master is no longer the server that o is connected to. It asks if the last
// question is too old, and waits briefly for the answer. A later answer is for the next call.
func (s *sentinel) replaced(ctx, conn context.Context, o *ownClient) bool {
	if done := s.ask(conn); done != nil {
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
	server := o.server.Load()
	s.mu.Lock()
	defer s.mu.Unlock()
	return server != nil && s.master != "" && *server != s.master
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
		s.dialOnce(parent)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.asking, s.asked = false, time.Now()
	}()
	return done
}

// dialOnce ignores a panic of the application's dialer, as go-redis does.
func (s *sentinel) dialOnce(parent context.Context) {
	defer func() { _ = recover() }()
	ctx, cancel := context.WithTimeout(parent, masterLimit)
	defer cancel()
	conn, err := s.dial(ctx, "tcp", "")
	s.learn(ctx, conn, err)
	if err == nil {
		_ = conn.Close() // nothing was sent
	}
}
