package amqpprobe

import (
	"errors"
	"fmt"
	"sync"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/echo-probes/echohealth/probes"
)

// connWatch is the state that a connection has reported since a check first saw it. With amqp091-go's
// recovery a connection can be closed and restored repeatedly. After a recovery, earlier reports no longer
// count.
type connWatch struct {
	conn *amqp.Connection

	mu      sync.Mutex          // guards the fields below
	state   amqp.LifeCycleState // StateOpen after connecting and after a recovery
	blocked *amqp.Blocking      // nil unless the broker blocks the connection
	cause   *amqp.Error         // why the connection was lost, if the broker or the network ended it
	ended   bool                // the connection sends no more reports
}

// newConnWatch watches conn until it is closed and amqp091-go does not recover it.
//
// IsClosed does not suffice to know whether a connection is usable. During a recovery by amqp091-go, IsClosed
// returns false as soon as the dial has succeeded, before the broker has answered. A connection that is first
// seen during such a recovery looks open until the attempt ends.
func newConnWatch(conn *amqp.Connection) *connWatch {
	w := &connWatch{conn: conn}
	states := make(chan *amqp.StateChanged, 1)
	conn.NotifyStateChange(states)
	if conn.IsClosed() { // called after NotifyStateChange, so that no change is missed in between
		w.state = amqp.StateClosed
	}
	// When the connection has ended, amqp091-go closes these two Go channels and states. Version 1.16 panics if
	// it closes one of them while it waits to send on it. So each has a buffer, and follow empties it
	// immediately.
	blocks := conn.NotifyBlocked(make(chan amqp.Blocking, 16))
	closes := conn.NotifyClose(make(chan *amqp.Error, 1))
	go w.follow(states, blocks, closes)
	return w
}

// follow reads the connection's reports until it is closed and amqp091-go does not recover it. It must read
// them immediately. Otherwise amqp091-go waits up to 5 s for follow, and reads nothing for the application in
// that time.
func (w *connWatch) follow(
	states <-chan *amqp.StateChanged, blocks <-chan amqp.Blocking, closes <-chan *amqp.Error,
) {
	for states != nil || blocks != nil || closes != nil {
		select {
		case change, open := <-states:
			if !open {
				states = nil
				break
			}
			w.update(func() { w.state = change.To })
		case b, open := <-blocks:
			if !open {
				blocks = nil
				break
			}
			w.update(func() { w.setBlocked(b) })
		case cause, open := <-closes:
			if !open {
				closes = nil
				break
			}
			for len(blocks) > 0 {
				<-blocks // reports from before the connection was lost
			}
			w.update(func() { w.cause, w.blocked = cause, nil })
		}
	}
	w.update(func() { w.ended = true })
}

func (w *connWatch) update(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

// setBlocked records the start or the end of an alarm. A report that arrives after the connection was closed
// does not count.
func (w *connWatch) setBlocked(b amqp.Blocking) {
	w.blocked = nil
	if b.Active && !w.conn.IsClosed() {
		w.blocked = &b
	}
}

// err returns why the application can't publish over the connection, or nil if it can.
func (w *connWatch) err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.state == amqp.StateReconnecting:
		return w.lost("the application's connection is lost, and amqp091-go has not recovered it yet")
	case w.state != amqp.StateOpen, w.conn.IsClosed():
		return w.lost("the application's connection is closed")
	case w.blocked != nil:
		return probes.Fail(probes.ReasonBrokerBlocked,
			fmt.Errorf("the broker blocks the application's connection: %s", w.blocked.Reason))
	}
	return nil
}

func (w *connWatch) lost(text string) error {
	if w.cause == nil {
		return probes.Fail(probes.ReasonConnectionLost, errors.New(text))
	}
	return probes.Fail(probes.ReasonConnectionLost, fmt.Errorf("%s: %w", text, w.cause))
}

func (w *connWatch) finished() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ended
}
