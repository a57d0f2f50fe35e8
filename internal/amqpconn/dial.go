package amqpconn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/echo-probes/echohealth/internal/classify"
	"github.com/echo-probes/echohealth/probes"
)

// dial connects, logs in and opens the vhost, all of it before ctx ends. The connection has one life:
// amqp091-go's recovery stays off.
func (t *Target) dial(ctx context.Context) (*Session, error) {
	if t.timeout > 0 {
		limited, cancel := context.WithTimeout(ctx, t.timeout)
		defer cancel()
		ctx = limited
	}
	var socket *socket
	conn, err := amqp.DialConfig(t.url, amqp.Config{
		Heartbeat:       defaultHeartbeat, // the URL's own goes before it
		TLSClientConfig: t.tls.Clone(),    // amqp091-go sets its ServerName
		Properties:      amqp.Table{"product": "echohealth", "connection_name": "echohealth", "platform": "Go"},
		Dial: func(network, addr string) (net.Conn, error) {
			var err error
			if socket, err = connect(ctx, network, addr); err != nil {
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
	// amqp091-go leaves the socket open, and its reader running, after some failures.
	socket.abort()
	return nil, loginError(ctx, socket, err)
}

// Try makes a new connection, logs in, and closes it, which tells whether that is still possible. It returns
// when ctx ends at the latest, or a second after it has logged in. Its error has a reason wherever this
// package knows one.
func (t *Target) Try(ctx context.Context) error {
	session, err := t.dial(ctx)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, session.socket.abort)()
	session.close()
	return nil
}

// loginError names what amqp091-go says of a failed login. It reports every end of the connection while it waits for the
// answer to the credentials as wrong credentials, timeouts too, and the same for the vhost.
func loginError(ctx context.Context, s *socket, err error) error {
	end := s.end.Load()
	switch {
	case ctx.Err() != nil:
		return ended(ctx, err)
	case errors.Is(err, amqp.ErrCredentials) && end != nil && end.after >= silentClose:
		return probes.Fail(probes.ReasonAuthenticationFailed, err)
	case (errors.Is(err, amqp.ErrCredentials) || errors.Is(err, amqp.ErrVhost)) && end != nil:
		return probes.Fail(classify.Reason(end.err), fmt.Errorf("the connection ended during the login: %w", end.err))
	case serverCode(err) == amqp.AccessRefused:
		return probes.Fail(probes.ReasonAuthenticationFailed, err)
	case notAMQP(err) && s.first.Load() == tlsAlert:
		return probes.Fail(probes.ReasonTLSError, err)
	case notAMQP(err), errors.Is(err, amqp.ErrSASL):
		return probes.Fail(probes.ReasonMisconfigured, err)
	}
	return named(err)
}

const (
	// RabbitMQ closes the connection 3 s after it has got wrong credentials, without a word. What ends sooner has
	// another cause, such as a broker that is killed.
	silentClose = 2 * time.Second

	// The first byte of the alert with which a TLS server answers somebody who does not speak TLS.
	tlsAlert = 0x15
)

// socket is a connection's network part. It remembers what amqp091-go does not tell: how reading began and ended. And it bounds
// how much is read, since amqp091-go puts together messages of any size.
type socket struct {
	net.Conn
	since  time.Time
	left   atomic.Int64 // how many bytes may be read until the next call
	unbind func() bool  // from the context; false where it has ended
	first  atomic.Int32
	end    atomic.Pointer[readEnd]
}

type readEnd struct {
	err   error
	after time.Duration // since connecting
}

// connect dials, and binds the connection to ctx: when it ends the connection is closed.
func connect(ctx context.Context, network, addr string) (*socket, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	s := &socket{Conn: conn, since: time.Now()}
	s.left.Store(maxRead)
	s.first.Store(-1)
	s.unbind = context.AfterFunc(ctx, s.abort)
	return s, nil
}

// maxRead is how many bytes a call may read: what ten thousand Celery workers with a few queues each answer.
const maxRead = 32 << 20

var errTooMuch = fmt.Errorf("the broker sent more than %d MB in one call", maxRead>>20)

func (s *socket) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	if s.left.Add(-int64(n)) < 0 && err == nil {
		err = errTooMuch
	}
	if n > 0 && s.first.Load() < 0 {
		s.first.Store(int32(b[0]))
	}
	if err != nil {
		s.end.CompareAndSwap(nil, &readEnd{err, time.Since(s.since)})
	}
	return n, err
}

// abort ends every call that waits for the broker, in less than a millisecond and whatever the broker does. Nothing of
// amqp091-go's own does: its Close waits for the broker to answer.
func (s *socket) abort() { _ = s.Close() }
