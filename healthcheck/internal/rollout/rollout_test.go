package rollout_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/healthcheck/internal/client"
	"github.com/echo-probes/echohealth/healthcheck/internal/rollout"
	"github.com/echo-probes/echohealth/healthcheck/internal/terminal"
	"github.com/echo-probes/echohealth/healthcheck/internal/testservice"
	"github.com/echo-probes/echohealth/internal/leaktest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// run runs a rollout, of an hour unless the settings have a duration. It returns the result of Run and the
// output.
func run(ctx context.Context, t *testing.T, url string, s rollout.Settings) (well bool, printed string) {
	t.Helper()
	target, err := client.ParseTarget(url)
	require.NoError(t, err)
	s.Request = client.Settings{Timeout: testservice.LongTimeout}
	s.Target = target.OrBelow("live/")
	s.Duration = cmp.Or(s.Duration, time.Hour)
	var out bytes.Buffer
	well = s.Run(ctx, terminal.NewOutput(&out, io.Discard))
	return well, out.String()
}

// balancer forwards each new connection to the current backend, as a Service does. Existing connections keep
// their backends.
type balancer struct {
	listener net.Listener
	backend  atomic.Pointer[string]
	conns    sync.WaitGroup
}

func newBalancer(t testing.TB) *balancer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	b := &balancer{listener: listener}
	b.conns.Go(b.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		b.conns.Wait()
	})
	return b
}

func (b *balancer) accept() {
	for {
		conn, err := b.listener.Accept()
		if err != nil {
			return
		}
		b.conns.Go(func() { b.forward(conn) })
	}
}

// forward copies in both directions until one side closes.
func (b *balancer) forward(conn net.Conn) {
	defer conn.Close()
	backend, err := net.Dial("tcp", *b.backend.Load())
	if err != nil {
		return
	}
	defer backend.Close()
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(conn, backend)
		_ = conn.Close()
	})
	_, _ = io.Copy(backend, conn)
	_ = backend.Close()
	back.Wait()
}

// release is one release of a service.
type release struct {
	health *echohealth.Health
	server *httptest.Server
	asked  atomic.Int64
}

func (b *balancer) deploy(t testing.TB, opts ...echohealth.Option) *release {
	t.Helper()
	r := &release{health: testservice.New(t, append(opts, echohealth.WithoutSystemMetrics())...)}
	r.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.asked.Add(1)
		r.health.ServeHTTP(w, req)
	}))
	t.Cleanup(r.server.Close)
	address := r.server.Listener.Addr().String()
	b.backend.Store(&address)
	return r
}

func (r *release) waitForTraffic(t testing.TB) {
	t.Helper()
	from := r.asked.Load()
	require.Eventually(t, func() bool { return r.asked.Load() > from+100 }, testservice.LongTimeout, 5*time.Millisecond)
}

// rollOut replaces a release by the next during a rollout, and returns the rollout's result.
func rollOut(
	t *testing.T, leave func(old *release), opts ...echohealth.Option,
) (well bool, printed string) {
	b := newBalancer(t)
	old := b.deploy(t, opts...)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		url := "http://" + b.listener.Addr().String()
		well, printed = run(ctx, t, url, rollout.Settings{Connections: 20, Rate: 400})
	}()
	old.waitForTraffic(t)
	next := b.deploy(t)
	leave(old)
	next.waitForTraffic(t)
	cancel()
	<-done
	return well, printed
}

func TestRolloutWithADrain(t *testing.T) {
	if testing.Short() {
		t.Skip("it drains for six seconds")
	}
	well, stdout := rollOut(t, func(old *release) {
		assert.NoError(t, old.health.Shutdown(context.Background(), old.server.Config))
	}, echohealth.WithDrainDelay(6*time.Second)) // each connection sends 120 requests in this time
	assert.True(t, well, stdout)
	assert.Regexp(t, `^http://127\.0\.0\.1:\d+/api/health/live/ over 20 connections, each every 50ms, until Ctrl-C or for 1h0m0s\n`+
		`0 of [1-9][\d,]* failed\n`+
		`40 connections were opened; 20 answers said "Connection: close"; the slowest answer took [\d.]+m?s; [\d.]+s in all\n$`, stdout)
}

func TestRolloutWithoutADrain(t *testing.T) {
	well, stdout := rollOut(t, func(old *release) { old.server.CloseClientConnections() })
	assert.False(t, well)
	assert.Regexp(t, `\n20 of [1-9][\d,]* failed\n`, stdout, "each of the kept connections")
	moment := `\d\d:\d\d:\d\d\.\d{3}`
	assert.Regexp(t, `\n  +\d+  connection (closed without a whole answer|reset) +from `+moment+` to `+moment+`\n`, stdout)
	assert.Contains(t, stdout, "\nthe first 10 of them:\n")
	assert.Len(t, regexp.MustCompile(`\n  request [\d,]+ at `+moment+`, number \d+ of connection \d+, to 127\.0\.0\.1:\d+: connection `).FindAllString(stdout, -1), 10)
	assert.Contains(t, stdout, "\n40 connections were opened; 0 answers said")
}

// Failures do not end the rollout, and the output has every cause.
func TestRolloutFailures(t *testing.T) {
	const last = 40
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var asked atomic.Int64
	url := testservice.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch n := asked.Add(1); {
		case n == 1:
		case n == last:
			cancel()
		case n%4 == 0:
			w.WriteHeader(http.StatusBadGateway)
		case n%4 == 1:
			panic(http.ErrAbortHandler) // cuts the connection
		}
		_, _ = fmt.Fprint(w, r.URL.Path)
	}))
	s := rollout.Settings{Connections: 2, Rate: 200, Duration: 10 * time.Minute}
	well, stdout := run(ctx, t, url+"/shop?x=1", s)
	assert.False(t, well)
	assert.Contains(t, stdout, url+"/shop?… over 2 connections, each every 10ms, until Ctrl-C or for 10m0s\n")
	assert.Regexp(t, `\n +\d+ +502 Bad Gateway +from `, stdout)
	assert.Regexp(t, `\n +\d+ +connection closed without a whole answer +from `, stdout)
}

// A request is sent once, even if net/http would send it again over another connection.
func TestRolloutNeverRetries(t *testing.T) {
	if testing.Short() {
		t.Skip("it lasts for a second")
	}
	var requests atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
	server.Config.IdleTimeout = 20 * time.Millisecond // shorter than the pause between two requests
	server.Start()
	t.Cleanup(server.Close)
	s := rollout.Settings{Connections: 1, Rate: 5, Duration: 900 * time.Millisecond}
	well, stdout := run(t.Context(), t, server.URL, s)
	assert.False(t, well)
	sum := regexp.MustCompile(`\n(\d+) of (\d+) failed\n`).FindStringSubmatch(stdout)
	require.NotNil(t, sum, stdout)
	assert.Equal(t, sum[2], fmt.Sprint(requests.Load()-1+atoi(t, sum[1])), "no failed request was handled, and the first request is not counted")
}

func atoi(t *testing.T, s string) (n int64) {
	t.Helper()
	_, err := fmt.Sscan(s, &n)
	require.NoError(t, err)
	return n
}

// A rollout must not send thousands of requests to a wrong URL.
func TestRolloutBeginsWithOneRequest(t *testing.T) {
	var asked atomic.Int64
	missing := testservice.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		http.NotFound(w, r)
	}))
	s := rollout.Settings{Connections: 100, Rate: 200}
	well, stdout := run(t.Context(), t, missing, s)
	assert.False(t, well)
	assert.Equal(t, "the first request failed: "+missing+"/api/health/live/: 404 Not Found: "+
		"there is no such check, group or endpoint, or the prefix is another\n", stdout)
	assert.EqualValues(t, 1, asked.Load())

	well, stdout = run(t.Context(), t, "http://"+testservice.ClosedPort(t), s)
	assert.False(t, well)
	assert.True(t, strings.HasSuffix(stdout, ": connection refused\n"), stdout)
}

// Requests that are sent before the end get their answers, and are no failures.
func TestRolloutLetsRequestsFinish(t *testing.T) {
	began := make(chan struct{}, 10)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var asked atomic.Int64
	url := testservice.Serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if asked.Add(1) > 1 {
			began <- struct{}{}
			<-ctx.Done()
			time.Sleep(300 * time.Millisecond)
		}
	}))
	go func() {
		<-began
		cancel()
	}()
	well, stdout := run(ctx, t, url, rollout.Settings{Connections: 1, Rate: 200})
	assert.True(t, well)
	assert.Contains(t, stdout, "\n0 of 1 failed\n")
}
