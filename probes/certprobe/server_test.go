package certprobe_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/certprobe"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A server that requires a client certificate shows its own certificate first.
func TestServerWantsAClientCertificate(t *testing.T) {
	root := newAuthority(t, "Root")
	leaf := root.issue(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		address := serve(t, anyPort, &tls.Config{
			Certificates: []tls.Certificate{leaf.with()}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: poolOf(root),
			MinVersion: version, MaxVersion: version,
		})
		judgement{end: leaf.NotAfter}.holds(t, certprobe.Server(address, certprobe.RootCAs(poolOf(root))))
	}
}

// The next check sees a renewed certificate, even if the server uses session tickets.
func TestServerRenews(t *testing.T) {
	root := newAuthority(t, "Root")
	var shown atomic.Pointer[tls.Certificate]
	address := serve(t, anyPort, &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		return shown.Load(), nil
	}})
	probe := certprobe.Server(address, certprobe.RootCAs(poolOf(root)))
	for _, lasts := range []time.Duration{100 * day, 50 * day, 75 * day} {
		leaf := root.issue(t, valid(-day, lasts))
		chain := leaf.with()
		shown.Store(&chain)
		judgement{end: leaf.NotAfter}.holds(t, probe)
	}
}

// The probe requests the name of the host, or of ServerName. It requests no name for an IP address.
func TestServerName(t *testing.T) {
	root := newAuthority(t, "Root")
	leaf := root.issue(t, named("localhost", "orders.example"))
	chain := leaf.with()
	var asked atomic.Pointer[string]
	config := &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		asked.Store(&hello.ServerName)
		return &chain, nil
	}}
	_, port, err := net.SplitHostPort(serve(t, anyPort, config))
	require.NoError(t, err)
	tests := []struct {
		host string
		opts []certprobe.Option
		sni  string
		want probes.Reason
	}{
		{"localhost", nil, "localhost", ""},
		{"127.0.0.1", nil, "", ""},
		{"127.0.0.1", []certprobe.Option{certprobe.ServerName("x"), certprobe.ServerName("orders.example")}, "orders.example", ""},
		{"127.0.0.1", []certprobe.Option{certprobe.ServerName("mail.example")}, "mail.example", "certificate_wrong_name"},
		{"127.0.0.1", []certprobe.Option{certprobe.ServerName("127.0.0.2")}, "", "certificate_wrong_name"},
		{"localhost", []certprobe.Option{certprobe.ServerName("::1")}, "", ""},
	}
	for _, test := range tests {
		opts := append([]certprobe.Option{certprobe.RootCAs(poolOf(root))}, test.opts...)
		result, reason := check(t, certprobe.Server(net.JoinHostPort(test.host, port), opts...))
		assert.Equal(t, test.want, reason, "%v: %v", test.host, result.Err)
		assert.Equal(t, test.sni, *asked.Load())
	}
}

func TestServerOverIPv6(t *testing.T) {
	listener, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skipf("there is no IPv6 here: %v", err)
	}
	listener.Close()
	root := newAuthority(t, "Root")
	leaf := root.issue(t)
	address := serve(t, "[::1]:0", &tls.Config{Certificates: []tls.Certificate{leaf.with()}})
	judgement{end: leaf.NotAfter}.holds(t, certprobe.Server(address, certprobe.RootCAs(poolOf(root))))

	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	judgement{end: leaf.NotAfter}.holds(t, certprobe.Server("[::1%lo]:"+port, certprobe.RootCAs(poolOf(root))))
}

// record returns a TLS record.
func record(kind byte, body []byte) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{kind, 3, 3}, uint16(len(body))), body...)
}

// forever returns a function that writes a text again and again.
func forever(text []byte, pause time.Duration) func(net.Conn) {
	return func(conn net.Conn) {
		for {
			if _, err := conn.Write(text); err != nil {
				return
			}
			time.Sleep(pause) // the pace of a slow server; the test does not depend on it
		}
	}
}

// If a server is of another kind or broken, the check ends with a reason, and costs little time and memory.
func TestUnusualServer(t *testing.T) {
	alert := func(level, word byte) []byte { return record(21, []byte{level, word}) }
	hello := []byte{2, 0xff, 0xff, 0xff} // a ServerHello of 16 MB
	tests := map[string]struct {
		handle  func(net.Conn)
		want    probes.Reason
		endless bool // only the check's context ends the check
	}{
		"closes at once":         {func(net.Conn) {}, "connection_lost", false},
		"HTTP":                   {say("HTTP/1.1 400 Bad Request\r\n\r\n"), "tls_error", false},
		"SSH":                    {say("SSH-2.0-OpenSSH_9.2\r\n"), "tls_error", false},
		"an alert":               {say(string(alert(2, 40))), "tls_error", false},
		"warnings for ever":      {forever(alert(1, 90), 0), "tls_error", false},
		"noise for ever":         {forever(bytes.Repeat([]byte("x"), 1<<16), 0), "tls_error", false},
		"empty records for ever": {forever(record(22, nil), 0), "tls_error", false},
		"16 MB":                  {forever(record(22, bytes.Repeat(hello, 1<<12)), 0), "tls_error", false},
		"silence":                {func(conn net.Conn) { io.Copy(io.Discard, conn) }, "timeout", true},
		"a drip":                 {forever([]byte{22}, 10*time.Millisecond), "", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			address := listen(t, anyPort, func(conn net.Conn) {
				_, _ = conn.Read(make([]byte, 1<<12)) // the ClientHello
				test.handle(conn)
			})
			probe := certprobe.Server(address)
			if !test.endless {
				result, reason := check(t, probe)
				assert.Equal(t, test.want, reason, "%v", result.Err)
				assert.Empty(t, result.Details)
				return
			}
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			start := time.Now()
			result := probe.Check(ctx)
			assert.Equal(t, probes.Error, result.Status)
			assert.Less(t, time.Since(start), 5*time.Second)
		})
	}
}

func say(text string) func(net.Conn) {
	return func(conn net.Conn) {
		_, _ = io.WriteString(conn, text)
		_, _ = io.Copy(io.Discard, conn)
	}
}

func TestServerIsDown(t *testing.T) {
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(testserver.FreePort(t)))
	_, reason := check(t, certprobe.Server(address))
	assert.Equal(t, probes.ReasonConnectionRefused, reason)
}

// A server may stop after it has shown its certificate.
func TestServerHangsAfterItsCertificate(t *testing.T) {
	root := newAuthority(t, "Root")
	leaf := root.issue(t)
	config := &tls.Config{Certificates: []tls.Certificate{leaf.with()}, MaxVersion: tls.VersionTLS12}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	address := listen(t, anyPort, func(conn net.Conn) {
		tls.Server(&deaf{Conn: conn, then: cancel}, config).HandshakeContext(t.Context())
	})
	result := certprobe.Server(address, certprobe.RootCAs(poolOf(root))).Check(ctx)
	assert.Equal(t, probes.OK, result.Status, "%v", result.Err)
	assert.Equal(t, until(leaf.NotAfter), result.Details)
}

// deaf is a connection that sends only the ClientHello. It calls then when the client sends more.
type deaf struct {
	net.Conn
	then    func()
	written bool
}

func (d *deaf) Write(b []byte) (int, error) {
	d.written = true
	return d.Conn.Write(b)
}

func (d *deaf) Read(b []byte) (int, error) {
	if d.written {
		_, _ = d.Conn.Read(b)
		d.then()
		_, _ = io.Copy(io.Discard, d.Conn)
	}
	return d.Conn.Read(b)
}
