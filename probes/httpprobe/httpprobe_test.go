package httpprobe_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/echo-probes/echohealth/internal/leaktest"
	"github.com/echo-probes/echohealth/internal/reason"
	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/httpprobe"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func newProbe(t testing.TB, url string, opts ...httpprobe.Option) *httpprobe.Probe {
	t.Helper()
	probe := httpprobe.New(url, opts...)
	require.NoError(t, probe.Validate())
	t.Cleanup(func() { assert.NoError(t, probe.Close()) })
	return probe
}

func newServer(t testing.TB, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

// run makes one check within limit, and derives the reason as the health checks do.
func run(t testing.TB, probe probes.Probe, limit time.Duration) (probes.Result, probes.Reason) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	result := probe.Check(ctx)
	return result, reason.Of(result.Err)
}

// enough is longer than any check takes, except those that hang on purpose.
const enough = 10 * time.Second

func TestStatus(t *testing.T) {
	tests := []struct {
		code int
		want probes.Reason
	}{
		{200, ""}, {204, ""}, {299, ""},
		{302, "misconfigured"}, {304, "misconfigured"},
		{401, "authentication_failed"}, {407, "authentication_failed"}, {403, "permission_denied"}, {404, "not_found"}, {410, "not_found"},
		{400, "misconfigured"}, {405, "misconfigured"}, {408, "timeout"}, {429, "failed"},
		{500, "failed"}, {502, "failed"}, {503, "failed"}, {504, "timeout"},
	}
	for _, test := range tests {
		server := newServer(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/login" {
				return
			}
			w.Header().Set("Location", "/login")
			w.WriteHeader(test.code)
		})
		result, reason := run(t, newProbe(t, server.URL+"/healthz"), enough)
		assert.Equal(t, test.want, reason, "%d", test.code)
		assert.Equal(t, []slog.Attr{slog.Int("status_code", test.code)}, result.Details)
		assert.NoError(t, probes.CheckDetail(result.Details[0]))
		if test.want == "" {
			assert.Equal(t, probes.OK, result.Status)
		} else {
			assert.Equal(t, probes.Error, result.Status)
		}
	}
}

func TestRequest(t *testing.T) {
	var got *http.Request
	server := newServer(t, func(_ http.ResponseWriter, r *http.Request) { got = r })
	target := strings.Replace(server.URL, "http://", "http://app:s3%2Fcret@", 1) + "/health%2Fz?full=1&to=a%40b"

	_, reason := run(t, newProbe(t, target), enough)
	require.Empty(t, reason)
	assert.Equal(t, http.MethodGet, got.Method)
	assert.Equal(t, "/health%2Fz?full=1&to=a%40b", got.RequestURI)
	assert.Equal(t, "echohealth", got.UserAgent())
	assert.Empty(t, got.Header.Get("Accept-Encoding"))
	user, password, _ := got.BasicAuth()
	assert.Equal(t, "app:s3/cret", user+":"+password)

	_, reason = run(t, newProbe(t, target,
		httpprobe.Header("Authorization", "Bearer t0ken"), httpprobe.Header("X-Tenant", "a"), httpprobe.Header("x-tenant", "b"),
		httpprobe.Header("Host", "billing.example"), httpprobe.Header("User-Agent", "orders")), enough)
	require.Empty(t, reason)
	assert.Equal(t, "Bearer t0ken", got.Header.Get("Authorization"))
	assert.Equal(t, []string{"a", "b"}, got.Header.Values("X-Tenant"))
	assert.Equal(t, "billing.example", got.Host)
	assert.Equal(t, "orders", got.UserAgent())
}

func TestInvalid(t *testing.T) {
	tests := []struct{ url, want string }{
		{"", `"": the scheme must be http or https`},
		{"billing.internal/healthz", `"billing.internal/healthz": the scheme must be http or https`},
		{"localhost:8080", `"localhost:8080": the scheme must be http or https`},
		{"/healthz", `"/healthz": the scheme must be http or https`},
		{"ftp://app:s3cret@billing/", `"ftp://***@billing/": the scheme must be http or https`},
		{"app:s3cret@billing/healthz", `"***@billing/healthz": the scheme must be http or https`},
		{"https://", `"https://": the host must not be empty`},
		{"http://:8080/", `"http://:8080/": the host must not be empty`},
		{"https://app:s3cret@/", `"https://***@/": the host must not be empty`},
		{"app:s3c://ret@billing", `"***@billing": the scheme must be http or https`},
		{"ftp://billing/?token=s3cret", `"ftp://billing/?…": the scheme must be http or https`},
		{"http://app:80/s3cr3t@billing/", `"http://***@billing/": an @ after the host must be written as %40`},
		{"http://s3cr/ret@billing/?a=s3c", `"http://***@billing/?…": an @ after the host must be written as %40`},
		{"http://app:80?s3cret@billing/", `"http://***": an @ after the host must be written as %40`},
		{"http://app:80?s3cret%40billing/@", `"http://***": an @ after the host must be written as %40`},
		{"http://app:80#s3cret@billing/", `"http://***": a # and the text after it are never sent`},
		{"https://billing/healthz#s3c", `"https://billing/healthz#…": a # and the text after it are never sent`},
		{"https://s3c ret@billing/", `invalid`},
		{"?token=s3c", `"?…": the scheme must be http or https`},
		{"@billing", `"***@billing": the scheme must be http or https`},
		{"https://app:s3c ret@billing/", `invalid`},
		{"https://app:s3c#ret@billing/", `invalid port`},
		{"https://app:s3c%ret@billing/", `invalid URL escape`},
		{"https://billing:http/", `invalid port`},
		{"https://billing/\x7f", `invalid control character`},
	}
	for _, test := range tests {
		probe := httpprobe.New(test.url)
		err := probe.Validate()
		require.ErrorContains(t, err, test.want)
		assert.ErrorContains(t, err, "httpprobe.New: ")
		assert.NotContains(t, err.Error(), "s3c")
		assert.NotContains(t, err.Error(), "ret@")
		result := probe.Check(t.Context())
		assert.Equal(t, probes.Error, result.Status)
		assert.Equal(t, probes.ReasonMisconfigured, result.Reason)
		assert.NoError(t, probe.Close())
	}

	const url = "https://billing.internal/"
	assert.ErrorContains(t, httpprobe.New(url, httpprobe.Client(nil)).Validate(), "httpprobe.Client(nil)")
	for _, key := range []string{"", "a b", "a:", "ä", "a\n"} {
		assert.ErrorContains(t, httpprobe.New(url, httpprobe.Header(key, "x")).Validate(), "the key must consist of")
	}
	err := httpprobe.New(url, httpprobe.Header("Authorization: Bearer s3cret", "")).Validate()
	assert.ErrorContains(t, err, `httpprobe.Header("Authorization: Bearer ***", …): the key must consist of`)
	for _, value := range []string{"s3cret\n", "s3cret\x00", "\x7fs3cret"} {
		err := httpprobe.New(url, httpprobe.Header("Authorization", value)).Validate()
		assert.ErrorContains(t, err, "the value must not contain a control character")
		assert.NotContains(t, err.Error(), "s3cret")
	}
	err = httpprobe.New("", httpprobe.Client(nil), httpprobe.Header("", "")).Validate()
	assert.Len(t, strings.Split(err.Error(), "\n"), 3, "every mistake is named: %v", err)
}

func TestBody(t *testing.T) {
	var connections atomic.Int32
	size := 0
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, strings.Repeat("x", size))
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	probe := newProbe(t, server.URL)
	for _, test := range []struct{ size, connections int }{{0, 1}, {1, 1}, {4 << 10, 1}} {
		size = test.size
		for range 5 {
			_, reason := run(t, probe, enough)
			require.Empty(t, reason)
		}
		assert.EqualValues(t, test.connections, connections.Load(), "a body of %d bytes", size)
	}
}

func TestBodyIsCapped(t *testing.T) {
	var sent atomic.Int64
	server := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		chunk := make([]byte, 1<<10)
		for {
			n, err := w.Write(chunk)
			sent.Add(int64(n))
			if err != nil {
				return
			}
		}
	})
	var read atomic.Int64
	client := &http.Client{Transport: counting{read: &read}}
	defer client.CloseIdleConnections()
	result, _ := run(t, newProbe(t, server.URL, httpprobe.Client(client)), enough)
	assert.Equal(t, probes.OK, result.Status, "%v", result.Err)
	assert.EqualValues(t, 4<<10, read.Load())
	server.Close() // ends the handler and waits for its end
	assert.Positive(t, sent.Load())
}

// counting counts the bytes that are read from bodies.
type counting struct{ read *atomic.Int64 }

func (c counting) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := http.DefaultTransport.RoundTrip(r)
	if err == nil {
		response.Body = &countingBody{response.Body, c.read}
	}
	return response, err
}

func (c counting) CloseIdleConnections() {
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

type countingBody struct {
	io.ReadCloser
	read *atomic.Int64
}

func (b *countingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.read.Add(int64(n))
	return n, err
}

func TestFaults(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	wait := func(r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}
	hangUp := func(w http.ResponseWriter) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if assert.NoError(t, err) {
			conn.Close()
		}
	}
	tests := map[string]struct {
		handler http.HandlerFunc
		want    probes.Reason
	}{
		"no answer": {func(_ http.ResponseWriter, r *http.Request) { wait(r) }, probes.ReasonTimeout},
		"half an answer": {func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "half")
			assert.NoError(t, http.NewResponseController(w).Flush())
			wait(r)
		}, probes.ReasonTimeout},
		"hung up at once": {func(w http.ResponseWriter, r *http.Request) { hangUp(w) }, probes.ReasonConnectionLost},
		"hung up in the body": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, "half")
			assert.NoError(t, http.NewResponseController(w).Flush())
			hangUp(w)
		}, probes.ReasonConnectionLost},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server := newServer(t, test.handler)
			limit := enough
			if test.want == probes.ReasonTimeout {
				limit = 100 * time.Millisecond
			}
			result, reason := run(t, newProbe(t, server.URL), limit)
			assert.Equal(t, probes.Error, result.Status)
			assert.Equal(t, test.want, reason, "%v", result.Err)
		})
	}
}

func TestUnreachable(t *testing.T) {
	// No outgoing connection uses this port while the server is closed.
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(testserver.FreePort(t)))
	start := func() *http.Server {
		listener, err := net.Listen("tcp", addr)
		require.NoError(t, err)
		server := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
		t.Cleanup(func() { server.Close() })
		go server.Serve(listener)
		return server
	}
	server := start()
	probe := newProbe(t, "http://"+addr+"/?token=s3cret")
	_, reason := run(t, probe, enough)
	require.Empty(t, reason)
	require.NoError(t, server.Close())
	for range 3 {
		result, reason := run(t, probe, enough)
		assert.Equal(t, probes.ReasonConnectionRefused, reason, "%v", result.Err)
		assert.NotContains(t, result.Err.Error(), "s3cret")
		assert.Empty(t, result.Details)
	}

	start()
	_, reason = run(t, probe, enough)
	assert.Empty(t, reason, "green with the first check")

	noHost := &http.Client{Transport: &http.Transport{DialContext: func(_ context.Context, _, addr string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: addr, IsNotFound: true}}
	}}}
	_, reason = run(t, newProbe(t, "http://billing.invalid/", httpprobe.Client(noHost)), enough)
	assert.Equal(t, probes.ReasonHostNotFound, reason)
}

func TestTLS(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	defer server.Close()
	result, reason := run(t, newProbe(t, server.URL), enough)
	assert.Equal(t, probes.ReasonTLSError, reason, "%v", result.Err)

	result, _ = run(t, newProbe(t, server.URL, httpprobe.Client(server.Client())), enough)
	assert.Equal(t, probes.OK, result.Status, "%v", result.Err)

	plain := newServer(t, func(http.ResponseWriter, *http.Request) {})
	result, reason = run(t, newProbe(t, strings.Replace(plain.URL, "http:", "https:", 1)), enough)
	assert.Equal(t, probes.ReasonTLSError, reason, "%v", result.Err)
	result, reason = run(t, newProbe(t, strings.Replace(server.URL, "https:", "http:", 1)), enough)
	assert.Equal(t, probes.ReasonMisconfigured, reason, "%v", result.Err)
}

func TestClientStaysAsItWas(t *testing.T) {
	var followed atomic.Bool
	server := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/login" {
			followed.Store(true)
			return
		}
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "1"})
		http.Redirect(w, r, "/login", http.StatusFound)
	})
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	client := &http.Client{Jar: jar}
	probe := newProbe(t, server.URL, httpprobe.Client(client))
	_, reason := run(t, probe, enough)
	assert.Equal(t, probes.ReasonMisconfigured, reason)
	assert.False(t, followed.Load())
	assert.Nil(t, client.CheckRedirect)

	require.NoError(t, probe.Close())
	response, err := client.Get(server.URL)
	require.NoError(t, err)
	response.Body.Close()
	assert.True(t, followed.Load(), "the application's own calls follow redirects")
	client.CloseIdleConnections()
}

func TestNoPileUp(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // the kernel accepts connections, but no program responds
	require.NoError(t, err)
	defer listener.Close()
	before := goleak.IgnoreCurrent()
	probe := httpprobe.New("http://" + listener.Addr().String())
	for range 50 {
		result, reason := run(t, probe, 5*time.Millisecond)
		require.Equal(t, probes.ReasonTimeout, reason, "%v", result.Err)
	}
	require.NoError(t, probe.Close())
	leaktest.Verify(t, before)
}

func TestCheckAfterClose(t *testing.T) {
	var asked atomic.Int32
	server := newServer(t, func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	for _, probe := range []*httpprobe.Probe{httpprobe.New(server.URL), httpprobe.New(server.URL, httpprobe.Client(server.Client()))} {
		before := asked.Load()
		for range 2 {
			require.NoError(t, probe.Close())
			result, _ := run(t, probe, enough)
			assert.Equal(t, probes.Error, result.Status)
			assert.Equal(t, probes.ReasonClientClosed, result.Reason)
			assert.ErrorContains(t, result.Err, "the probe is closed")
		}
		assert.Equal(t, before, asked.Load())
	}
}

func TestCloseLeaksNothing(t *testing.T) {
	server := newServer(t, func(http.ResponseWriter, *http.Request) {})
	before := goleak.IgnoreCurrent()
	probe, other := httpprobe.New(server.URL), httpprobe.New(server.URL)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				assert.Equal(t, probes.OK, probe.Check(t.Context()).Status)
				assert.Equal(t, probes.OK, other.Check(t.Context()).Status)
			}
		})
	}
	wg.Wait()
	require.NoError(t, probe.Close())
	assert.Equal(t, probes.OK, other.Check(t.Context()).Status)
	require.NoError(t, other.Close())
	server.CloseClientConnections()
	leaktest.Verify(t, before)
}

func BenchmarkCheck(b *testing.B) {
	server := newServer(b, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"status":"ok"}`) })
	probe := newProbe(b, server.URL)
	b.ReportAllocs()
	for b.Loop() {
		if result := probe.Check(b.Context()); result.Status != probes.OK {
			b.Fatal(result.Err)
		}
	}
}

func BenchmarkCheckRefused(b *testing.B) {
	server := newServer(b, nil)
	server.Close()
	probe := newProbe(b, server.URL)
	b.ReportAllocs()
	for b.Loop() {
		if result := probe.Check(b.Context()); result.Status != probes.Error {
			b.Fatal("no server listens there")
		}
	}
}
