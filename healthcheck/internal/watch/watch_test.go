package watch

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/echo-probes/echohealth/healthcheck/internal/client"
	"github.com/echo-probes/echohealth/healthcheck/internal/health"
	"github.com/echo-probes/echohealth/healthcheck/internal/outcome"
	"github.com/echo-probes/echohealth/healthcheck/internal/terminal"
	"github.com/echo-probes/echohealth/internal/leaktest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// settableServer is a server whose answer a test sets.
type settableServer struct {
	mu     sync.Mutex // guards the rest
	status int
	body   string
	asked  int
}

func (s *settableServer) set(status int, body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status, s.body = status, body
}

// setInTurn sets a body with three different figures, one after the other.
func (s *settableServer) setInTurn(t *testing.T, status int, body string) {
	t.Helper()
	for _, figure := range []string{"2", "3", "4"} {
		s.set(status, strings.ReplaceAll(body, "%", figure))
		from := s.count()
		require.Eventually(t, func() bool { return s.count() > from+1 }, 20*time.Second, 5*time.Millisecond)
	}
}

func (s *settableServer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func (s *settableServer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	w.WriteHeader(s.status)
	_, _ = io.WriteString(w, s.body)
}

// syncBuffer is an output that other goroutines may read.
type syncBuffer struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (l *syncBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *syncBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *syncBuffer) waitFor(t *testing.T, part string) {
	t.Helper()
	require.Eventually(t, func() bool { return strings.Contains(l.String(), part) }, 20*time.Second, 5*time.Millisecond, "no %q", part)
}

const (
	isReady  = `{"status":"ready","timestamp":"2026-11-25T10:00:0%Z","checks":{"redis":{"status":"ok","response_time_ms":%,"since":"2026-11-25T09:00:0%Z"}}}`
	notReady = `{"status":"not_ready","timestamp":"2026-11-25T10:00:0%Z","checks":{` +
		`"redis":{"status":"error","reason":"timeout","since":"2026-11-25T09:58:00Z","last_ok":"2026-11-25T09:57:5%Z","error":"port %"}}}`
)

// newSettings returns the settings for the readiness of each URL.
func newSettings(t *testing.T, urls ...string) Settings {
	t.Helper()
	s := Settings{FailOn: health.Failing, Interval: 100 * time.Millisecond}
	s.Request.Timeout = 10 * time.Second
	for _, url := range urls {
		target, err := client.ParseTarget(url)
		require.NoError(t, err)
		s.Targets = append(s.Targets, target.OrBelow("ready/"))
	}
	return s
}

// startWatch watches until the returned function is called, which returns the result of Run.
func startWatch(t *testing.T, out *terminal.Output, urls ...string) (stop func() bool) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	well := make(chan bool, 1)
	go func() { well <- newSettings(t, urls...).Run(ctx, out) }()
	return func() bool {
		cancel()
		return <-well
	}
}

// Without a terminal the watch prints a line for each change, and only then.
func TestWatchWithoutATerminal(t *testing.T) {
	service := &settableServer{}
	service.set(200, strings.ReplaceAll(isReady, "%", "1"))
	server := httptest.NewServer(service)
	defer server.Close()
	log := &syncBuffer{}
	stop := startWatch(t, terminal.NewOutput(log, io.Discard), server.URL)
	log.waitFor(t, ": ready in ")
	service.setInTurn(t, 200, isReady) // a figure or a time is no change
	service.set(503, strings.ReplaceAll(notReady, "%", "1"))
	log.waitFor(t, ": not_ready in ")
	service.setInTurn(t, 503, notReady)
	service.set(200, strings.ReplaceAll(isReady, "%", "3"))
	require.Eventually(t, func() bool { return strings.Count(log.String(), ": ready in ") == 2 }, 20*time.Second, 5*time.Millisecond)
	assert.True(t, stop(), "the last answers are well")

	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	require.Len(t, lines, 4)
	const begin = `^\d\d:\d\d:\d\d http://127\.0\.0\.1:\d+/api/health/ready/: `
	assert.Regexp(t, begin+`ready in .*: redis ok$`, lines[0])
	assert.Regexp(t, begin+`not_ready in .*: redis error timeout for 2m1s$`, lines[1])
	assert.Regexp(t, begin+`ready in .*: redis ok$`, lines[2])
	assert.Regexp(t, `^[1-9]\d* of [1-9]\d* answers failed in .*, the last at \d\d:\d\d:\d\d http://.*: not_ready in .*: redis error timeout for 2m\ds$`, lines[3])
}

// Another phase and another reason are changes.
func TestChanges(t *testing.T) {
	signatureOf := func(body string) string {
		return signature(outcome.Judge(client.Settings{}, client.Target{}, &client.Answer{Status: 200, Body: []byte(body)}))
	}
	const before = `{"status":"degraded","timestamp":"2026-11-25T10:00:00Z","checks":{"a":{"status":"warning","reason":"slow","since":"2026-11-25T09:00:00Z"}}}`
	for change, same := range map[[2]string]bool{
		{"10:00", "10:01"}:                   true,
		{"09:00", "09:30"}:                   true,
		{`Z"}}`, `Z","pending_tasks":3}}`}:   true,
		{"slow", "backlog"}:                  false,
		{`"checks"`, `"phase":"x","checks"`}: false,
		{`"a"`, `"b"`}:                       false,
		{`"degraded"`, `"unhealthy"`}:        false,
	} {
		assert.Equal(t, same, signatureOf(before) == signatureOf(strings.Replace(before, change[0], change[1], 1)), change)
	}
}

// Two URLs that differ only in the query, which is not printed, are two targets.
func TestWatchOfQueries(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"status":"`+r.URL.RawQuery+`"}`)
	}))
	defer server.Close()
	log := &syncBuffer{}
	w := &watcher{out: terminal.NewOutput(log, io.Discard)}
	for range 3 {
		var outcomes []outcome.Outcome
		for _, query := range []string{"?ready", "?alive"} {
			target, err := client.ParseTarget(server.URL + "/live" + query)
			require.NoError(t, err)
			outcomes = append(outcomes, outcome.Ask(t.Context(), client.Settings{Timeout: 10 * time.Second}, target))
		}
		w.showChanges(outcomes)
	}
	assert.Equal(t, 1, strings.Count(log.String(), "/live?…: ready in "), log.String())
	assert.Equal(t, 1, strings.Count(log.String(), "/live?…: alive in "), log.String())
}

// On a terminal each round overwrites the one before.
func TestWatchRedraws(t *testing.T) {
	service := &settableServer{}
	service.set(503, strings.ReplaceAll(notReady, "%", "0"))
	server := httptest.NewServer(service)
	defer server.Close()
	log := &syncBuffer{}
	out := &terminal.Output{Writer: log, Errors: io.Discard, Terminal: true, Colour: true, Size: func() (int, int) { return 80, 24 }}
	stop := startWatch(t, out, server.URL, server.URL)
	require.Eventually(t, func() bool { return strings.Count(log.String(), "\x1b[H") > 4 }, 20*time.Second, 5*time.Millisecond)
	assert.False(t, stop(), "the last answers are not well")

	assert.Equal(t, 1, strings.Count(log.String(), "\x1b[2J"), "clearing the screen each time would flicker")
	assert.Contains(t, log.String(), "\x1b[31mnot_ready\x1b[0m")
	assert.Contains(t, log.String(), "\x1b[31mtimeout 2m0s\x1b[0m\x1b[K\n")
	assert.Regexp(t, `\x1b\[J\d+ of \d+ answers failed in .*\n$`, log.String())
}

func TestReplicas(t *testing.T) {
	named, err := client.ParseTarget("http://shop:8000/health")
	require.NoError(t, err)
	fixed, err := client.ParseTarget("http://10.1.1.1")
	require.NoError(t, err)
	local, err := client.ParseTarget("http://localhost")
	require.NoError(t, err)
	socket, err := client.ParseTarget("unix:///run/app.sock")
	require.NoError(t, err)
	r := newReplicas([]client.Target{named, fixed, local, socket})
	var found []netip.Addr
	var failure error
	r.resolve = func(_ context.Context, host string) ([]netip.Addr, error) {
		assert.Equal(t, "shop", host)
		return found, failure
	}
	addresses := func() string {
		var all []string
		for _, target := range r.targets(t.Context()) {
			all = append(all, target.Address)
		}
		return strings.Join(all, " ")
	}
	addrs := func(texts ...string) (all []netip.Addr) {
		for _, text := range texts {
			all = append(all, netip.MustParseAddr(text))
		}
		return all
	}
	const others = " 10.1.1.1:80 localhost:80 /run/app.sock"

	failure = &net.DNSError{IsTimeout: true}
	assert.Equal(t, "shop:8000"+others, addresses(), "requested by its name, so that the error states why there is no address")
	found, failure = addrs("10.0.0.9", "fd00::1", "::ffff:10.0.0.8", "10.0.0.9"), nil
	assert.Equal(t, "10.0.0.8:8000 10.0.0.9:8000"+others, addresses(), "one family, in order, each once")
	failure = errors.New("the name server fails")
	assert.Equal(t, "10.0.0.8:8000 10.0.0.9:8000"+others, addresses())
	failure = &net.DNSError{IsNotFound: true}
	found = nil
	r.store([]outcome.Outcome{{Target: r.targets(t.Context())[0], Problem: "connection refused"}})
	assert.Equal(t, "shop:8000"+others, addresses(), "no replica is left")
	found, failure = addrs("fd00::2", "fd00::1"), nil
	assert.Equal(t, "[fd00::1]:8000 [fd00::2]:8000"+others, addresses())

	// A headless Service drops the address of a pod that is not ready. The watch keeps it while it answers.
	r.store([]outcome.Outcome{{Target: named.WithAddress(netip.MustParseAddr("fd00::1"))}})
	found = addrs("fd00::2")
	assert.Equal(t, "[fd00::1]:8000 [fd00::2]:8000"+others, addresses())
	r.store([]outcome.Outcome{{Target: named.WithAddress(netip.MustParseAddr("fd00::1")), Problem: "connection refused"}})
	assert.Equal(t, "[fd00::2]:8000"+others, addresses())

	found = nil
	for n := range 100 {
		found = append(found, netip.AddrFrom4([4]byte{10, 0, 0, byte(n)}))
	}
	assert.Len(t, r.targets(t.Context()), replicasLimit)
	assert.Equal(t, 100+3-replicasLimit, r.notAsked)
}

// A name with several addresses has a row for each. The requests name the host.
func TestWatchOfAName(t *testing.T) {
	hosts := make(chan string, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case hosts <- r.Host:
		default:
		}
		_, _ = io.WriteString(w, `{"status":"ready"}`)
	}))
	defer server.Close()
	host := "shop.test:" + strings.TrimPrefix(server.URL, "http://127.0.0.1:")
	s := newSettings(t, "http://"+host)
	log := &syncBuffer{}
	w := &watcher{Settings: s, out: terminal.NewOutput(log, io.Discard), replicas: newReplicas(s.Targets)}
	w.replicas.resolve = func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.255.255.254")}, nil
	}
	outcomes := w.askAll(t.Context())
	require.Len(t, outcomes, 2)
	assert.Equal(t, health.Well, outcomes[0].Level)
	assert.Equal(t, health.Failing, outcomes[1].Level, "nothing listens there")
	assert.False(t, w.count(outcomes))
	w.show(outcomes)
	w.show(outcomes[:1])
	assert.Equal(t, host, <-hosts)
	assert.Contains(t, log.String(), " http://"+host+"/api/health/ready/ (127.0.0.1:")
	assert.Regexp(t, `\(127\.255\.255\.254:\d+\): is gone\n$`, log.String())
}
