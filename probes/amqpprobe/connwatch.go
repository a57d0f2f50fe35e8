package amqpprobe

import (
	"errors"
	"fmt"
	"sync"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/echo-probes/echohealth/probes"
)

// watch is what one connection has reported of itself since a check first saw it. With amqp091-go's recovery
// a connection has several lives: what it reports of one says nothing about the next.
type watch struct {
	conn *amqp.Connection

	mu      sync.Mutex          // guards the rest
	state   amqp.LifeCycleState // StateOpen where a life has begun
	blocked *amqp.Blocking      // nil unless the broker blocks the connection
	cause   *amqp.Error         // why the last life ended, if the broker or the network ended it
	ended   bool                // the connection reports nothing more
}

// observe begins to watch conn, and ends with it.
//
// IsClosed alone does not say whether a connection is usable: while amqp091-go recovers one, IsClosed is
// false from the moment it has dialed, before the broker has answered. A connection that is first seen in the
// midst of that, and not before, can't be told from an open one until the attempt ends.
func observe(conn *amqp.Connection) *watch {
	w := &watch{conn: conn}
	states := make(chan *amqp.StateChanged, 1)
	conn.NotifyStateChange(states)
	if conn.IsClosed() { // only now: a recovery that ends later is reported
		w.state = amqp.StateClosed
	}
	// A connection that is closed for good closes all three channels at once.
	blocks := conn.NotifyBlocked(make(chan amqp.Blocking, 1))
	closes := conn.NotifyClose(make(chan *amqp.Error, 1))
	go w.follow(states, blocks, closes)
	return w
}

// follow takes what the connection reports until it is closed for good. It does so all the time, since
// amqp091-go waits up to 5 s for a listener, and reads nothing for the application meanwhile.
func (w *watch) follow(
	states <-chan *amqp.StateChanged, blocks <-chan amqp.Blocking, closes <-chan *amqp.Error,
) {
	for states != nil || blocks != nil || closes != nil {
		select {
		case change, open := <-states:
			if !open {
				states = nil
				break
			}
			w.note(func() { w.state = change.To })
		case b, open := <-blocks:
			if !open {
				blocks = nil
				break
			}
			w.note(func() { w.heed(b) })
		case cause, open := <-closes:
			if !open {
				closes = nil
				break
			}
			for len(blocks) > 0 {
				<-blocks // of the life that has ended
			}
			w.note(func() { w.cause, w.blocked = cause, nil })
		}
	}
	w.note(func() { w.ended = true })
}

func (w *watch) note(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

// heed takes note of an alarm's begin or end. What arrives once the connection is closed is of the life that
// has ended.
func (w *watch) heed(b amqp.Blocking) {
	w.blocked = nil
	if b.Active && !w.conn.IsClosed() {
		w.blocked = &b
	}
}

// err says why the application can't publish over the connection.
func (w *watch) err() error {
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

func (w *watch) lost(text string) error {
	if w.cause == nil {
		return probes.Fail(probes.ReasonConnectionLost, errors.New(text))
	}
	return probes.Fail(probes.ReasonConnectionLost, fmt.Errorf("%s: %w", text, w.cause))
}

func (w *watch) over() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ended
}
