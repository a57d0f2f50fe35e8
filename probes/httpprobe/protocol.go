package httpprobe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/echo-probes/echohealth/probes"
)

// targetKey is the key of a request's target in its context.
type targetKey struct{}

// target is the server of a request. A request through a proxy connects to another address.
type target struct {
	address string
	start   string // expected beginning of the server's first bytes; empty with TLS, which checks them
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

// dial connects to the address. If it is the server's own, not a proxy's, dial checks the first bytes from
// it.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := dialer.DialContext(ctx, network, address)
	if to, ok := ctx.Value(targetKey{}).(target); ok && err == nil && to.address == address {
		conn = &watchedConn{Conn: conn, start: to.start}
	}
	return conn, err
}

// watchedConn is a connection that fails if the first bytes from the server are not start. Otherwise package
// net/http would wait for the end of a line, or would log bytes that arrive before its request. watchedConn
// needs no mutex, because only one goroutine reads at a time.
type watchedConn struct {
	net.Conn
	start string // the expected bytes that have not arrived yet
	some  bool   // bytes have arrived
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

// wrongPort returns an error if the server answers with status 200 that its port is not for HTTP. MongoDB is
// the only known server that does: others answer with a status of 4xx, or not by HTTP. It answers by
// HTTP/1.0, so wrongPort reads no body of another version.
func wrongPort(response *http.Response) error {
	if response.StatusCode != http.StatusOK || response.ProtoAtLeast(1, 1) {
		return nil
	}
	body := response.Body
	start, err := io.ReadAll(io.LimitReader(body, 256))
	if bytes.Contains(start, []byte("trying to access MongoDB over HTTP")) {
		return probes.Fail(probes.ReasonMisconfigured, errors.New("the port is that of MongoDB's own protocol"))
	}
	rest := io.Reader(body)
	if err != nil {
		rest = failing{err} // after a timeout, body would return another error
	}
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(start), rest), body}
	return nil
}

// failing is a reader that returns its error.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// noAnswerError is the error of a connection that the server closed without sending anything.
type noAnswerError struct {
	server net.Addr
	err    error
}

func (e *noAnswerError) Error() string {
	return "the server closed the connection without an answer: " + e.err.Error()
}

func (e *noAnswerError) Unwrap() error { return e.err }

// silentProtocols are the protocols of servers that close the connection of an HTTP request without an
// answer.
var silentProtocols = []struct {
	name     string
	question string
	first    string // the first byte of the answer is one of these
	short    bool   // the answer has no second byte
}{
	{"PostgreSQL's protocol", "\x00\x00\x00\x08\x04\xd2\x16\x2f", "SN", true}, // SSLRequest
	{"Redis's protocol", "PING\r\n", "+-", false},
}

// questionTimeout limits each connection of otherProtocol. A server of silentProtocols answers faster.
const questionTimeout = 500 * time.Millisecond

// otherProtocol asks the server whether it speaks one of silentProtocols. It returns the name of the
// protocol, or "" for none of them.
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

// ask sends question to the server and returns the beginning of its answer, or "" if there is no answer.
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
