package testserver

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"
)

// ProxyGoroutine is the name of a function in the stack of every goroutine of a Proxy. A test that looks for
// leaked goroutines while a proxy still runs must pass ProxyGoroutine to goleak.IgnoreAnyFunction.
const ProxyGoroutine = "github.com/echo-probes/echohealth/internal/testserver.(*Proxy).run"

// A Proxy passes TCP connections on to a server. The proxy's mode, at first Pass, produces a network fault
// that the server can't produce itself. A change of the mode also applies to existing connections, and to
// data that the proxy has received but not yet delivered.
type Proxy struct {
	t       testing.TB
	addr    string
	ctx     context.Context // done when the proxy ends
	running sync.WaitGroup

	mu       sync.Mutex // guards the fields below
	target   string
	listener net.Listener
	fill     []net.Conn // the connections that fill the listener's queue in the mode Drop
	mode     mode
	changed  chan struct{} // closed when mode changes
	links    map[*link]bool
	accepted int
	open     int
}

// A mode decides how a proxy handles data. The zero value passes data on.
type mode struct {
	kind  modeKind
	pause time.Duration
}

type modeKind int

const (
	pass modeKind = iota
	delay
	stall
	refuse
	silent
	drip
	resetOnReply
	drop
)

// NewProxy starts a proxy in front of target, such as a server's Addr. The proxy ends with the test. If
// target refuses a connection, the proxy resets the client's connection.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	listener := listenFree(t)
	p := &Proxy{
		t:       t,
		target:  target,
		addr:    listener.Addr().String(),
		ctx:     ctx,
		changed: make(chan struct{}),
		links:   make(map[*link]bool),
	}
	p.listen(listener)
	t.Cleanup(func() {
		cancel()
		p.Refuse()
		p.running.Wait()
	})
	return p
}

// Addr returns the address to connect to, "127.0.0.1:port".
func (p *Proxy) Addr() string { return p.addr }

// Pass passes on all data, including the data that Stall held back.
func (p *Proxy) Pass() { p.set(mode{kind: pass}) }

// Delay adds d to the time that everything from the server takes to arrive. So a round trip takes d longer.
// An answer in several parts is delayed by d as a whole, not by d for each part.
func (p *Proxy) Delay(d time.Duration) { p.set(mode{kind: delay, pause: d}) }

// Stall passes no data in either direction, like a network that loses every packet. Connections stay open,
// and new connections are accepted. A later Pass delivers the data that was held back.
func (p *Proxy) Stall() { p.set(mode{kind: stall}) }

// Refuse closes the port, so that connecting is refused, and resets all connections. Every other mode opens
// the port again.
func (p *Proxy) Refuse() { p.set(mode{kind: refuse}) }

// Drop resets all connections and answers no connection attempt, like a firewall that drops the packets. Drop
// works only on Linux.
func (p *Proxy) Drop() { p.set(mode{kind: drop}) }

// Silent accepts connections and reads the data of clients, but never answers. Unlike Stall, it discards the
// data, so that nothing reaches the server. A connection that is accepted in this mode stays silent even
// after the mode changes.
func (p *Proxy) Silent() { p.set(mode{kind: silent}) }

// Drip delivers the server's data byte by byte, with a pause of perByte before each byte.
func (p *Proxy) Drip(perByte time.Duration) { p.set(mode{kind: drip, pause: perByte}) }

// ResetOnReply passes on the data of clients, and resets each connection when the server answers on it.
func (p *Proxy) ResetOnReply() { p.set(mode{kind: resetOnReply}) }

// Redirect makes target the server of all connections that are accepted from now on, like a failover that
// moves an address to another server. Existing connections stay with the earlier server.
func (p *Proxy) Redirect(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

// Reset resets all connections immediately. The mode does not change.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.resetAll()
}

// Accepted returns how many connections the proxy has accepted so far.
func (p *Proxy) Accepted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted
}

// Open returns how many accepted connections are still open. A connection counts until the client closes it
// or the proxy resets it.
func (p *Proxy) Open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open
}

func (p *Proxy) set(m mode) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mode = m
	close(p.changed)
	p.changed = make(chan struct{})
	if p.fill != nil {
		p.closePort()
	}
	switch {
	case m.kind == refuse:
		p.closePort()
	case m.kind == drop:
		p.closePort()
		p.fillPort()
	case p.listener == nil:
		p.openPort()
	}
}

// closePort closes the port and resets all connections. The caller of closePort, openPort, fillPort, listen
// or resetAll must hold p.mu.
func (p *Proxy) closePort() {
	if p.listener != nil {
		p.listener.Close()
		p.listener = nil
	}
	for _, conn := range p.fill {
		conn.Close()
	}
	p.fill = nil
	p.resetAll()
}

func (p *Proxy) openPort() {
	listener, err := p.bind()
	if err != nil {
		p.t.Errorf("proxy: open the port again: %v", err)
		return
	}
	p.listen(listener)
}

// bind opens the port again. It tries for up to a second, because the system may release a closed port a
// moment later.
func (p *Proxy) bind() (listener net.Listener, err error) {
	err = poll(time.Second, func() (err error) {
		listener, err = net.Listen("tcp4", p.addr)
		return err
	})
	return listener, err
}

// fillPort opens the port, accepts no connection, and fills the listener's queue, so that the system drops
// the packets of all further connection attempts.
func (p *Proxy) fillPort() {
	listener, err := p.bind()
	if err == nil {
		p.listener = listener
		err = shortenQueue(listener.(*net.TCPListener))
	}
	timeouts := 0
	for range 16 {
		if err != nil {
			p.t.Errorf("proxy: fill the port's queue: %v", err)
			return
		}
		var conn net.Conn
		conn, err = net.DialTimeout("tcp4", p.addr, 100*time.Millisecond)
		if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
			if timeouts++; timeouts == 2 { // one timeout may be a pause of the machine
				return
			}
			err = nil
			continue
		}
		p.fill = append(p.fill, conn)
	}
	p.t.Error("proxy: the listener still accepts connections, so a full queue of connections can't be simulated")
}

func (p *Proxy) listen(listener net.Listener) {
	p.listener = listener
	p.spawn(func() { p.accept(listener) })
}

func (p *Proxy) resetAll() {
	for l := range p.links {
		l.end(true)
	}
}

// spawn starts a goroutine of the proxy.
func (p *Proxy) spawn(work func()) { p.running.Go(func() { p.run(work) }) }

// run calls work. It exists to be in the stack of each goroutine of the proxy, see ProxyGoroutine.
func (p *Proxy) run(work func()) { work() }

// current returns the mode, and a channel that is closed when the mode changes.
func (p *Proxy) current() (mode, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mode, p.changed
}

func (p *Proxy) accept(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		p.admit(listener, client.(*net.TCPConn))
	}
}

// admit counts a connection and serves it. If the port was closed in the meantime, admit resets the
// connection.
func (p *Proxy) admit(listener net.Listener, client *net.TCPConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != listener {
		abort(client)
		return
	}
	l := &link{proxy: p, client: client, done: make(chan struct{})}
	p.links[l] = true
	p.accepted++
	p.open++
	target := p.target
	serve := func() { l.serve(target) }
	if p.mode.kind == silent {
		serve = l.ignore
	}
	p.spawn(serve)
}
