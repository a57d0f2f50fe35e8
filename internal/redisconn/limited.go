package redisconn

import (
	"net"
	"syscall"
	"time"

	"github.com/echo-probes/echohealth/internal/limitedconn"
)

// limitedConn is a connection that limits the size of an answer. Redis itself allows 512 MB for each element
// of a list.
type limitedConn struct{ *limitedconn.Conn }

// limit returns conn with the limit. If conn is a syscall.Conn, the result is too, because go-redis needs
// this to find out whether the server has closed a connection without TLS.
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

// SetReadDeadline also resets the limit, because go-redis calls it before it reads the answer to a call.
func (l limitedConn) SetReadDeadline(t time.Time) error {
	l.Reset()
	return l.Conn.SetReadDeadline(t)
}

// NetConn gives go-redis the connection below TLS.
func (l limitedConn) NetConn() net.Conn { return l.Conn.Conn }
