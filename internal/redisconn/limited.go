package redisconn

import (
	"fmt"
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// maxRead is how many bytes the answers to one call may have: those of ten thousand Celery workers with a few queues each do.
const maxRead = 32 << 20

var errTooMuch = fmt.Errorf("redis sent more than %d MB in one answer", maxRead>>20)

// limited is a connection over which no answer is read that is too large for a check: go-redis takes any, and a list may have
// elements of 512 MB.
type limited struct {
	net.Conn
	left atomic.Int64 // how many bytes may be read
}

// limit returns conn with a limit. go-redis looks into a connection without TLS, whether the server has closed it, and
// must go on to be able to.
func limit(conn net.Conn) net.Conn {
	l := &limited{Conn: conn}
	l.left.Store(maxRead)
	if raw, ok := conn.(syscall.Conn); ok {
		return &struct {
			*limited
			syscall.Conn
		}{l, raw}
	}
	return l
}

// SetReadDeadline is what go-redis calls before it reads the answer to a call.
func (l *limited) SetReadDeadline(t time.Time) error {
	l.left.Store(maxRead)
	return l.Conn.SetReadDeadline(t)
}

func (l *limited) Read(b []byte) (int, error) {
	n, err := l.Conn.Read(b)
	if l.left.Add(-int64(n)) < 0 && err == nil {
		err = errTooMuch
	}
	return n, err
}

// NetConn is how go-redis looks through TLS.
func (l *limited) NetConn() net.Conn { return l.Conn }
