package amqpprobe

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/echo-probes/echohealth/probes"
)

// ConnProbe is what FromConn returns.
type ConnProbe struct {
	current func() *amqp.Connection

	mu        sync.Mutex // guards the rest
	began     time.Time  // the first check without a connection
	connected bool       // current has returned a connection
	watches   map[*amqp.Connection]*watch
}

// startLimit is how long after the first check an application that has never been connected counts as
// starting.
const startLimit = 30 * time.Second

// FromConn returns a probe of the application's own connection, which current returns; it is called at each check, and so
// may return another connection after the application has reconnected, and nil while there is none. A nil function is an
// error at construction.
//
// The check is Error with
//
//   - connection_lost, where there is no connection, or it is closed, or amqp091-go's own recovery
//     (Config.Recovery) has not made it anew yet;
//   - broker_blocked, while the broker has an alarm for memory or disk and takes no messages from this
//     connection. The broker says so at the first message that is published during the alarm, and the probe
//     hears it from the first check on that sees the connection.
//
// Before current has returned any connection, the check is a Warning with dependency_starting for 30 s from
// the first check on, which leaves readiness as it is, and then Error with connection_lost.
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
	conn := p.current()
	if conn == nil {
		return probes.FromError(p.absent())
	}
	return probes.FromError(p.watch(conn).err())
}

// absent is the error of an application without a connection.
func (p *ConnProbe) absent() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if p.began.IsZero() {
		p.began = now
	}
	switch {
	case p.connected:
		return probes.Fail(probes.ReasonConnectionLost, errors.New("the application has no connection"))
	case now.Sub(p.began) < startLimit:
		return probes.Warn(probes.ReasonDependencyStarting,
			errors.New("the application has not connected yet"))
	}
	return probes.Fail(probes.ReasonConnectionLost,
		fmt.Errorf("the application has not connected within %s of the first check", startLimit))
}

// watch returns the watch of conn, a new one for a connection not seen before, and forgets the connections that are
// closed and gone.
func (p *ConnProbe) watch(conn *amqp.Connection) *watch {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.connected = true
	for other, w := range p.watches {
		if other != conn && w.over() {
			delete(p.watches, other)
		}
	}
	w := p.watches[conn]
	if w == nil {
		w = observe(conn)
		p.watches[conn] = w
	}
	return w
}

// Validate refuses a nil function.
func (p *ConnProbe) Validate() error {
	if p.current == nil {
		return errors.New("amqpprobe.FromConn(nil): it takes a function that returns the connection")
	}
	return nil
}
