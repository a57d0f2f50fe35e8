package amqpprobe

import (
	"context"
	"errors"
	"sync"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/echo-probes/echohealth/probes"
)

// A ConnProbe checks the application's own connection. Make it with FromConn. Its methods may be called from
// any goroutine.
type ConnProbe struct {
	current  func() *amqp.Connection
	channels []*channelProbe
	err      error // error of the arguments

	mu       sync.Mutex // guards the fields below
	presence presence
	watches  map[*amqp.Connection]*connWatch
}

// A ConnOption configures a ConnProbe. An invalid argument is an error at construction of the health checks.
type ConnOption func(*ConnProbe) error

// FromConn returns a probe of the application's own connection. It calls current at each check. So current
// may return another connection after the application has reconnected, and nil if there is none. The function
// must return fast and be safe for concurrent use. A nil function is an error at construction of the health
// checks.
//
// The check is an Error with
//
//   - connection_lost, if there is no connection any more, if it is closed, or if amqp091-go's own recovery
//     (Config.Recovery) has not restored it yet;
//   - broker_blocked, if the broker has a memory or disk alarm and takes no messages from this connection.
//     The broker reports an alarm to a connection only once, when the first message is published during the
//     alarm. The probe misses a report that came before it first saw the connection. Watch prevents that.
//
// An application that has not connected yet is an exception. Until current has returned a connection, the
// check is a Warning with dependency_starting, which does not affect readiness. After 30 s from the first
// check it is an Error with connection_lost.
//
// A broker also closes single channels, for example after a message was acknowledged twice. The connection
// stays open, so the check is OK. The option Channel makes the check watch a channel too.
//
// The probe sends nothing over the connection and opens no channel, because a call of amqp091-go cannot be
// bounded in time without closing the connection. So a check detects a frozen or unreachable broker only when
// heartbeats are missing and amqp091-go closes the connection: after 15 s with heartbeats of 10 s, and after
// 90 s if heartbeats are off or under 1 s on the client's side. The probe of New detects such a broker
// immediately.
//
// For each connection one goroutine reads the connection's reports. It ends with the connection.
func FromConn(current func() *amqp.Connection, opts ...ConnOption) *ConnProbe {
	p := &ConnProbe{current: current, watches: make(map[*amqp.Connection]*connWatch)}
	if current == nil {
		p.err = errors.New("amqpprobe.FromConn(nil): the function must not be nil")
	}
	for _, opt := range opts {
		p.err = errors.Join(p.err, opt(p))
	}
	return p
}

// Check reads the state of the connection and of the channels, without network traffic. It waits only for the
// application's functions that return them.
func (p *ConnProbe) Check(context.Context) probes.Result {
	if p.err != nil {
		return probes.FromError(probes.Fail(probes.ReasonMisconfigured, p.err))
	}
	err := p.connErr(p.current())
	for _, ch := range p.channels {
		if err == nil {
			err = ch.check()
		}
	}
	return probes.FromError(err)
}

// connErr returns why the application can't publish over conn, or nil if it can. A nil conn means that there
// is no connection.
func (p *ConnProbe) connErr(conn *amqp.Connection) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if conn == nil {
		return p.presence.absent("connection")
	}
	p.presence.had = true
	return p.watch(conn).err()
}

// Watch makes the probe read the connection's reports from now on. Without Watch the probe begins to read
// them at the first check that sees the connection, or at the construction of the health checks if there is a
// connection then. An application that reconnects should call Watch with each new connection, before it
// publishes, because the broker reports an alarm only once. A nil connection is ignored.
func (p *ConnProbe) Watch(conn *amqp.Connection) {
	if conn == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watch(conn)
}

// watch returns the connWatch of conn, and makes one for a new connection. It removes the connWatches of
// closed connections. The caller must hold p.mu.
func (p *ConnProbe) watch(conn *amqp.Connection) *connWatch {
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

// Validate returns the errors of the arguments. If there are none, the probe begins to watch the current
// connection of the application, if there is one.
func (p *ConnProbe) Validate() error {
	if p.err != nil {
		return p.err
	}
	defer func() { _ = recover() }() // current may panic until the application is ready; a check reports it
	p.Watch(p.current())
	return nil
}
