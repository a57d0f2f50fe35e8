package client

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"time"
)

// answerLimit is the maximum size of an answer including its head, in bytes.
const answerLimit = 1 << 20

var (
	errNotHTTP  = errors.New("the answer is not HTTP")
	errTooLarge = errors.New("the answer is larger than 1 MB")
	errExcess   = errors.New("the server sent more than its answer")
)

// Connection is one connection to a target. Unlike http.Transport, it does not repeat a request over another
// connection, follow a redirect, or use a proxy. Each of these would hide faults of a rollout.
type Connection struct {
	net.Conn
	reader *bufio.Reader
	limit  *io.LimitedReader // limits what reader reads

	DiscardBodies bool // discard the bodies of answers
}

// Dial connects to a target. The caller must close the connection.
func (s Settings) Dial(ctx context.Context, t Target) (*Connection, error) {
	conn, err := s.connect(ctx, t)
	if err != nil {
		return nil, err
	}
	limit := &io.LimitedReader{R: conn}
	return &Connection{Conn: conn, limit: limit, reader: bufio.NewReader(limit)}, nil
}

func (s Settings) connect(ctx context.Context, t Target) (net.Conn, error) {
	if t.IsTLS() {
		return (&tls.Dialer{Config: s.tlsConfig(t)}).DialContext(ctx, t.network, t.Address)
	}
	return (&net.Dialer{}).DialContext(ctx, t.network, t.Address)
}

func (s Settings) tlsConfig(t Target) *tls.Config {
	config := &tls.Config{}
	if s.TLS != nil {
		config = s.TLS.Clone()
	}
	config.ServerName = cmp.Or(config.ServerName, t.URL.Hostname())
	config.NextProtos = []string{"http/1.1"}
	return config
}

// Answer is the answer of a server.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	Last   bool // whether the server closes the connection after this answer
	Took   time.Duration
}

// Ask sends a request and reads the whole answer. The deadline of ctx limits both. After an error, the caller
// must not use the connection again.
func (c *Connection) Ask(ctx context.Context, r *http.Request) (*Answer, error) {
	began := time.Now()
	deadline, _ := ctx.Deadline()
	if err := c.SetDeadline(deadline); err != nil {
		return nil, err
	}
	c.limit.N = answerLimit
	if err := r.Write(c.Conn); err != nil {
		return nil, c.refusal(err)
	}
	a, err := c.read(r)
	switch {
	case c.limit.N == 0:
		return nil, errTooLarge
	case err != nil:
		return nil, err
	case c.reader.Buffered() > 0:
		return nil, errExcess
	}
	a.Took = time.Since(began)
	return a, nil
}

// refusal handles the error of a write. If the server refused the client's certificate, refusal returns the
// server's TLS alert, and otherwise err. In TLS 1.3 the client ends the handshake before the server does, so
// the alert may arrive during the request.
func (c *Connection) refusal(err error) error {
	if _, ok := c.Conn.(*tls.Conn); ok {
		if _, readErr := c.Read(make([]byte, 1)); isAlert(readErr) {
			return readErr
		}
	}
	return err
}

func (c *Connection) read(r *http.Request) (*Answer, error) {
	response, err := c.readHead(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var body []byte
	if c.DiscardBodies {
		_, err = io.Copy(io.Discard, response.Body)
	} else {
		body, err = io.ReadAll(response.Body)
	}
	if err != nil {
		return nil, notHTTP(err)
	}
	return &Answer{Status: response.StatusCode, Header: response.Header, Body: body, Last: response.Close}, nil
}

// readHead reads the head of the answer. It skips up to four informational answers, such as 103 Early Hints.
func (c *Connection) readHead(r *http.Request) (*http.Response, error) {
	for range 5 {
		response, err := http.ReadResponse(c.reader, r)
		if err != nil {
			return nil, notHTTP(err)
		}
		if response.StatusCode >= 200 {
			return response, nil
		}
		_ = response.Body.Close()
	}
	return nil, errNotHTTP
}

// notHTTP returns an error of the network unchanged. It replaces an error of parsing, because such an error
// quotes the server's text.
func notHTTP(err error) error {
	_, isNetwork := errors.AsType[net.Error](err)
	if isNetwork || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return err
	}
	return errNotHTTP
}
