package testserver

import (
	"context"
	"net"
	"sync"
)

// A Pipe is an in-memory listener whose connections come from net.Pipe. So a server and its clients can run
// in a testing/synctest bubble, in which no time passes while they work. A test of deadlines then does not
// depend on the speed of the machine. The methods of a Pipe are safe for concurrent use.
type Pipe struct {
	dialed chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// NewPipe returns an open Pipe. A Pipe that is used in a bubble must be made in this bubble.
func NewPipe() *Pipe {
	return &Pipe{dialed: make(chan net.Conn), closed: make(chan struct{})}
}

// Accept waits for the next client. After Close it returns net.ErrClosed.
func (p *Pipe) Accept() (net.Conn, error) {
	select {
	case conn := <-p.dialed:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close makes Accept and DialContext fail from now on. Existing connections stay open.
func (p *Pipe) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// Addr returns a placeholder, because a Pipe has no network address.
func (p *Pipe) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }

// DialContext connects to the listener and ignores the network and the address. It can serve as the
// DialContext of an http.Transport. After Close it returns net.ErrClosed.
func (p *Pipe) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.dialed <- server:
		return client, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
