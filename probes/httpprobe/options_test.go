package httpprobe_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/httpprobe"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// notRed judges the status of an Elasticsearch cluster.
func notRed(status int, body []byte) error {
	switch {
	case status != http.StatusOK:
		return fmt.Errorf("HTTP status %d", status)
	case bytes.Contains(body, []byte(`"status":"red"`)):
		return probes.Fail("cluster_red", nil)
	case bytes.Contains(body, []byte(`"status":"yellow"`)):
		return probes.Warn("cluster_yellow", errors.New("a replica is missing"))
	}
	return nil
}

func TestExpect(t *testing.T) {
	anything := func(int, []byte) error { return nil }
	tests := map[string]struct {
		expect func(int, []byte) error
		answer answer
		status probes.Status
		reason probes.Reason
	}{
		"green":              {notRed, say(ok + "Content-Length: 18\n\n" + `{"status":"green"}`), probes.OK, ""},
		"yellow":             {notRed, say(ok + "Content-Length: 19\n\n" + `{"status":"yellow"}`), probes.Warning, "cluster_yellow"},
		"red":                {notRed, say(ok + "Content-Length: 16\n\n" + `{"status":"red"}`), probes.Error, "cluster_red"},
		"a plain error":      {notRed, say(unavailable + "Content-Length: 0\n\n"), probes.Error, "failed"},
		"it alone decides":   {anything, say(unavailable + "Content-Length: 0\n\n"), probes.OK, ""},
		"a redirect":         {anything, say("HTTP/1.1 302 Found\nLocation: /\nContent-Length: 0\n\n"), probes.OK, ""},
		"a longer body":      {anything, repeat(ok+"\n", kilobyte, 0), probes.OK, ""},
		"a body without end": {anything, hangUp(ok + "Content-Length: 5\n\nok"), probes.Error, "connection_lost"},
		"101":                {anything, say(upgrade), probes.Error, "misconfigured"},
		"no answer":          {anything, hangUp(""), probes.Error, "connection_lost"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server := newRawServer(t, test.answer)
			probe := newProbe(t, "http://"+server.Addr().String(), httpprobe.Expect(test.expect))
			result, reason := run(t, probe, enough)
			assert.Equal(t, test.status, result.Status, "%v", result.Err)
			assert.Equal(t, test.reason, reason, "%v", result.Err)
			require.NoError(t, probe.Close())
			server.closed(t)
		})
	}
}

func TestExpectGetsTheBeginningOfTheBody(t *testing.T) {
	for _, size := range []int{0, 1, 4 << 10, 4<<10 + 1, 1 << 20} {
		server := newServer(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusTeapot)
			_, _ = io.WriteString(w, strings.Repeat("x", size))
		})
		probe := newProbe(t, server.URL, httpprobe.Expect(func(int, []byte) error { return errors.New("the first use") }),
			httpprobe.Expect(func(status int, body []byte) error {
				assert.Equal(t, http.StatusTeapot, status)
				assert.Len(t, body, min(size, 4<<10))
				return nil
			}))
		result, _ := run(t, probe, enough)
		assert.Equal(t, probes.OK, result.Status, "%v", result.Err)
		assert.EqualValues(t, http.StatusTeapot, result.Details[0].Value.Int64())
	}
}

// A panic in the function of Expect is left to the health checks, and leaves no connection behind.
func TestExpectPanics(t *testing.T) {
	server := newRawServer(t, say(good))
	probe := newProbe(t, "http://"+server.Addr().String(), httpprobe.Expect(func(int, []byte) error { panic("a bug") }))
	assert.PanicsWithValue(t, "a bug", func() { probe.Check(t.Context()) })
	require.NoError(t, probe.Close())
	server.closed(t)
}

func TestRequestOptions(t *testing.T) {
	var got *http.Request
	server := newServer(t, func(_ http.ResponseWriter, r *http.Request) { got = r })
	ask := func(opts ...httpprobe.Option) {
		t.Helper()
		target := strings.Replace(server.URL, "http://", "http://of:url@", 1)
		_, reason := run(t, newProbe(t, target, opts...), enough)
		require.Empty(t, reason)
	}
	for _, method := range []string{"GET", "HEAD", "OPTIONS", "M-SEARCH"} {
		ask(httpprobe.Method("POST"), httpprobe.Method(method))
		assert.Equal(t, method, got.Method)
		assert.Zero(t, got.ContentLength)
	}
	for _, host := range []string{"billing.example", "billing.example:8080", "[::1]:80", "10.0.0.1"} {
		ask(httpprobe.Host("other"), httpprobe.Host(host))
		assert.Equal(t, host, got.Host)
		ask(httpprobe.Header("host", host))
		assert.Equal(t, host, got.Host)
	}

	ask(httpprobe.BearerToken("t0ken"), httpprobe.BasicAuth("app", "s3:c ret/ä"))
	user, password, _ := got.BasicAuth()
	assert.Equal(t, "app s3:c ret/ä", user+" "+password)
	ask(httpprobe.BasicAuth("", "s3cret"))
	user, password, _ = got.BasicAuth()
	assert.Equal(t, " s3cret", user+" "+password)
	ask(httpprobe.BasicAuth("app", ""), httpprobe.BearerToken("a b~+/="))
	assert.Equal(t, []string{"Bearer a b~+/="}, got.Header.Values("Authorization"))
	ask()
	user, _, _ = got.BasicAuth()
	assert.Equal(t, "of", user)
}

func TestInvalidOptions(t *testing.T) {
	const header = `httpprobe.Header("Authorization", …): the header must be set only once`
	tests := []struct {
		opts []httpprobe.Option
		want string
	}{
		{[]httpprobe.Option{httpprobe.Expect(nil)}, `httpprobe.Expect(nil): the function must not be nil`},
		{[]httpprobe.Option{httpprobe.Method("")}, `httpprobe.Method(""): the method must consist of A to Z`},
		{[]httpprobe.Option{httpprobe.Method("get")}, `httpprobe.Method("get"): the method must consist of A to Z`},
		{[]httpprobe.Option{httpprobe.Method("GET /")}, `httpprobe.Method("GET /"): the method must`},
		{[]httpprobe.Option{httpprobe.Method("CONNECT")}, `httpprobe.Method("CONNECT"): the method must`},
		{[]httpprobe.Option{httpprobe.Host("")}, `httpprobe.Host(""): it must be a host`},
		{[]httpprobe.Option{httpprobe.Host(":80")}, `httpprobe.Host(":80"): it must be a host`},
		{[]httpprobe.Option{httpprobe.Host("a b")}, `httpprobe.Host("a b"): it must be a host`},
		{[]httpprobe.Option{httpprobe.Host("a\r\nX: s3cret")}, `httpprobe.Host("a\r\nX: s3cret"): it must be a host`},
		{[]httpprobe.Option{httpprobe.Host("billing/healthz")}, `httpprobe.Host("billing/healthz"): it must be a host`},
		{[]httpprobe.Option{httpprobe.Host("http://billing")}, `httpprobe.Host("http://billing"): it must be a host`},
		{[]httpprobe.Option{httpprobe.Host("app:s3cret@billing")}, `httpprobe.Host("***@billing"): it must be a host`},
		{[]httpprobe.Option{httpprobe.Header("Host", "a b")}, `httpprobe.Host("a b"): it must be a host`},
		{[]httpprobe.Option{httpprobe.Header("content-length", "1")}, `httpprobe.Header("content-length", …): the key must not be`},
		{[]httpprobe.Option{httpprobe.BasicAuth("", "")}, `httpprobe.BasicAuth("", …): the user and the password must not both be empty`},
		{[]httpprobe.Option{httpprobe.BasicAuth("app:s3cret", "s3cret")}, `httpprobe.BasicAuth("app:***", …): the user must not contain a colon`},
		{[]httpprobe.Option{httpprobe.BasicAuth("app", "s3cret\n")}, `httpprobe.BasicAuth("app", …): the user and the password must not contain a control`},
		{[]httpprobe.Option{httpprobe.BasicAuth("ap\np", "s3cret")}, `httpprobe.BasicAuth("ap\np", …): the user and the password must not contain`},
		{[]httpprobe.Option{httpprobe.BearerToken("")}, `httpprobe.BearerToken(…): the token must not be empty`},
		{[]httpprobe.Option{httpprobe.BearerToken("s3cret\n")}, `httpprobe.BearerToken(…): the token must not begin or end with white space`},
		{[]httpprobe.Option{httpprobe.BearerToken("s3\x00cret")}, `httpprobe.BearerToken(…): the token must not contain a control character`},
		{[]httpprobe.Option{httpprobe.BearerToken("Bearer s3cret")}, `httpprobe.BearerToken(…): the token must not begin with the word Bearer`},
		{[]httpprobe.Option{httpprobe.BearerToken("s3cret"), httpprobe.Header("authorization", "Basic s3cret")}, header},
		{[]httpprobe.Option{httpprobe.Header("Authorization", "s3cret"), httpprobe.Header("Authorization", "x")}, header},
		{[]httpprobe.Option{httpprobe.TLSConfig(nil)}, `httpprobe.TLSConfig(nil): the configuration must not be nil`},
		{[]httpprobe.Option{httpprobe.TLSConfig(&tls.Config{}), httpprobe.Client(http.DefaultClient)},
			`httpprobe.TLSConfig: the client of the option Client has its own`},
	}
	for _, test := range tests {
		err := httpprobe.New("https://billing/", test.opts...).Validate()
		if assert.ErrorContains(t, err, test.want) && !strings.Contains(test.want, "s3cret") {
			assert.NotContains(t, err.Error(), "s3cret")
		}
	}
	err := httpprobe.New("http://billing/", httpprobe.TLSConfig(&tls.Config{})).Validate()
	assert.ErrorContains(t, err, "httpprobe.TLSConfig: it has no effect on a URL of the scheme http")
	err = httpprobe.New("", httpprobe.TLSConfig(&tls.Config{}), httpprobe.Method("x"), httpprobe.BearerToken("")).Validate()
	assert.Len(t, strings.Split(err.Error(), "\n"), 3, "every mistake is named: %v", err)
}

func TestTLSConfig(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ErrorLog = nil
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	server.StartTLS()
	defer server.Close()
	authorities := x509.NewCertPool()
	authorities.AddCert(server.Certificate())
	config := &tls.Config{RootCAs: authorities, ServerName: "example.com", Certificates: server.TLS.Certificates}
	probe := newProbe(t, server.URL, httpprobe.TLSConfig(&tls.Config{}), httpprobe.TLSConfig(config))
	config.RootCAs, config.Certificates = nil, nil // the probe has a copy
	result, _ := run(t, probe, enough)
	assert.Equal(t, probes.OK, result.Status, "%v", result.Err)

	for name, config := range map[string]*tls.Config{
		"no client certificate": {RootCAs: authorities, ServerName: "example.com"},
		"another name":          {RootCAs: authorities, ServerName: "billing.internal", Certificates: server.TLS.Certificates},
		"no authority":          {Certificates: server.TLS.Certificates},
	} {
		result, reason := run(t, newProbe(t, server.URL, httpprobe.TLSConfig(config)), enough)
		assert.Equal(t, probes.ReasonTLSError, reason, "%s: %v", name, result.Err)
	}
	_, reason := run(t, newProbe(t, server.URL), enough)
	assert.Equal(t, probes.ReasonTLSError, reason, "the other probes must not have the option")
	require.NoError(t, probe.Close())
}

// proxied returns the option Client with a client that uses a proxy.
func proxied(t *testing.T, proxy string) httpprobe.Option {
	t.Helper()
	target, err := url.Parse(proxy)
	require.NoError(t, err)
	transport := &http.Transport{Proxy: http.ProxyURL(target)}
	t.Cleanup(transport.CloseIdleConnections)
	return httpprobe.Client(&http.Client{Transport: transport})
}

func TestProxyThatRefuses(t *testing.T) {
	for code, want := range map[int]probes.Reason{
		407: probes.ReasonAuthenticationFailed, 403: probes.ReasonPermissionDenied,
	} {
		proxy := newServer(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
		for _, target := range []string{"http://billing.invalid/", "https://billing.invalid/"} {
			result, reason := run(t, newProbe(t, target, proxied(t, proxy.URL)), enough)
			assert.Equal(t, want, reason, "%s %d: %v", target, code, result.Err)
		}
	}
}

// socks makes a SOCKS proxy that answers each connection with this method and this reply.
func socks(t *testing.T, method, reply byte) string {
	t.Helper()
	server := newConnServer(t, func(conn net.Conn, r *bufio.Reader) {
		_, _ = r.Discard(3) // the version, the number of methods, and the method "no authentication"
		_, _ = conn.Write([]byte{5, method})
		if method == 0 {
			_, _ = r.Peek(7)
			_, _ = conn.Write([]byte{5, reply, 0, 1, 0, 0, 0, 0, 0, 0})
		}
		_, _ = io.Copy(io.Discard, r)
	})
	return "socks5://" + server
}

func TestSOCKSProxyThatRefuses(t *testing.T) {
	for _, test := range []struct {
		method, reply byte
		want          probes.Reason
	}{
		{0xff, 0, probes.ReasonAuthenticationFailed}, {0, 2, probes.ReasonPermissionDenied},
		{0, 3, probes.ReasonUnreachable}, {0, 4, probes.ReasonUnreachable}, {0, 5, probes.ReasonConnectionRefused},
	} {
		result, reason := run(t, newProbe(t, "http://billing.invalid/", proxied(t, socks(t, test.method, test.reply))), enough)
		assert.Equal(t, test.want, reason, "%v", result.Err)
	}
}

// The shared client uses the proxy of the environment, which net/http reads once in a process.
func TestProxyOfTheEnvironment(t *testing.T) {
	if os.Getenv("HTTPPROBE_TARGET") != "" {
		_, reason := run(t, newProbe(t, os.Getenv("HTTPPROBE_TARGET")), enough)
		fmt.Printf("reason=%s\n", reason)
		return
	}
	for code, want := range map[int]probes.Reason{
		204: probes.ReasonMisconfigured, 403: probes.ReasonPermissionDenied, 404: probes.ReasonNotFound,
		407: probes.ReasonAuthenticationFailed, 502: probes.ReasonFailed, 504: probes.ReasonTimeout,
	} {
		proxy := newServer(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
		for _, scheme := range []string{"http", "https"} {
			if code == 204 && scheme == "http" {
				continue // the proxy's 204 is the response itself, and so OK
			}
			child := exec.Command(os.Args[0], "-test.run=^TestProxyOfTheEnvironment$")
			child.Env = append(os.Environ(), "HTTPPROBE_TARGET="+scheme+"://billing.invalid/",
				"HTTP_PROXY="+proxy.URL, "HTTPS_PROXY="+proxy.URL, "NO_PROXY=")
			output, err := child.CombinedOutput()
			require.NoError(t, err, "%s", output)
			assert.Contains(t, string(output), "reason="+string(want)+"\n", "%s %d", scheme, code)
		}
	}
}
