package amqpconn

import (
	"context"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/echo-probes/echohealth/probes"
)

// Session is an open connection. A function that Do calls may use the Session until it returns.
type Session struct {
	conn     *amqp.Connection
	socket   *socket
	broker   int                // the index in the target's list of brokers
	brokers  int                // the length of that list
	channels []*amqp.Channel    // kept for later calls; a nil or closed one is opened when needed
	blocks   chan amqp.Blocking // the broker's notifications of alarms
	blocked  error              // not nil while the broker blocks this connection
}

// maxAlarms is the capacity for the broker's notifications between two checks. If the channel were full,
// amqp091-go's reader would block. Therefore dead reports a session with a full channel as unusable.
const maxAlarms = 32

func newSession(conn *amqp.Connection, s *socket) *Session {
	return &Session{conn: conn, socket: s, blocks: conn.NotifyBlocked(make(chan amqp.Blocking, maxAlarms))}
}

// Channel returns the kept channel. It opens a new one if there is none, or if the broker has closed it,
// which is how a broker refuses a call. A caller must not change the channel's state, because later callers
// use the same channel.
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

// Broker returns the broker's position in a failover list, counted from 1. It returns 0 if there is only one
// broker.
func (s *Session) Broker() int {
	if s.brokers == 1 {
		return 0
	}
	return s.broker + 1
}

// NewChannel opens a channel that no other call uses. It is closed with the session.
func (s *Session) NewChannel() (*amqp.Channel, error) { return s.conn.Channel() }

// Blocks returns the broker's notifications that it blocks this connection or has unblocked it. A caller need
// not read them all: Do reads the remaining ones.
func (s *Session) Blocks() <-chan amqp.Blocking { return s.blocks }

// use calls f. When ctx ends, use closes the connection, so that f's calls return. It reports whether it
// closed the connection.
func (s *Session) use(ctx context.Context,
	f func(context.Context, *Session) error) (aborted bool, err error) {
	s.socket.Reset()
	unbind := context.AfterFunc(ctx, s.socket.abort)
	err = f(ctx, s)
	return !unbind(), err
}

// dead reports whether the session is unusable.
func (s *Session) dead() bool { return s.conn.IsClosed() || len(s.blocks) == maxAlarms }

// readBlocks reads the pending notifications. It returns an error if the broker blocks the connection.
func (s *Session) readBlocks() error {
	for {
		select {
		case b, open := <-s.blocks:
			if !open {
				return nil // the connection is closed, and the next call on it will fail
			}
			_ = s.SetBlocked(b)
		default:
			return s.blocked
		}
	}
}

// SetBlocked records a notification that was read from Blocks. It returns an error if the broker blocks the
// connection, because then no call gets an answer before the broker's alarm ends.
func (s *Session) SetBlocked(b amqp.Blocking) error {
	s.blocked = nil
	if b.Active {
		s.blocked = probes.Fail(probes.ReasonBrokerBlocked,
			fmt.Errorf("the broker blocks this connection: %s", b.Reason))
	}
	return s.blocked
}

// close closes the connection within closeLimit. If the broker blocks the connection, close does not use
// AMQP's close method, because the broker would answer only after the alarm.
func (s *Session) close() {
	if s.readBlocks() == nil {
		// The deadline is not enough, because each heartbeat from the broker moves it.
		limit := time.AfterFunc(closeLimit, s.socket.abort)
		defer limit.Stop()
		_ = s.conn.CloseDeadline(time.Now().Add(closeLimit))
	}
	s.socket.abort()
}

const closeLimit = time.Second
