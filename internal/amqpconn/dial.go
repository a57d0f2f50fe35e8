package amqpconn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/echo-probes/echohealth/internal/limitedconn"
	"github.com/echo-probes/echohealth/internal/reason"
	"github.com/echo-probes/echohealth/probes"
)

// dial connects to b, logs in and opens the vhost. It ends when ctx ends, or when the broker has sent nothing
// for the duration silence. A silence of 0 is no limit. amqp091-go's option to restore lost connections is
// off.
func (b *broker) dial(ctx context.Context, silence time.Duration) (*Session, error) {
	if b.timeout > 0 {
		limited, cancel := context.WithTimeout(ctx, b.timeout)
		defer cancel()
		ctx = limited
	}
	ctx, heard, cancel := withSilenceLimit(ctx, silence)
	defer cancel()
	var socket *socket
	conn, err := amqp.DialConfig(b.url, amqp.Config{
		Heartbeat:       defaultHeartbeat, // only if the URL does not set it
		TLSClientConfig: b.tls.Clone(),    // a copy, because amqp091-go sets its ServerName
		Properties:      amqp.Table{"product": "echohealth", "connection_name": "echohealth", "platform": "Go"},
		Dial: func(network, addr string) (net.Conn, error) {
			var err error
			if socket, err = connect(ctx, network, addr, heard); err != nil {
				return nil, err
			}
			return socket, nil
		},
	})
	if socket == nil {
		return nil, err
	}
	aborted := !socket.unbind()
	if err == nil && !aborted {
		return newSession(conn, socket), nil
	}
	// After some failures amqp091-go leaves the socket open and a goroutine reading from it.
	socket.abort()
	return nil, loginError(ctx, socket, err)
}

// withSilenceLimit returns a context that ends after d with a timeout, unless heard is called earlier. A d of
// 0 is no limit.
func withSilenceLimit(
	ctx context.Context, d time.Duration,
) (limited context.Context, heard func(), cancel func()) {
	if d == 0 {
		return ctx, func() {}, func() {}
	}
	limited, end := context.WithCancelCause(ctx)
	timer := time.AfterFunc(d, func() {
		end(fmt.Errorf("no answer for %s, and other brokers are to be tried: %w",
			d.Round(time.Millisecond), context.DeadlineExceeded))
	})
	return limited, func() { timer.Stop() }, func() { timer.Stop(); end(nil) }
}

// loginError returns the error of a failed login with its reason. It does not rely on the type of err only:
// during the login amqp091-go reports every end of the connection, even a timeout, as wrong credentials or as
// a wrong vhost.
func loginError(ctx context.Context, s *socket, err error) error {
	end := s.end.Load()
	switch {
	case ctx.Err() != nil:
		return contextError(ctx, err)
	case errors.Is(err, amqp.ErrCredentials) && end != nil && end.after >= silentClose:
		return probes.Fail(probes.ReasonAuthenticationFailed, err)
	case (errors.Is(err, amqp.ErrCredentials) || errors.Is(err, amqp.ErrVhost)) && end != nil:
		return probes.Fail(reason.Of(end.err),
			fmt.Errorf("the connection ended during the login: %w", end.err))
	case serverCode(err) == amqp.AccessRefused:
		return probes.Fail(probes.ReasonAuthenticationFailed, err)
	case notAMQP(err) && s.first.Load() == tlsAlert:
		return probes.Fail(probes.ReasonTLSError, err)
	case notAMQP(err), errors.Is(err, amqp.ErrSASL):
		return probes.Fail(probes.ReasonMisconfigured, err)
	}
	return withReason(err)
}

const (
	// silentClose distinguishes wrong credentials from other causes: RabbitMQ closes a connection with wrong
	// credentials after 3 s and without an error. A connection that ends earlier has another cause, such as a
	// crash of the broker.
	silentClose = 2 * time.Second

	// tlsAlert is the first byte that a TLS server sends to a client that does not use TLS.
	tlsAlert = 0x15
)

// socket is the network connection. It records the first byte that arrives, and the first error of Read with
// its time, because amqp091-go does not report them.
type socket struct {
	*limitedconn.Conn
	since  time.Time
	unbind func() bool  // stops closing the socket when the context ends; false if that has happened
	heard  func()       // called at the first byte
	first  atomic.Int32 // the first byte that arrived, -1 before
	end    atomic.Pointer[readEnd]
}

type readEnd struct {
	err   error
	after time.Duration // since connecting
}

// connect connects to addr. When ctx ends, the connection is closed. heard is called when the first byte
// arrives.
func connect(ctx context.Context, network, addr string, heard func()) (*socket, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	s := &socket{Conn: limitedconn.New(conn), since: time.Now(), heard: heard}
	s.first.Store(-1)
	s.unbind = context.AfterFunc(ctx, s.abort)
	return s, nil
}

func (s *socket) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	if n > 0 && s.first.Load() < 0 {
		s.first.Store(int32(b[0]))
		s.heard()
	}
	if err != nil {
		s.end.CompareAndSwap(nil, &readEnd{err, time.Since(s.since)})
	}
	return n, err
}

// abort makes every call that waits for the broker return within a millisecond. amqp091-go's own Close would
// wait for the broker's answer.
func (s *socket) abort() { _ = s.Close() }
