package healthcheck_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/echo-probes/echohealth/healthcheck"
	"github.com/echo-probes/echohealth/healthcheck/internal/testservice"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// rawServer reads the request of each connection, calls then, and closes the connection.
func rawServer(t testing.TB, then func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = http.ReadRequest(bufio.NewReader(conn))
			then(conn)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	return "http://" + listener.Addr().String()
}

// sending returns the behaviour of a server that sends a text.
func sending(text string) func(net.Conn) {
	return func(conn net.Conn) { _, _ = io.WriteString(conn, text) }
}

// hang sends nothing until the client closes the connection.
func hang(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }

// timeoutFor returns a short timeout for a case without an answer, and a long one for other cases.
func timeoutFor(want string) string {
	if strings.Contains(want, "no answer") {
		return "300ms"
	}
	return testservice.LongTimeout.String()
}

func TestBrokenServers(t *testing.T) {
	const ready = "Content-Length: 18\r\n\r\n{\"status\":\"ready\"}"
	endless := func(begin, more string) func(net.Conn) {
		return func(conn net.Conn) {
			_, err := io.WriteString(conn, begin)
			for err == nil {
				_, err = io.WriteString(conn, more)
			}
		}
	}
	tests := []struct {
		name string
		then func(net.Conn)
		want string
	}{
		{"hangs at once", hang, "no answer within 300ms\n"},
		{"hangs in the head", func(c net.Conn) { sending("HTTP/1.1 200 OK\r\nX:")(c); hang(c) }, "no answer within 300ms\n"},
		{"hangs in the body", func(c net.Conn) { sending("HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n{\"st")(c); hang(c) }, "no answer within 300ms\n"},
		{"drips", func(c net.Conn) {
			for _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nX: "); err == nil; _, err = io.WriteString(c, "x") {
				time.Sleep(10 * time.Millisecond)
			}
		}, "no answer within 300ms\n"},
		{"closes", func(net.Conn) {}, "connection closed without a whole answer\n"},
		{"closes in the body", sending("HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n{\"st"), "connection closed without a whole answer\n"},
		{"is no HTTP server", sending("\x1b[31mSSH-2.0-OpenSSH\r\n\r\n"), "the answer is not HTTP\n"},
		{"has a broken head", sending("HTTP/1.1 200 OK\r\n\x1b]0;title\x07\r\n\r\n"), "the answer is not HTTP\n"},
		{"has a huge body", endless("HTTP/1.1 200 OK\r\n\r\n", strings.Repeat("x", 1<<16)), "the answer is larger than 1 MB\n"},
		{"has a huge head", endless("HTTP/1.1 200 OK\r\n", "X: "+strings.Repeat("x", 1<<16)+"\r\n"), "the answer is larger than 1 MB\n"},
		{"has a huge line", endless("HTTP/1.1 200 ", strings.Repeat("x", 1<<16)), "the answer is larger than 1 MB\n"},
		{"says more than its answer", sending("HTTP/1.1 200 OK\r\n" + ready + ready), "the server sent more than its answer\n"},
		{"announces without end", sending(strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 50)), "the answer is not HTTP\n"},
		{"announces once", sending("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n" + ready), "ready in "},
		{"speaks HTTP/1.0", sending("HTTP/1.0 200 OK\r\n\r\n{\"status\":\"ready\"}"), "ready in "},
		{"sends chunks", sending("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n12\r\n{\"status\":\"ready\"}\r\n0\r\n\r\n"), "ready in "},
		{"colours its status line", sending("HTTP/1.1 500 \x1b[31mred\r\nContent-Length: 0\r\n\r\n"), "500 Internal Server Error in "},
		{"redirects", sending("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"), "302 Found in "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			code, stdout, _ := command("--timeout", timeoutFor(test.want), rawServer(t, test.then))
			assert.Less(t, time.Since(began), testservice.LongTimeout)
			assert.Contains(t, stdout, test.want)
			assert.NotContains(t, stdout, "\x1b")
			assert.Equal(t, strings.Contains(test.want, "ready"), code == 0)
		})
	}
}

func TestUnreachable(t *testing.T) {
	for want, url := range map[string]string{
		"connection refused\n": "http://" + testservice.ClosedPort(t),
		"host not found\n":     "http://no-such-host..invalid", // a name with an empty label does not exist, and no name server is needed to know that
	} {
		code, stdout, _ := command("--timeout", "10s", url)
		assert.Equal(t, 1, code)
		assert.Equal(t, want, stdout)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	asked := 0
	url := testservice.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		http.Redirect(w, r, "/elsewhere", http.StatusMovedPermanently)
	}))
	code, stdout, _ := command(url)
	assert.Equal(t, 1, code)
	assert.Contains(t, stdout, "301 Moved Permanently in ")
	assert.Contains(t, stdout, ": redirects are not followed\n")
	assert.Equal(t, 1, asked)
}

func TestTLS(t *testing.T) {
	handler := testservice.Answering(200, `{"status":"ready"}`)
	server := newTLSServer(handler)
	t.Cleanup(server.Close)
	tests := []struct {
		name, url, want string
	}{
		{"another's certificate", strings.Replace(server.URL, "127.0.0.1", "localhost", 1), "^the certificate is not accepted: it is for example.com, .* and others, and not for localhost \\(--server-name .*\n$"},
		{"http to https", strings.Replace(server.URL, "https", "http", 1), "^400 Bad Request in .*\n$"},
		{"https to http", strings.Replace(testservice.Serve(t, handler), "http", "https", 1), "^the server does not speak TLS\n$"},
		{"no handshake", "https://" + silentListener(t), "^no answer within 300ms\n$"},
		{"a server of HTTP/2 is asked by HTTP/1.1", server.URL, "^ready in .*\n$"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
				t.Skip("SSL_CERT_FILE means nothing here")
			}
			code, stdout, _ := command("--timeout", timeoutFor(test.want), test.url)
			assert.Regexp(t, test.want, stdout)
			assert.Equal(t, strings.HasPrefix(test.want, "^ready"), code == 0)
		})
	}
}

// newTLSServer returns a server with a certificate for 127.0.0.1 and example.com.
func newTLSServer(handler http.Handler) *httptest.Server {
	server := httptest.NewUnstartedServer(handler)
	server.EnableHTTP2 = true
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	return server
}

// trustTestServers makes the system trust the certificate of newTLSServer. It must run before the first TLS
// connection, because package x509 loads the trusted certificates once.
func trustTestServers() {
	server := newTLSServer(nil)
	defer server.Close()
	file, err := os.CreateTemp("", "healthcheck-*.pem")
	if err != nil {
		panic(err)
	}
	defer file.Close()
	if err := pem.Encode(file, &pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}); err != nil {
		panic(err)
	}
	_ = os.Setenv("SSL_CERT_FILE", file.Name())
}

// silentListener accepts connections and sends nothing.
func silentListener(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	return listener.Addr().String() // the kernel accepts the connections
}

// The output has texts of the server only in printable ASCII.
func TestControlCharacters(t *testing.T) {
	controls := `\u001b[2J\u0007\u009b31m\r\nfake: ok\u202e`
	bodies := []string{
		fmt.Sprintf(`{"status":"%s"}`, controls),
		fmt.Sprintf(`{"status":"ready","reason":"%s","version":"%[1]s","x":"%[1]s"}`, controls),
		fmt.Sprintf(`{"status":"ready","%s":1,"checks":{"%[1]s":{"status":"%[1]s","reason":"%[1]s","response_time_ms":"%[1]s","%[1]s":"%[1]s"}}}`, controls),
		"{\"status\":\"ready\",\"a\":\"\x7f\xff\xc2\x9b\"}",
	}
	for _, body := range bodies {
		url := testservice.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "\x9b31m\u202e")
			_, _ = io.WriteString(w, body)
		}))
		for _, args := range [][]string{{url}, {"--all", url}, {url, url}} {
			_, stdout, stderr := command(args...)
			assert.Regexp(t, `^[ -~\n]+$`, stdout)
			assert.Empty(t, stderr)
			assert.NotContains(t, stdout, "\nfake")
		}
	}
}

// An interrupted watch must not wait for an answer.
func TestAnInterruptedWatchDoesNotWait(t *testing.T) {
	asked := make(chan struct{}, 1)
	url := rawServer(t, func(conn net.Conn) {
		asked <- struct{}{}
		hang(conn)
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan int)
	var out bytes.Buffer
	go func() { done <- healthcheck.Run(ctx, []string{"--watch", "--timeout=1h", url}, &out, io.Discard) }()
	<-asked
	cancel()
	select {
	case code := <-done:
		assert.Equal(t, 1, code, "no answer was well")
		assert.Regexp(t, `^0 of 0 answers failed in .*\n$`, out.String())
	case <-time.After(testservice.LongTimeout):
		t.Fatal("the watch still waits")
	}
}
