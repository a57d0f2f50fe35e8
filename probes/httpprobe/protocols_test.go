package httpprobe_test

import (
	"bufio"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/httpprobe"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// newConnServer makes a server that calls serve for each connection, and returns its address.
func newConnServer(t *testing.T, serve func(conn net.Conn, r *bufio.Reader)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				serve(conn, bufio.NewReader(conn))
			})
		}
	})
	t.Cleanup(func() {
		assert.NoError(t, listener.Close())
		serving.Wait()
	})
	return listener.Addr().String()
}

// greeter makes a server that writes a text to each connection before it has read anything, as servers of
// some protocols do.
func greeter(t *testing.T, text string, hangsUp bool) string {
	t.Helper()
	return newConnServer(t, func(conn net.Conn, r *bufio.Reader) {
		_, _ = io.WriteString(conn, text)
		if !hangsUp {
			_, _ = io.Copy(io.Discard, r)
		}
	})
}

func TestMain(m *testing.M) { testserver.Main(m) }

// A server of another protocol is misconfigured, whether it sends first, answers, or closes the connection.
func TestOtherProtocols(t *testing.T) {
	old := log.Writer()
	log.SetOutput(io.Discard)
	defer log.SetOutput(old)
	const mysql = "J\x00\x00\x00\n8.0.36\x00\x08\x00\x00\x00abcdefgh\x00\xff\xf7\xff\x02\x00\xff\xdf\x15\x00"
	tests := map[string]func(t *testing.T) string{
		"PostgreSQL":                 func(t *testing.T) string { return testserver.SharedPostgres(t).Addr() },
		"PostgreSQL, asked by https": func(t *testing.T) string { return testserver.SharedPostgres(t).Addr() },
		"Redis":                      func(t *testing.T) string { return testserver.SharedRedis(t).Addr() },
		"RabbitMQ":                   func(t *testing.T) string { return testserver.SharedRabbitMQ(t).Addr() },
		"SSH":                        func(t *testing.T) string { return greeter(t, "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", false) },
		"SMTP":                       func(t *testing.T) string { return greeter(t, "220 mail ESMTP Postfix\r\n", false) },
		"MySQL":                      func(t *testing.T) string { return greeter(t, mysql, false) },
		"MySQL that hangs up": func(t *testing.T) string {
			return greeter(t, "E\x00\x00\x00\xffj\x04Host '127.0.0.1' is not allowed to connect", true)
		},
		"gRPC": func(t *testing.T) string {
			return greeter(t, "\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00\x40\x00", false)
		},
		"Memcached": func(t *testing.T) string {
			return newRawServer(t, say("ERROR\nERROR\n")).Addr().String()
		},
		"MongoDB": func(t *testing.T) string { return newRawServer(t, hangUp(mongoDB)).Addr().String() },
		"NATS":    func(t *testing.T) string { return greeter(t, "INFO {\"server_id\":\"A\"} \r\n", false) },
		"Elasticsearch's transport": func(t *testing.T) string {
			return newRawServer(t, hangUp("HTTP/1.0 400 Bad Request\nContent-Type: text/plain; charset=UTF-8\n"+
				"Content-Length: 24\n\nThis is not an HTTP port")).Addr().String()
		},
		"Elasticsearch's transport, old": func(t *testing.T) string {
			return newRawServer(t, hangUp("This is not an HTTP port")).Addr().String()
		},
		"ClickHouse": func(t *testing.T) string {
			return newRawServer(t, hangUp("HTTP/1.0 400 Bad Request\n\nPort 9000 is for clickhouse-client program\n"+
				"You must use port 8123 for HTTP.\n")).Addr().String()
		},
		"HTTPS of Go, such as Docker and etcd": func(t *testing.T) string {
			server := httptest.NewUnstartedServer(nil)
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			server.StartTLS()
			t.Cleanup(server.Close)
			return server.Listener.Addr().String()
		},
	}
	for name, start := range tests {
		t.Run(name, func(t *testing.T) {
			url := "http://" + start(t) + "/healthz"
			if strings.HasSuffix(name, "by https") {
				url = strings.Replace(url, "http:", "https:", 1)
			}
			probe := newProbe(t, url)
			for range 3 {
				result, reason := run(t, probe, enough)
				assert.Equal(t, probes.Error, result.Status)
				assert.Equal(t, probes.ReasonMisconfigured, reason, "%v", result.Err)
			}
		})
	}
}

// mongoDB is the answer of MongoDB's port to a GET request.
const mongoDB = "HTTP/1.0 200 OK\nConnection: close\nContent-Type: text/plain\nContent-Length: 85\n\n" +
	"It looks like you are trying to access MongoDB over HTTP on the native driver port.\n"

// Expect is not called for the answer of MongoDB. It gets the whole body of any other answer by HTTP/1.0.
func TestExpectOfAnAnswerByHTTP10(t *testing.T) {
	var bodies []string
	expect := httpprobe.Expect(func(_ int, body []byte) error {
		bodies = append(bodies, string(body))
		return nil
	})
	result, reason := run(t, newProbe(t, "http://"+newRawServer(t, hangUp(mongoDB)).Addr().String(), expect), enough)
	assert.Equal(t, probes.ReasonMisconfigured, reason)
	assert.ErrorContains(t, result.Err, "the port is that of MongoDB's own protocol")
	assert.Empty(t, bodies)
	body := strings.Repeat("0123456789", 100)
	for _, opts := range [][]httpprobe.Option{{expect}, nil} {
		old := newRawServer(t, hangUp("HTTP/1.0 200 OK\n\n"+body))
		result, _ = run(t, newProbe(t, "http://"+old.Addr().String(), opts...), enough)
		assert.Equal(t, probes.OK, result.Status, "%v", result.Err)
	}
	assert.Equal(t, []string{body}, bodies)
}

// With the option Client, the probe recognizes such a server by the errors of net/http.
func TestOtherProtocolsToAClientGiven(t *testing.T) {
	old := log.Writer()
	log.SetOutput(io.Discard) // net/http logs bytes that arrive before its request
	defer log.SetOutput(old)
	transport := new(http.Transport)
	defer transport.CloseIdleConnections()
	for name, address := range map[string]string{
		"RabbitMQ":  testserver.SharedRabbitMQ(t).Addr(),
		"SSH":       greeter(t, "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", false),
		"Memcached": newRawServer(t, say("ERROR\nERROR\n")).Addr().String(),
	} {
		probe := newProbe(t, "http://"+address, httpprobe.Client(&http.Client{Transport: transport}))
		for range 3 {
			result, reason := run(t, probe, enough)
			assert.Equal(t, probes.ReasonMisconfigured, reason, "%s: %v", name, result.Err)
		}
	}
}

// If the URL has answered by HTTP before, the probe does not ask a server that closes the connection for its
// protocol. For a server of an unknown protocol, the reason is connection_lost.
func TestAServerThatHangsUp(t *testing.T) {
	silent := newRawServer(t, hangUp(""))
	probe := newProbe(t, "http://"+silent.Addr().String())
	for range 3 {
		result, reason := run(t, probe, enough)
		assert.Equal(t, probes.ReasonConnectionLost, reason, "%v", result.Err)
	}
	well, bad := say(good), hangUp("")
	silent.answer.Store(&well)
	result, _ := run(t, probe, enough)
	require.Equal(t, probes.OK, result.Status, "%v", result.Err)
	silent.answer.Store(&bad)
	before := silent.accepted.Load()
	for range 3 {
		_, reason := run(t, probe, enough)
		assert.Equal(t, probes.ReasonConnectionLost, reason)
	}
	assert.LessOrEqual(t, silent.accepted.Load()-before, int64(3), "no more connections than checks")
	require.NoError(t, probe.Close())
	silent.closed(t)
}

// A body by HTTP/1.0 that does not end is a timeout, as any other.
func TestBodyByHTTP10ThatStalls(t *testing.T) {
	server := newRawServer(t, say("HTTP/1.0 200 OK\nContent-Length: 85\n\nIt looks"))
	for _, opts := range [][]httpprobe.Option{nil, {httpprobe.Expect(func(int, []byte) error { return nil })}} {
		result, reason := run(t, newProbe(t, "http://"+server.Addr().String(), opts...), 200*time.Millisecond)
		assert.Equal(t, probes.Error, result.Status)
		assert.Equal(t, probes.ReasonTimeout, reason, "%v", result.Err)
	}
}
