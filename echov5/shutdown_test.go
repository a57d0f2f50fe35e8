package echov5_test

import (
	"context"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/echov5"
	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/labstack/echo/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// StartConfig shuts its server down at once when its context ends. With DrainContext, load balancers learn of it first.
func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const delay = 5 * time.Second
		h := newHealth(t, echohealth.WithDrainDelay(delay), echohealth.WithoutSystemMetrics())
		e, _ := application()
		e.Use(echov5.From(h))
		signals, terminate := context.WithCancel(t.Context()) // for signal.NotifyContext
		pipe := testserver.NewPipe()
		ended := make(chan error, 1)
		go func() { ended <- echo.StartConfig{Listener: pipe}.Start(h.DrainContext(signals), e) }()

		before := ask(t, pipe, "/api/health/ready/")
		assert.Equal(t, 200, before.status)
		assert.False(t, before.closes)

		began := time.Now()
		terminate()
		synctest.Wait()
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
			got := ask(t, pipe, test.path)
			assert.Equal(t, test.status, got.status, test.path)
			assert.Contains(t, got.body, test.body)
			assert.True(t, got.closes, "%s: Connection: close", test.path)
		}

		assert.NoError(t, <-ended)
		assert.Equal(t, delay, time.Since(began).Truncate(time.Second), "and what the server takes to look at its connections")
		_, err := pipe.DialContext(t.Context(), "", "")
		assert.Error(t, err, "nobody listens any more")
	})
}

type reply struct {
	status int
	body   string
	closes bool
}

func ask(t *testing.T, pipe *testserver.Pipe, path string) reply {
	t.Helper()
	transport := &http.Transport{DialContext: pipe.DialContext}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://service"+path, nil)
	require.NoError(t, err)
	response, err := transport.RoundTrip(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return reply{response.StatusCode, string(body), response.Close}
}
