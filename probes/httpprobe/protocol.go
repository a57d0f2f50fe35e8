package httpprobe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/echo-probes/echohealth/probes"
)

// targetKey is the key of a request's target in its context.
type targetKey struct{}

// target is the server that a request without a proxy connects to.
type target struct {
	address string
	start   string // the beginning of the server's first bytes; empty: that is checked by TLS
}

func newTarget(u *url.URL) target {
	port, start := "80", "HTTP/"
	if u.Scheme == "https" {
		port, start = "443", ""
	}
	if u.Port() != "" {
		port = u.Port()
	}
	return target{net.JoinHostPort(u.Hostname(), port), start}
}

var dialer = net.Dialer{Timeout: 5 * time.Second}

// dial connects, and watches the first bytes from the server, but not those of a proxy.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := dialer.DialContext(ctx, network, address)
	if to, ok := ctx.Value(targetKey{}).(target); ok && err == nil && to.address == address {
		conn = &watchedConn{Conn: conn, start: to.start}
	}
	return conn, err
}

// watchedConn is a connection that fails if the first bytes from the server are not start. Package net/http
// would wait for the end of a line, or log what comes before its request. Only one goroutine reads at a
// time.
type watchedConn struct {
	net.Conn
	start string // the expected bytes that have not come yet
	some  bool   // bytes have come
}

// Read implements net.Conn.
func (c *watchedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if !c.some && n == 0 && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)) {
		return 0, &noAnswerError{server: c.RemoteAddr(), err: err}
	}
	c.some = c.some || n > 0
	if c.start == "" {
		return n, err
	}
	same := min(n, len(c.start))
	if string(b[:same]) != c.start[:same] {
		return 0, probes.Fail(probes.ReasonMisconfigured,
			fmt.Errorf("the server does not speak HTTP, but %q", b[:min(n, 64)]))
	}
	c.start = c.start[same:]
	return n, err
}

// noAnswerError is the end of a connection over which the server has sent nothing.
type noAnswerError struct {
	server net.Addr
	err    error
}

func (e *noAnswerError) Error() string {
	return "the server closed the connection without an answer: " + e.err.Error()
}

func (e *noAnswerError) Unwrap() error { return e.err }

// silentProtocols are those of servers that hang up on an HTTP request without an answer.
var silentProtocols = []struct {
	name     string
	question string
	first    string // the first byte of the answer is one of these
	short    bool   // the answer has no second byte
}{
	{"PostgreSQL's protocol", "\x00\x00\x00\x08\x04\xd2\x16\x2f", "SN", true}, // SSLRequest
	{"Redis's protocol", "PING\r\n", "+-", false},
}

// questionTimeout limits a question of otherProtocol. A server that hangs up on HTTP answers at once.
const questionTimeout = 500 * time.Millisecond

// otherProtocol asks a server which of silentProtocols it speaks. It is empty for none of them.
func otherProtocol(ctx context.Context, server net.Addr) string {
	for _, protocol := range silentProtocols {
		answer := ask(ctx, server, protocol.question)
		if answer != "" && strings.IndexByte(protocol.first, answer[0]) >= 0 &&
			(len(answer) == 1 || !protocol.short) {
			return protocol.name
		}
	}
	return ""
}

// ask returns the beginning of a server's answer, empty without one.
func ask(ctx context.Context, server net.Addr, question string) string {
	ctx, cancel := context.WithTimeout(ctx, questionTimeout)
	defer cancel()
	conn, err := dialer.DialContext(ctx, server.Network(), server.String())
	if err != nil {
		return ""
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if _, err := io.WriteString(conn, question); err != nil {
		return ""
	}
	answer := make([]byte, 64)
	n, _ := conn.Read(answer)
	return string(answer[:n])
}
