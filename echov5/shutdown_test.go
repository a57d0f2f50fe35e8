package echov5_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/echov5"
	"github.com/labstack/echo/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// StartConfig shuts its server down at once when its context ends. With DrainContext, load balancers learn of it first.
func TestShutdown(t *testing.T) {
	const delay = 2 * time.Second // long, beside what is asked in it
	h := newHealth(t, echohealth.WithDrainDelay(delay), echohealth.WithoutSystemMetrics())
	e, _ := application()
	e.Use(echov5.From(h))
	signals, terminate := context.WithCancel(t.Context()) // for signal.NotifyContext
	address, ended := start(h.DrainContext(signals), e)

	before := ask(t, address, "/api/health/ready/")
	assert.Equal(t, 200, before.status)
	assert.False(t, before.closes)

	began := time.Now()
	terminate()
	require.Eventually(t, func() bool { return ask(t, address, "/api/health/ready/").status == 503 }, delay/2, time.Millisecond, "at once")
	tests := []struct {
		path   string
		status int
		body   string
	}{
		{"/api/health/ready/", 503, `"reason":"draining"`},
		{"/api/health/live/", 200, `"status":"alive"`},
		{"/hello", 200, "hello"},
		{"/nowhere", 404, "the application's 404"},
	}
	for _, test := range tests {
		got := ask(t, address, test.path)
		assert.Equal(t, test.status, got.status, test.path)
		assert.Contains(t, got.body, test.body)
		assert.True(t, got.closes, "%s: Connection: close", test.path)
	}

	assert.NoError(t, <-ended)
	assert.GreaterOrEqual(t, time.Since(began), delay)
	_, err := net.Dial("tcp", address)
	assert.Error(t, err, "nobody listens any more")
}

// start serves e on a free port until ctx ends; ended gets what StartConfig says then.
func start(ctx context.Context, e *echo.Echo) (address string, ended <-chan error) {
	listening, result := make(chan string, 1), make(chan error, 1)
	config := echo.StartConfig{
		Address:          "127.0.0.1:0",
		ListenerAddrFunc: func(address net.Addr) { listening <- address.String() },
	}
	go func() { result <- config.Start(ctx, e) }()
	return <-listening, result
}

type reply struct {
	status int
	body   string
	closes bool
}

func ask(t *testing.T, address, path string) reply {
	t.Helper()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+path, nil)
	require.NoError(t, err)
	response, err := transport.RoundTrip(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return reply{response.StatusCode, string(body), response.Close}
}
