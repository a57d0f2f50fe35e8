package redisconn

import (
	"net"
	"syscall"
	"time"

	"github.com/echo-probes/echohealth/internal/limitedconn"
)

// limitedConn is a connection that limits the size of an answer: an element of a list may have 512 MB.
type limitedConn struct{ *limitedconn.Conn }

// limit returns conn with a limit. The result must stay a syscall.Conn if conn is one, because go-redis uses
// that to test whether the server has closed a connection without TLS.
func limit(conn net.Conn) net.Conn {
	l := limitedConn{limitedconn.New(conn)}
	if raw, ok := conn.(syscall.Conn); ok {
		return &struct {
			limitedConn
			syscall.Conn
		}{l, raw}
	}
	return l
}

// SetReadDeadline also resets the limit. go-redis calls it before it reads the answer to a call.
func (l limitedConn) SetReadDeadline(t time.Time) error {
	l.Reset()
	return l.Conn.SetReadDeadline(t)
}

// NetConn lets go-redis reach the connection below TLS.
func (l limitedConn) NetConn() net.Conn { return l.Conn.Conn }
