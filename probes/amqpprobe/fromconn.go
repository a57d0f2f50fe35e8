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

// A ConnProbe checks the application's own connection. Make it with FromConn. Its methods may be called from
// any goroutine.
type ConnProbe struct {
	current func() *amqp.Connection

	mu        sync.Mutex // guards the rest
	began     time.Time  // time of the first check without a connection
	connected bool       // current has returned a connection
	watches   map[*amqp.Connection]*connWatch
}

// startLimit is how long after the first check an application without a connection counts as starting.
const startLimit = 30 * time.Second

// FromConn returns a probe of the application's own connection. It calls current at each check. So current
// may return another connection after the application has reconnected, and nil while there is none. It must
// return fast and be safe for concurrent use. A nil function is an error at construction of the health
// checks.
//
// The check is an Error with
//
//   - connection_lost, if there is no connection, if it is closed, or if amqp091-go's own recovery
//     (Config.Recovery) has not restored it yet;
//   - broker_blocked, while the broker has a memory or disk alarm and takes no messages from this
//     connection. The broker reports that at the first message that is published during the alarm. The probe
//     receives the report if a check has seen the connection before.
//
// Until current has returned a connection, the check is a Warning with dependency_starting, which does not
// affect readiness. After 30 s from the first check it is an Error with connection_lost.
//
// The probe sends nothing over the connection and opens no channel, because a call of amqp091-go cannot be
// bounded in time without closing the connection. So a check detects a frozen or unreachable broker only
// when heartbeats are missing and amqp091-go closes the connection: after 15 s with heartbeats of 10 s, and
// after 90 s if heartbeats are off or under 1 s on the client's side. New detects it at once.
//
// For each connection one goroutine reads the connection's reports. It ends with the connection.
func FromConn(current func() *amqp.Connection) *ConnProbe {
	return &ConnProbe{current: current, watches: make(map[*amqp.Connection]*connWatch)}
}

// Check reads the state of the connection. It waits only for the function that returns the connection.
func (p *ConnProbe) Check(context.Context) probes.Result {
	conn := p.current()
	if conn == nil {
		return probes.FromError(p.absent())
	}
	return probes.FromError(p.watch(conn).err())
}

// absent returns the error of an application without a connection.
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

// watch returns the connWatch of conn, a new one for a new connection, and removes those of closed
// connections.
func (p *ConnProbe) watch(conn *amqp.Connection) *connWatch {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.connected = true
	for other, w := range p.watches {
		if other != conn && w.finished() {
			delete(p.watches, other)
		}
	}
	w := p.watches[conn]
	if w == nil {
		w = newConnWatch(conn)
		p.watches[conn] = w
	}
	return w
}

// Validate returns an error for a nil function.
func (p *ConnProbe) Validate() error {
	if p.current == nil {
		return errors.New("amqpprobe.FromConn(nil): the function must not be nil")
	}
	return nil
}
