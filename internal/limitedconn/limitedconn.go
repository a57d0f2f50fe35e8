// Package limitedconn bounds how much a server may send in answer to one call. The drivers of Redis and
// AMQP assemble answers of any size: without a bound, a server that is broken, or that is another one than
// expected, could take the application's memory.
package limitedconn

import (
	"fmt"
	"net"
	"sync/atomic"
)

// MaxRead is how many bytes a call may read. It suffices for the answers of ten thousand Celery workers
// with a few queues each.
const MaxRead = 32 << 20

// ErrTooMuch is the error of Read beyond the limit.
var ErrTooMuch = fmt.Errorf("the server sent more than %d MB in answer to one call", MaxRead>>20)

// Conn is a connection that reads at most MaxRead bytes between two calls of Reset.
type Conn struct {
	net.Conn
	left atomic.Int64
}

// New returns conn with the limit. Its first call may read MaxRead bytes.
func New(conn net.Conn) *Conn {
	c := &Conn{Conn: conn}
	c.Reset()
	return c
}

// Reset begins a call.
func (c *Conn) Reset() { c.left.Store(MaxRead) }

// Read returns an error with the bytes that exceed the limit, and with all later ones.
func (c *Conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.left.Add(-int64(n)) < 0 && err == nil {
		err = ErrTooMuch
	}
	return n, err
}
