package amqpprobe

import (
	"context"
	"errors"
	"fmt"
	"sync"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/echo-probes/echohealth/probes"
)

// ConnProbe is what FromConn returns.
type ConnProbe struct {
	current func() *amqp.Connection

	mu      sync.Mutex // guards the rest, and what is in the watches
	watches map[*amqp.Connection]*watch
}

// watch is what an application's connection has reported of itself since a check first saw it.
type watch struct {
	blocked string      // the broker's reason for blocking it
	active  bool        // it does
	cause   *amqp.Error // why the connection was closed, if the broker or the network did it
	ended   bool        // nothing more will come
}

// FromConn returns a probe of the application's own connection, which current returns; it is called at each check, and so
// may return another connection after the application has reconnected, and nil while there is none. A nil function is an
// error at construction.
//
// The check is Error with
//
//   - connection_lost, where there is no connection or it is closed;
//   - broker_blocked, while the broker has an alarm for memory or disk and takes no messages from this connection. The
//     broker says so at the first message that is published during the alarm, and only from the first check on that sees
//     the connection is anybody listening.
//
// It sends nothing over the connection and takes none of its channels: amqp091-go's calls can't be bounded in time without
// closing the connection, so that a check must not make any. That a broker is frozen or unreachable therefore shows when
// the connection's heartbeats are missed and amqp091-go closes it: after 15 s for heartbeats of 10 s, after 90 s where
// they are off or under 1 s on the client's side. New notices at once.
//
// For each connection one goroutine waits for what the connection reports, and ends with it.
func FromConn(current func() *amqp.Connection) *ConnProbe {
	return &ConnProbe{current: current, watches: make(map[*amqp.Connection]*watch)}
}

// Check looks at the connection. It waits for nothing but the function that returns it.
func (p *ConnProbe) Check(context.Context) probes.Result {
	return probes.FromError(p.look(p.current()))
}

func (p *ConnProbe) look(conn *amqp.Connection) error {
	if conn == nil {
		return probes.Fail(probes.ReasonConnectionLost, errors.New("the application has no connection"))
	}
	w := p.watch(conn)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case conn.IsClosed() && w.cause != nil:
		return probes.Fail(probes.ReasonConnectionLost, fmt.Errorf("the application's connection is closed: %w", w.cause))
	case conn.IsClosed():
		return probes.Fail(probes.ReasonConnectionLost, errors.New("the application's connection is closed"))
	case w.active:
		return probes.Fail(probes.ReasonBrokerBlocked, fmt.Errorf("the broker blocks the application's connection: %s", w.blocked))
	}
	return nil
}

// watch returns the watch of conn, a new one for a connection not seen before, and forgets the connections that are
// closed and gone.
func (p *ConnProbe) watch(conn *amqp.Connection) *watch {
	p.mu.Lock()
	defer p.mu.Unlock()
	for other, w := range p.watches {
		if w.ended && other != conn {
			delete(p.watches, other)
		}
	}
	w := p.watches[conn]
	if w == nil {
		w = new(watch)
		p.watches[conn] = w
		// Of a closed connection both channels are closed at once.
		go p.follow(w, conn.NotifyBlocked(make(chan amqp.Blocking, 1)), conn.NotifyClose(make(chan *amqp.Error, 1)))
	}
	return w
}

// follow takes what the connection reports until it is closed. It does so all the time, since amqp091-go waits up to 5 s
// for a listener, and reads nothing for the application meanwhile.
func (p *ConnProbe) follow(w *watch, blocks <-chan amqp.Blocking, closes <-chan *amqp.Error) {
	for blocks != nil || closes != nil {
		select {
		case b, open := <-blocks:
			if !open {
				blocks = nil
			}
			p.note(func() { w.active, w.blocked = b.Active, b.Reason })
		case cause, open := <-closes:
			if !open {
				closes = nil
				break
			}
			p.note(func() { w.cause = cause })
		}
	}
	p.note(func() { w.ended = true })
}

func (p *ConnProbe) note(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

// Validate refuses a nil function.
func (p *ConnProbe) Validate() error {
	if p.current == nil {
		return errors.New("amqpprobe.FromConn(nil): it takes a function that returns the connection")
	}
	return nil
}
