package echov5_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
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

// StartConfig shuts its server down as soon as its context ends. DrainContext ends only after the drain.
func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const delay = 5 * time.Second
		h := newHealth(t, echohealth.WithDrainDelay(delay), echohealth.WithoutSystemMetrics())
		e, _ := application()
		e.Use(echov5.From(h))
		signals, terminate := context.WithCancel(t.Context()) // in place of signal.NotifyContext
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
		assert.Equal(t, delay, time.Since(began).Truncate(time.Second), "StartConfig polls its connections")
		_, err := pipe.DialContext(t.Context(), "", "")
		assert.Error(t, err, "the listener is closed")
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

// An upgrade succeeds during a drain. A request that is not upgraded gets "Connection: close" like any other.
func TestADrainAndUpgrades(t *testing.T) {
	hijack := func(c *echo.Context) error {
		conn, buffered, err := http.NewResponseController(c.Response()).Hijack()
		if err != nil {
			return err
		}
		defer conn.Close()
		_, _ = buffered.WriteString("HTTP/1.1 101 Switching Protocols\r\n" +
			"Connection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_ = buffered.Flush()
		_, _ = io.Copy(conn, buffered)
		return nil
	}
	tests := map[string]struct {
		handler echo.HandlerFunc
		status  int
	}{
		"upgraded": {hijack, http.StatusSwitchingProtocols},
		"refused":  {func(c *echo.Context) error { return c.NoContent(403) }, http.StatusForbidden},
		"answered": {func(c *echo.Context) error { return c.String(http.StatusOK, "no") }, http.StatusOK},
		"flushed": {func(c *echo.Context) error {
			return http.NewResponseController(c.Response()).Flush()
		}, http.StatusOK},
		"an error": {func(*echo.Context) error { return errors.New("a bug") }, http.StatusInternalServerError},
	}
	for name, test := range tests {
		for _, drains := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", drains: ", drains), func(t *testing.T) {
				h := newHealth(t, echohealth.WithoutSystemMetrics(), echohealth.WithDrainDelay(0))
				if drains {
					require.NoError(t, h.Drain(t.Context()))
				}
				e, _ := application()
				e.Use(echov5.From(h))
				e.GET("/socket", test.handler)
				server := httptest.NewServer(e)
				defer server.Close()
				url := server.URL + "/socket"
				request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
				require.NoError(t, err)
				request.Header.Set("Connection", "Upgrade")
				request.Header.Set("Upgrade", "echo")
				response, err := server.Client().Do(request)
				require.NoError(t, err)
				defer response.Body.Close()
				assert.Equal(t, test.status, response.StatusCode)
				upgraded := test.status == http.StatusSwitchingProtocols
				assert.Equal(t, drains && !upgraded, response.Close, "Connection: close")
				if !upgraded {
					return
				}
				socket := response.Body.(io.ReadWriteCloser)
				_, err = socket.Write([]byte("hello"))
				require.NoError(t, err)
				got := make([]byte, 5)
				_, err = io.ReadFull(socket, got)
				require.NoError(t, err)
				assert.Equal(t, "hello", string(got))
			})
		}
	}
}
