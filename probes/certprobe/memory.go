package certprobe

import (
	"io"
	"net"
	"sync"
	"time"
)

// memoryConn is one end of a connection in memory. Unlike net.Pipe it has a buffer. Without a buffer, a
// client that sends an alert and a server that is still sending would wait for each other forever.
type memoryConn struct {
	in, out chan []byte
	rest    []byte // received data that Read has not returned yet
	closed  chan struct{}
	close   func()
}

// newConns returns both ends of a connection. Closing one end closes the other.
func newConns() (client, server *memoryConn) {
	// A handshake needs fewer than 64 writes, so no write waits for a read.
	up, down := make(chan []byte, 64), make(chan []byte, 64)
	closed := make(chan struct{})
	closeBoth := sync.OnceFunc(func() { close(closed) })
	return &memoryConn{in: down, out: up, closed: closed, close: closeBoth},
		&memoryConn{in: up, out: down, closed: closed, close: closeBoth}
}

// Read implements net.Conn. After Close it first returns the data that was written before, and then io.EOF.
func (c *memoryConn) Read(b []byte) (int, error) {
	if len(c.rest) == 0 {
		select {
		case c.rest = <-c.in:
		default:
			select {
			case c.rest = <-c.in:
			case <-c.closed:
				return 0, io.EOF
			}
		}
	}
	n := copy(b, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// Write implements net.Conn.
func (c *memoryConn) Write(b []byte) (int, error) {
	select {
	case c.out <- append([]byte(nil), b...):
		return len(b), nil
	case <-c.closed:
		return 0, io.ErrClosedPipe
	}
}

// Close implements net.Conn.
func (c *memoryConn) Close() error {
	c.close()
	return nil
}

// loopback is the address of both ends. It is a *net.TCPAddr, because functions of a tls.Config may expect
// this type.
var loopback = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}

// LocalAddr implements net.Conn.
func (c *memoryConn) LocalAddr() net.Addr { return loopback }

// RemoteAddr implements net.Conn.
func (c *memoryConn) RemoteAddr() net.Addr { return loopback }

// SetDeadline implements net.Conn. It does nothing, because HandshakeContext closes the connection when its
// context ends.
func (c *memoryConn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn, and does nothing, like SetDeadline.
func (c *memoryConn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn, and does nothing, like SetDeadline.
func (c *memoryConn) SetWriteDeadline(time.Time) error { return nil }
