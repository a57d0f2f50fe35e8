package httpprobe_test

import (
	"bufio"
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/echo-probes/echohealth/internal/leaktest"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/httpprobe"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// An answer is what rawServer sends on a connection after a request.
type answer func(conn net.Conn)

// say returns an answer that writes a text and leaves the connection open. A \n in the text is written as an
// HTTP line end.
func say(text string) answer {
	return func(conn net.Conn) { io.WriteString(conn, strings.ReplaceAll(text, "\n", "\r\n")) }
}

// hangUp returns an answer that writes a text and closes the connection.
func hangUp(text string) answer {
	return func(conn net.Conn) {
		say(text)(conn)
		conn.Close()
	}
}

// repeat returns an answer that writes a text, and then writes more again and again until the client has
// closed the connection.
func repeat(text, more string, pause time.Duration) answer {
	return func(conn net.Conn) {
		say(text)(conn)
		for {
			if _, err := io.WriteString(conn, strings.ReplaceAll(more, "\n", "\r\n")); err != nil {
				return
			}
			time.Sleep(pause) // the pace of a slow server; the test does not depend on it
		}
	}
}

// rawServer gives the same answer to each request until a test sets another one.
type rawServer struct {
	net.Listener
	answer      atomic.Pointer[answer]
	accepted    atomic.Int64 // number of connections
	connections sync.WaitGroup
}

func newRawServer(t *testing.T, a answer) *rawServer {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &rawServer{Listener: listener}
	s.answer.Store(&a)
	s.connections.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.accepted.Add(1)
			s.connections.Go(func() { s.serve(conn) })
		}
	})
	return s
}

// serve ends when the client has closed the connection.
func (s *rawServer) serve(conn net.Conn) {
	defer conn.Close()
	for reader := bufio.NewReader(conn); ; {
		if _, err := http.ReadRequest(reader); err != nil {
			return
		}
		(*s.answer.Load())(conn)
	}
}

// closed waits until the clients have closed all connections.
func (s *rawServer) closed(t *testing.T) {
	s.Close()
	done := make(chan struct{})
	go func() {
		s.connections.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(enough):
		assert.Fail(t, "a connection is left open")
	}
}

const (
	ok          = "HTTP/1.1 200 OK\n"
	chunked     = ok + "Transfer-Encoding: chunked\n"
	good        = ok + "Content-Length: 2\n\nok"
	unavailable = "HTTP/1.1 503 Service Unavailable\n"
	processing  = "HTTP/1.1 102 Processing\n"
	hints       = "HTTP/1.1 103 Early Hints\nLink: </a>\n\n"
	upgrade     = "HTTP/1.1 101 Switching Protocols\nConnection: Upgrade\nUpgrade: websocket\n\n"
)

// kilobyte is used in bodies and in headers.
var kilobyte = strings.Repeat("x", 1000)

// An oddAnswer is an unusual answer that is legal, or nearly so.
type oddAnswer struct {
	answer  answer
	endless bool // only the check's context ends the check
	want    probes.Reason
	code    int // status code; 0: no answer has arrived
}

var answers = map[string]oddAnswer{
	"100, 102, 103 first":  {say("HTTP/1.1 100 Continue\n\n" + processing + "\n" + hints + good), false, "", 200},
	"103 alone":            {say(hints), true, "timeout", 0},
	"103 and the end":      {hangUp(hints), false, "connection_lost", 0},
	"102 for ever":         {repeat("", processing+"A: "+kilobyte+"\n\n", 0), false, "failed", 0},
	"102 for ever, slowly": {repeat("", processing+"\n", time.Millisecond), true, "timeout", 0},

	"101":                    {say(upgrade), false, "misconfigured", 101},
	"101, and it talks":      {repeat(upgrade, "x", time.Millisecond), false, "misconfigured", 101},
	"101, and a good answer": {say(upgrade + good), false, "misconfigured", 101},
	"101 to nothing":         {say("HTTP/1.1 101 Switching Protocols\n\n"), false, "misconfigured", 101},
	"101 and the end":        {hangUp(upgrade), false, "misconfigured", 101},

	"204 with a body": {say("HTTP/1.1 204 No Content\nContent-Length: 5\n\nhello"), false, "", 204},
	"205 with a body": {say("HTTP/1.1 205 Reset Content\nContent-Length: 5\n\nhello"), false, "", 205},
	"304 with a body": {say("HTTP/1.1 304 Not Modified\nContent-Length: 5\n\nhello"), false, "misconfigured", 304},
	"302 to nowhere":  {say("HTTP/1.1 302 Found\nContent-Length: 0\n\n"), false, "misconfigured", 302},
	"999":             {say("HTTP/1.1 999 Other\nContent-Length: 0\n\n"), false, "failed", 999},

	"a body longer than it says":  {say(ok + "Content-Length: 2\n\nok, and more"), false, "", 200},
	"a body shorter than it says": {say(ok + "Content-Length: 5\n\nok"), true, "timeout", 200},
	"the same, and the end":       {hangUp(ok + "Content-Length: 5\n\nok"), false, "connection_lost", 200},
	"a 503 shorter than it says":  {hangUp(unavailable + "Content-Length: 5\n\nok"), false, "failed", 503},
	"a body up to the end":        {hangUp("HTTP/1.0 200 OK\n\nok"), false, "", 200},
	"a body without an end":       {repeat(ok+"\n", kilobyte, 0), false, "", 200},
	"a body that drips":           {repeat(ok+"\n", "x", 10*time.Millisecond), true, "timeout", 200},
	"a 503 that drips":            {repeat(unavailable+"\n", "x", 10*time.Millisecond), true, "failed", 503},

	"chunks without an end":      {repeat(chunked+"\n", "3e8\n"+kilobyte+"\n", 0), false, "", 200},
	"chunks that drip":           {repeat(chunked+"\n", "1\nx\n", 10*time.Millisecond), true, "timeout", 200},
	"no last chunk":              {say(chunked + "\n2\nok\n"), true, "timeout", 200},
	"no last chunk, and the end": {hangUp(chunked + "\n2\nok\n"), false, "connection_lost", 200},
	"half a chunk":               {say(chunked + "\n5\nok"), true, "timeout", 200},
	"a size that is none":        {say(chunked + "\nok\nok\n"), false, "failed", 200},
	"a trailer":                  {say(chunked + "Trailer: A\n\n2\nok\n0\nA: 1\n\n"), false, "", 200},
	"a trailer that never comes": {say(chunked + "Trailer: A\n\n2\nok\n0\n"), true, "timeout", 200},
	"a trailer that ends midway": {hangUp(chunked + "Trailer: A\n\n2\nok\n0\nA: "), false, "failed", 200},

	"an end instead of an answer": {hangUp(""), false, "connection_lost", 0},
	"an end in the headers":       {hangUp(ok + "Content-Length: 2\n"), false, "connection_lost", 0},
	"headers without an end":      {repeat(ok, "A: "+kilobyte+"\n", 0), false, "failed", 0},
	"headers that drip":           {repeat(ok, "A: x\n", 10*time.Millisecond), true, "timeout", 0},
	"two lengths":                 {say(ok + "Content-Length: 2\nContent-Length: 3\n\nok"), false, "failed", 0},
	"a status that is no number":  {say("HTTP/1.1 OK\n\n"), false, "misconfigured", 0},
	"another protocol":            {say("SSH-2.0-OpenSSH_9.2\n"), false, "misconfigured", 0},
}

// With any answer, a check ends with its context at the latest, has the right reason, and leaves neither a
// goroutine nor a connection. It is ok again with the next good answer.
func TestAnswers(t *testing.T) {
	old := log.Writer()
	log.SetOutput(io.Discard) // net/http logs bytes that follow an answer
	defer log.SetOutput(old)
	for name, test := range answers {
		t.Run(name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			testAnswer(t, test, func() {})
			leaktest.Verify(t, before)
		})
		t.Run(name+", to a client given", func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			transport := &http.Transport{MaxResponseHeaderBytes: 64 << 10}
			testAnswer(t, test, transport.CloseIdleConnections, httpprobe.Client(&http.Client{Transport: transport}))
			leaktest.Verify(t, before)
		})
	}
}

func testAnswer(t *testing.T, test oddAnswer, closeIdle func(), opts ...httpprobe.Option) {
	server := newRawServer(t, test.answer)
	probe := httpprobe.New("http://"+server.Addr().String(), opts...)
	limit := enough
	if test.endless {
		limit = 100 * time.Millisecond
	}
	result, reason := run(t, probe, limit)
	for test.endless && test.code != 0 && len(result.Details) == 0 && limit < enough {
		limit *= 5 // a slow machine may need longer until the status has arrived
		result, reason = run(t, probe, limit)
	}
	assert.Equal(t, test.want, reason, "%v", result.Err)
	assert.NotErrorIs(t, result.Err, context.Canceled)
	assert.Equal(t, test.want == "", result.Status == probes.OK)
	assert.Equal(t, test.code != 0, len(result.Details) == 1, "%v", result.Details)
	if test.code != 0 && len(result.Details) == 1 {
		assert.EqualValues(t, test.code, result.Details[0].Value.Int64())
	}

	well := say(good)
	server.answer.Store(&well)
	assert.Eventually(t, func() bool { // bytes that followed an answer may make the next check fail once
		result, _ = run(t, probe, enough)
		return result.Status == probes.OK
	}, enough, time.Millisecond)
	assert.NoError(t, probe.Close())
	closeIdle()
	server.closed(t)
}

func TestAnswersAreNamed(t *testing.T) {
	for text, want := range map[string]string{
		unavailable + "Content-Length: 0\n\n": "failed: HTTP status 503 Service Unavailable",
		upgrade: "misconfigured: HTTP status 101 Switching Protocols: " +
			"the server changes to another protocol, for which it was not asked",
	} {
		server := newRawServer(t, say(text))
		probe := newProbe(t, "http://"+server.Addr().String())
		result, _ := run(t, probe, enough)
		assert.EqualError(t, result.Err, want)
		assert.NoError(t, probe.Close())
		server.closed(t)
	}
}

// A connection that becomes idle after Close is closed too.
func TestCloseDuringCheck(t *testing.T) {
	asked, closed := make(chan struct{}), make(chan struct{})
	server := newRawServer(t, func(conn net.Conn) {
		close(asked)
		<-closed
		say(good)(conn)
	})
	probe := httpprobe.New("http://" + server.Addr().String())
	done := make(chan probes.Result)
	go func() { done <- probe.Check(t.Context()) }()
	<-asked
	assert.NoError(t, probe.Close())
	// After a check of another probe, the shared client keeps connections again.
	other := newProbe(t, newServer(t, func(http.ResponseWriter, *http.Request) {}).URL)
	assert.Equal(t, probes.OK, other.Check(t.Context()).Status)
	close(closed)
	assert.Equal(t, probes.OK, (<-done).Status)
	server.closed(t)
}
