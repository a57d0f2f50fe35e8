package amqpconn

import (
	"context"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/echo-probes/echohealth/probes"
)

// Session is an open connection, lent to the function that Do calls, for no longer than that call.
type Session struct {
	conn    *amqp.Connection
	socket  *socket
	kept    *amqp.Channel      // nil or closed: to be opened
	blocks  chan amqp.Blocking // what the broker says of its alarms
	blocked error              // not nil while it blocks this connection
}

// maxAlarms is more than alarms come and go between two checks. More would stall the connection's reader.
const maxAlarms = 32

func newSession(conn *amqp.Connection, s *socket) *Session {
	return &Session{conn: conn, socket: s, blocks: conn.NotifyBlocked(make(chan amqp.Blocking, maxAlarms))}
}

// Channel returns the session's kept channel, a new one where a refusal has closed the last: a broker answers a call
// that it refuses by closing the channel. It is for calls that leave nothing behind on it.
func (s *Session) Channel() (*amqp.Channel, error) {
	if s.kept == nil || s.kept.IsClosed() {
		ch, err := s.conn.Channel()
		if err != nil {
			return nil, err
		}
		s.kept = ch
	}
	return s.kept, nil
}

// NewChannel opens a channel of the caller's own. It ends with the session.
func (s *Session) NewChannel() (*amqp.Channel, error) { return s.conn.Channel() }

// Blocks is where the broker says that it blocks this connection, or no longer does. Do reads what is left in it.
func (s *Session) Blocks() <-chan amqp.Blocking { return s.blocks }

// use calls f, and closes the connection when ctx ends, so that no call of f's outlasts it. It reports whether it did.
func (s *Session) use(ctx context.Context, f func(context.Context, *Session) error) (aborted bool, err error) {
	s.socket.left.Store(maxRead)
	unbind := context.AfterFunc(ctx, s.socket.abort)
	err = f(ctx, s)
	return !unbind(), err
}

// dead reports whether the session is of no more use.
func (s *Session) dead() bool { return s.conn.IsClosed() || len(s.blocks) == maxAlarms }

// readBlocks catches up with what the broker said of its alarms, and returns an error while it blocks the connection.
func (s *Session) readBlocks() error {
	for {
		select {
		case b, open := <-s.blocks:
			if !open {
				return nil // the connection is closed, as the next call finds out
			}
			_ = s.Heed(b)
		default:
			return s.blocked
		}
	}
}

// Heed takes note of what came over Blocks, and returns an error if it is that the broker blocks the connection. The
// broker answers nothing on it until the alarm is over.
func (s *Session) Heed(b amqp.Blocking) error {
	s.blocked = nil
	if b.Active {
		s.blocked = probes.Fail(probes.ReasonBrokerBlocked, fmt.Errorf("the broker blocks this connection: %s", b.Reason))
	}
	return s.blocked
}

// close says goodbye to the broker and returns within closeLimit. A connection that is blocked is not told: it would
// get no answer before the alarm is over.
func (s *Session) close() {
	if s.readBlocks() == nil {
		// The deadline alone does not do: each heartbeat from the broker moves it.
		limit := time.AfterFunc(closeLimit, s.socket.abort)
		defer limit.Stop()
		_ = s.conn.CloseDeadline(time.Now().Add(closeLimit))
	}
	s.socket.abort()
}

const closeLimit = time.Second
