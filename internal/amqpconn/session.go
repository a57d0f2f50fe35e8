package amqpconn

import (
	"context"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/echo-probes/echohealth/probes"
)

// Session is an open connection. The function that Do calls may use it until it returns.
type Session struct {
	conn     *amqp.Connection
	socket   *socket
	broker   int                // index in the target's list of brokers
	brokers  int                // length of the list
	channels []*amqp.Channel    // kept; nil or closed: must be opened
	blocks   chan amqp.Blocking // the broker's notifications of alarms
	blocked  error              // not nil while the broker blocks this connection
}

// maxAlarms is more than the number of alarm notifications between two checks. With more of them the
// connection's reader would block.
const maxAlarms = 32

func newSession(conn *amqp.Connection, s *socket) *Session {
	return &Session{conn: conn, socket: s, blocks: conn.NotifyBlocked(make(chan amqp.Blocking, maxAlarms))}
}

// Channel returns the session's kept channel, or a new one if a refusal has closed the last: a broker
// refuses a call by closing its channel. Use it for calls that leave nothing behind on the channel.
func (s *Session) Channel() (*amqp.Channel, error) {
	s.makeRoom(1)
	return s.channel(0)
}

func (s *Session) makeRoom(channels int) {
	if missing := channels - len(s.channels); missing > 0 {
		s.channels = append(s.channels, make([]*amqp.Channel, missing)...)
	}
}

func (s *Session) channel(i int) (*amqp.Channel, error) {
	if s.channels[i] == nil || s.channels[i].IsClosed() {
		ch, err := s.conn.Channel()
		if err != nil {
			return nil, err
		}
		s.channels[i] = ch
	}
	return s.channels[i], nil
}

// Broker returns the broker's place in a failover list, from 1, or 0 if there is no list.
func (s *Session) Broker() int {
	if s.brokers == 1 {
		return 0
	}
	return s.broker + 1
}

// NewChannel opens a separate channel. It ends with the session.
func (s *Session) NewChannel() (*amqp.Channel, error) { return s.conn.Channel() }

// Blocks returns the broker's notifications that it blocks this connection or no longer does. Do reads those
// that are left.
func (s *Session) Blocks() <-chan amqp.Blocking { return s.blocks }

// use calls f, and closes the connection when ctx ends, so that no call of f outlasts it. It reports whether
// it did.
func (s *Session) use(ctx context.Context,
	f func(context.Context, *Session) error) (aborted bool, err error) {
	s.socket.Reset()
	unbind := context.AfterFunc(ctx, s.socket.abort)
	err = f(ctx, s)
	return !unbind(), err
}

// dead reports whether the session is unusable.
func (s *Session) dead() bool { return s.conn.IsClosed() || len(s.blocks) == maxAlarms }

// readBlocks reads the pending notifications, and returns an error while the broker blocks the connection.
func (s *Session) readBlocks() error {
	for {
		select {
		case b, open := <-s.blocks:
			if !open {
				return nil // the connection is closed, as the next call finds out
			}
			_ = s.SetBlocked(b)
		default:
			return s.blocked
		}
	}
}

// SetBlocked records a notification from Blocks, and returns an error if the broker blocks the connection.
// The broker answers nothing on it until the alarm is over.
func (s *Session) SetBlocked(b amqp.Blocking) error {
	s.blocked = nil
	if b.Active {
		s.blocked = probes.Fail(probes.ReasonBrokerBlocked,
			fmt.Errorf("the broker blocks this connection: %s", b.Reason))
	}
	return s.blocked
}

// close closes the connection within closeLimit. It does not send a close to a broker that blocks the
// connection, because the answer would come only after the alarm.
func (s *Session) close() {
	if s.readBlocks() == nil {
		// The deadline alone does not suffice, because each heartbeat from the broker moves it.
		limit := time.AfterFunc(closeLimit, s.socket.abort)
		defer limit.Stop()
		_ = s.conn.CloseDeadline(time.Now().Add(closeLimit))
	}
	s.socket.abort()
}

const closeLimit = time.Second
