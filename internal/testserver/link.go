package testserver

import (
	"errors"
	"io"
	"math"
	"net"
	"time"
)

// A link is a client's connection to a proxy together with the proxy's connection to the server for this
// client.
type link struct {
	proxy  *Proxy
	client *net.TCPConn
	done   chan struct{} // closed when the link ends

	// The proxy's mutex guards the fields below.
	server  *net.TCPConn // nil until connected
	counted bool         // whether countClosed has counted the end of the client's connection
	ended   bool
	closed  int // number of flows that have delivered the end of their data
}

// serve connects to the server at target and passes on the data in both directions.
func (l *link) serve(target string) {
	server, err := (&net.Dialer{}).DialContext(l.proxy.ctx, "tcp", target)
	if err != nil {
		l.reset()
		return
	}
	if !l.connected(server.(*net.TCPConn)) {
		return
	}
	requests := &flow{link: l, from: l.client, to: l.server, chunks: make(chan chunk, queued)}
	replies := &flow{link: l, from: l.server, to: l.client, chunks: make(chan chunk, queued), reply: true}
	l.proxy.spawn(requests.receive)
	l.proxy.spawn(requests.deliver)
	l.proxy.spawn(replies.receive)
	l.proxy.spawn(replies.deliver)
}

// ignore reads and discards data until the client closes the connection.
func (l *link) ignore() {
	io.Copy(io.Discard, l.client)
	l.close()
}

// connected stores the connection to the server. If the link has been reset in the meantime, connected closes
// the connection and returns false.
func (l *link) connected(server *net.TCPConn) bool {
	l.proxy.mu.Lock()
	defer l.proxy.mu.Unlock()
	if l.ended {
		abort(server)
		return false
	}
	l.server = server
	return true
}

func (l *link) over() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

// clientClosed records that the client has closed its connection.
func (l *link) clientClosed() {
	l.proxy.mu.Lock()
	defer l.proxy.mu.Unlock()
	l.countClosed()
}

// closeFlow is called by each of the two flows at its end. The second call ends the link.
func (l *link) closeFlow() {
	l.proxy.mu.Lock()
	defer l.proxy.mu.Unlock()
	l.closed++
	if l.closed == 2 {
		l.end(false)
	}
}

func (l *link) close() {
	l.proxy.mu.Lock()
	defer l.proxy.mu.Unlock()
	l.end(false)
}

func (l *link) reset() {
	l.proxy.mu.Lock()
	defer l.proxy.mu.Unlock()
	l.end(true)
}

// end closes both connections. The caller of end, and of countClosed, must hold the proxy's mutex.
func (l *link) end(reset bool) {
	if l.ended {
		return
	}
	l.ended = true
	for _, conn := range []*net.TCPConn{l.client, l.server} {
		switch {
		case conn == nil:
		case reset:
			abort(conn)
		default:
			conn.Close()
		}
	}
	close(l.done)
	delete(l.proxy.links, l)
	l.countClosed()
}

func (l *link) countClosed() {
	if !l.counted {
		l.counted = true
		l.proxy.open--
	}
}

// abort closes a connection so that the other side sees it reset.
func abort(conn *net.TCPConn) {
	conn.SetLinger(0)
	conn.Close()
}

// queued is the number of chunks that a flow holds before it stops reading.
const queued = 16

// A flow is one direction of a link. One goroutine receives and another delivers. So the flow notices the end
// of a connection even while the mode lets no data pass, and delayed chunks do not delay each other.
type flow struct {
	link     *link
	from, to *net.TCPConn
	reply    bool // from the server to the client
	chunks   chan chunk
}

type chunk struct {
	data []byte
	at   time.Time // when the data was received
	err  error     // nil, io.EOF, or the error of a broken connection, after the data
}

// receive reads until the end of the connection.
func (f *flow) receive() {
	for {
		buffer := make([]byte, 16<<10)
		n, err := f.from.Read(buffer)
		if err != nil && !f.reply {
			f.link.clientClosed()
		}
		select {
		case f.chunks <- chunk{buffer[:n], time.Now(), err}:
		case <-f.link.done:
			return
		}
		if err != nil {
			return
		}
	}
}

// deliver passes on the received data according to the proxy's mode.
func (f *flow) deliver() {
	for {
		select {
		case c := <-f.chunks:
			if !f.pass(c) {
				return
			}
		case <-f.link.done:
			return
		}
	}
}

// pass delivers one chunk and reports whether another may follow. After each change of the mode it starts
// again with the rest of the chunk.
func (f *flow) pass(c chunk) bool {
	for !f.link.over() {
		mode, changed := f.link.proxy.current()
		switch {
		case mode.kind == silent:
			return f.drop(c)
		case mode.kind == resetOnReply && f.reply && len(c.data) > 0:
			f.link.reset()
			return false
		}
		pause, n := f.pace(mode, c)
		if !f.hold(pause, changed) {
			continue
		}
		if _, err := f.to.Write(c.data[:n]); err != nil {
			f.link.reset()
			return false
		}
		c.data = c.data[n:]
		if len(c.data) == 0 {
			return f.finish(c.err)
		}
	}
	return false
}

// pace returns the pause before the next delivery, and how many bytes of the chunk to deliver then.
func (f *flow) pace(m mode, c chunk) (pause time.Duration, n int) {
	const forever = math.MaxInt64
	switch {
	case m.kind == stall:
		return forever, 0
	case m.kind == delay && f.reply:
		return time.Until(c.at.Add(m.pause)), len(c.data)
	case m.kind == drip && f.reply:
		return m.pause, min(1, len(c.data))
	}
	return 0, len(c.data)
}

// hold waits for d. It returns false, early, when the mode changes or the link ends.
func (f *flow) hold(d time.Duration, changed <-chan struct{}) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-changed:
	case <-f.link.done:
	}
	return false
}

// drop discards a chunk's data. If the chunk ends the client's connection, drop closes the link. It reports
// whether another chunk may follow.
func (f *flow) drop(c chunk) bool {
	if c.err != nil && !f.reply {
		f.link.close()
	}
	return c.err == nil
}

// finish handles err of a chunk whose data is delivered: it passes on io.EOF, and resets the link on any
// other error. It reports whether another chunk may follow.
func (f *flow) finish(err error) bool {
	switch {
	case err == nil:
		return true
	case errors.Is(err, io.EOF):
		f.to.CloseWrite()
		f.link.closeFlow()
	default:
		f.link.reset()
	}
	return false
}
