package redisconn

import (
	"fmt"
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// maxRead is how many bytes the answers to one call may have. It suffices for the answers of ten thousand
// Celery workers with a few queues each.
const maxRead = 32 << 20

var errTooMuch = fmt.Errorf("redis sent more than %d MB in one answer", maxRead>>20)

// limitedConn is a connection that limits the size of an answer. go-redis reads answers of any size, and an
// element of a list may have 512 MB.
type limitedConn struct {
	net.Conn
	left atomic.Int64 // how many bytes may be read
}

// limit returns conn with a limit. The result must stay a syscall.Conn if conn is one, because go-redis uses
// that to test whether the server has closed a connection without TLS.
func limit(conn net.Conn) net.Conn {
	l := &limitedConn{Conn: conn}
	l.left.Store(maxRead)
	if raw, ok := conn.(syscall.Conn); ok {
		return &struct {
			*limitedConn
			syscall.Conn
		}{l, raw}
	}
	return l
}

// SetReadDeadline also resets the limit. go-redis calls it before it reads the answer to a call.
func (l *limitedConn) SetReadDeadline(t time.Time) error {
	l.left.Store(maxRead)
	return l.Conn.SetReadDeadline(t)
}

func (l *limitedConn) Read(b []byte) (int, error) {
	n, err := l.Conn.Read(b)
	if l.left.Add(-int64(n)) < 0 && err == nil {
		err = errTooMuch
	}
	return n, err
}

// NetConn lets go-redis reach the connection below TLS.
func (l *limitedConn) NetConn() net.Conn { return l.Conn }
