package testserver_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/echo-probes/echohealth/internal/leaktest"
	"github.com/echo-probes/echohealth/internal/testserver"
)

// echoServer answers each line with the same line, and returns its address.
func echoServer(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				io.Copy(conn, conn)
			}()
		}
	}()
	return listener.Addr().String()
}

// client is a connection to an echo server.
type client struct {
	net.Conn
	t      *testing.T
	answer *bufio.Reader
}

func dial(t *testing.T, addr string) *client {
	t.Helper()
	conn, err := net.DialTimeout("tcp4", addr, soon)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return &client{Conn: conn, t: t, answer: bufio.NewReader(conn)}
}

func (c *client) send(line string) {
	c.t.Helper()
	_, err := c.Write([]byte(line + "\n"))
	require.NoError(c.t, err)
}

func (c *client) expect(line string) {
	c.t.Helper()
	got, err := c.read(soon)
	require.NoError(c.t, err)
	require.Equal(c.t, line+"\n", got)
}

func (c *client) expectSilence() {
	c.t.Helper()
	got, err := c.read(quiet)
	require.ErrorIs(c.t, err, os.ErrDeadlineExceeded)
	require.Empty(c.t, got)
}

func (c *client) expectReset() {
	c.t.Helper()
	_, err := c.read(soon)
	require.ErrorIs(c.t, err, syscall.ECONNRESET)
}

func (c *client) read(limit time.Duration) (string, error) {
	require.NoError(c.t, c.SetReadDeadline(time.Now().Add(limit)))
	return c.answer.ReadString('\n')
}

func TestProxyPass(t *testing.T) {
	proxy := testserver.NewProxy(t, echoServer(t))
	c := dial(t, proxy.Addr())
	c.send("one")
	c.expect("one")
	assert.Equal(t, 1, proxy.Accepted())
	assert.Equal(t, 1, proxy.Open())

	require.NoError(t, c.Conn.(*net.TCPConn).CloseWrite())
	_, err := c.read(soon)
	require.ErrorIs(t, err, io.EOF, "the end of the server's answers is passed on")
	assert.Equal(t, 1, proxy.Accepted())
	assert.Zero(t, proxy.Open())
}

func TestProxyDelay(t *testing.T) {
	proxy := testserver.NewProxy(t, echoServer(t))
	c := dial(t, proxy.Addr())
	const d = 100 * time.Millisecond
	proxy.Delay(d)
	start := time.Now()
	c.send("one")
	time.Sleep(d / 2) // the second chunk must not wait for the delay of the first chunk and for its own
	c.send("two")
	c.expect("one")
	assert.GreaterOrEqual(t, time.Since(start), d)
	c.expect("two")
	assert.GreaterOrEqual(t, time.Since(start), d+d/2)

	proxy.Delay(time.Hour)
	c.send("three")
	c.expectSilence()
	proxy.Pass()
	c.expect("three")
}

func TestProxyStall(t *testing.T) {
	proxy := testserver.NewProxy(t, echoServer(t))
	old := dial(t, proxy.Addr())
	proxy.Stall()
	old.send("held")
	old.expectSilence()
	young := dial(t, proxy.Addr())
	young.send("also held")
	young.expectSilence()
	gone := dial(t, proxy.Addr())
	require.Eventually(t, func() bool { return proxy.Open() == 3 }, soon, time.Millisecond)
	gone.Close()
	require.Eventually(t, func() bool { return proxy.Open() == 2 }, soon, time.Millisecond,
		"a client that gives up is noticed")

	proxy.Pass()
	old.expect("held")
	young.expect("also held")
}

func TestProxyRefuse(t *testing.T) {
	proxy := testserver.NewProxy(t, echoServer(t))
	c := dial(t, proxy.Addr())
	c.send("one")
	c.expect("one")
	proxy.Refuse()
	proxy.Refuse()
	c.expectReset()
	_, err := net.DialTimeout("tcp4", proxy.Addr(), soon)
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	assert.Zero(t, proxy.Open())

	proxy.Pass()
	c = dial(t, proxy.Addr())
	c.send("two")
	c.expect("two")
	assert.Equal(t, 2, proxy.Accepted())
}

func TestProxyReset(t *testing.T) {
	proxy := testserver.NewProxy(t, echoServer(t))
	c := dial(t, proxy.Addr())
	c.send("one")
	c.expect("one")
	proxy.Reset()
	c.expectReset()
	assert.Zero(t, proxy.Open())
	c = dial(t, proxy.Addr())
	c.send("two")
	c.expect("two")
}

func TestProxySilent(t *testing.T) {
	proxy := testserver.NewProxy(t, echoServer(t))
	old := dial(t, proxy.Addr())
	old.send("one")
	old.expect("one") // the connection is now served, not only queued
	proxy.Silent()
	young := dial(t, proxy.Addr())
	require.Eventually(t, func() bool { return proxy.Accepted() == 2 }, soon, time.Millisecond)
	old.send("lost")
	old.expectSilence()
	young.send("lost")
	young.expectSilence()

	proxy.Pass()
	old.send("heard")
	old.expect("heard")
	young.send("lost too")
	young.expectSilence()
	require.NoError(t, young.Close())
	require.Eventually(t, func() bool { return proxy.Open() == 1 }, soon, time.Millisecond)
}

func TestProxyDrip(t *testing.T) {
	proxy := testserver.NewProxy(t, echoServer(t))
	c := dial(t, proxy.Addr())
	const perByte = 10 * time.Millisecond
	proxy.Drip(perByte)
	start := time.Now()
	c.send("slow")
	c.expect("slow")
	assert.GreaterOrEqual(t, time.Since(start), time.Duration(len("slow\n"))*perByte)
}

func TestProxyResetOnReply(t *testing.T) {
	proxy := testserver.NewProxy(t, echoServer(t))
	c := dial(t, proxy.Addr())
	proxy.ResetOnReply()
	c.expectSilence()
	require.Eventually(t, func() bool { return proxy.Open() == 1 }, soon, time.Millisecond)
	c.send("one")
	c.expectReset()
}

func TestProxyTargetRefuses(t *testing.T) {
	proxy := testserver.NewProxy(t, fmt.Sprintf("127.0.0.1:%d", testserver.FreePort(t)))
	conn, err := net.DialTimeout("tcp4", proxy.Addr(), soon)
	if err == nil {
		defer conn.Close()
		require.NoError(t, conn.SetDeadline(time.Now().Add(soon)))
		_, err = conn.Read(make([]byte, 1))
	}
	require.ErrorIs(t, err, syscall.ECONNRESET)
}

func TestProxyPassesReset(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	proxy := testserver.NewProxy(t, listener.Addr().String())
	c := dial(t, proxy.Addr())
	server, err := listener.Accept()
	require.NoError(t, err)
	require.NoError(t, server.(*net.TCPConn).SetLinger(0))
	require.NoError(t, server.Close())
	c.expectReset()
}

func TestProxyGoroutines(t *testing.T) {
	target := echoServer(t)
	before := goleak.IgnoreCurrent()
	proxy := testserver.NewProxy(t, target)
	for _, mode := range []func(){proxy.Pass, proxy.Stall, proxy.Silent} {
		mode()
		dial(t, proxy.Addr()).send("one")
	}
	require.Eventually(t, func() bool { return proxy.Open() == 3 }, soon, time.Millisecond)
	leaktest.Verify(t, before, goleak.IgnoreAnyFunction(testserver.ProxyGoroutine),
		goleak.IgnoreAnyFunction("io.Copy")) // the goroutines of the target
}

func TestProxyRedirect(t *testing.T) {
	proxy := testserver.NewProxy(t, echoServer(t))
	before := dial(t, proxy.Addr())
	before.send("one")
	before.expect("one")
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	go func() {
		if conn, err := listener.Accept(); err == nil {
			io.WriteString(conn, "other\n")
			conn.Close()
		}
	}()

	proxy.Redirect(listener.Addr().String())
	before.send("two")
	before.expect("two") // the connection stays with the first target
	dial(t, proxy.Addr()).expect("other")
}

func TestProxyDrop(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("it needs Linux")
	}
	proxy := testserver.NewProxy(t, echoServer(t))
	before := dial(t, proxy.Addr())
	before.send("one")
	before.expect("one")

	proxy.Drop()
	before.expectReset()
	for range 3 {
		_, err := net.DialTimeout("tcp4", proxy.Addr(), quiet)
		require.ErrorContains(t, err, "i/o timeout")
	}
	proxy.Refuse()
	_, err := net.DialTimeout("tcp4", proxy.Addr(), soon)
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	proxy.Drop()
	proxy.Pass()
	after := dial(t, proxy.Addr())
	after.send("two")
	after.expect("two")
}
