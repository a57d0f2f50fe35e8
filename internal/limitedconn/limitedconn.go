// Package limitedconn limits how much a server may send in answer to one call. The drivers of Redis and AMQP
// collect answers of any size. Without a limit, a broken server, or a server with another protocol, could use
// up the application's memory.
package limitedconn

import (
	"fmt"
	"net"
	"sync/atomic"
)

// MaxRead is the number of bytes that a call may read. Ten thousand Celery workers with a few queues each
// send less.
const MaxRead = 32 << 20

// ErrTooMuch is the error of a Read that exceeds the limit.
var ErrTooMuch = fmt.Errorf("the server sent more than %d MB in answer to one call", MaxRead>>20)

// Conn is a connection that reads at most MaxRead bytes between two calls of Reset.
type Conn struct {
	net.Conn
	left atomic.Int64
}

// New returns conn with the limit. MaxRead bytes may be read before the first Reset.
func New(conn net.Conn) *Conn {
	c := &Conn{Conn: conn}
	c.Reset()
	return c
}

// Reset begins a new call, which may read MaxRead bytes again.
func (c *Conn) Reset() { c.left.Store(MaxRead) }

// Read returns the bytes that it has read. If they exceed the limit, it returns ErrTooMuch too, and so do all
// later calls until Reset.
func (c *Conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.left.Add(-int64(n)) < 0 && err == nil {
		err = ErrTooMuch
	}
	return n, err
}
