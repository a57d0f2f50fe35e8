package balancers

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
)

const (
	requestPath = "/work"
	requestTime = 5 * time.Millisecond
	stopLimit   = time.Minute // of Shutdown; longer than the drain delay
)

// instance is a replica of a service. It keeps its address when it is replaced.
type instance struct {
	addr   string
	health *echohealth.Health
	echo   *echo.Echo
	ended  chan error
}

func newInstance(t *testing.T, opts ...echohealth.Option) *instance {
	t.Helper()
	i := &instance{addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(testserver.FreePort(t)))}
	i.start(t, opts...)
	t.Cleanup(func() {
		assert.NoError(t, i.echo.Close())
		assert.NoError(t, i.health.Close())
		<-i.ended
	})
	return i
}

// start starts the service like a new process: it keeps nothing of the previous one.
func (i *instance) start(t *testing.T, opts ...echohealth.Option) {
	t.Helper()
	health, err := echohealth.New(append([]echohealth.Option{
		echohealth.WithDatabase(probes.Func(func(context.Context) error { return nil })),
		echohealth.WithoutSystemMetrics(),
		echohealth.WithLogger(slog.New(slog.DiscardHandler)),
	}, opts...)...)
	require.NoError(t, err)
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.Use(health.Middleware)
	e.Any(requestPath, func(c echo.Context) error {
		time.Sleep(requestTime)
		return c.String(http.StatusOK, "done")
	})
	e.Listener, err = net.Listen("tcp", i.addr)
	require.NoError(t, err)
	i.health, i.echo, i.ended = health, e, make(chan error, 1)
	go func() { i.ended <- e.Start("") }()
}

// replace stops the service as after SIGTERM, and starts it again after pause, which is the time that the new
// process takes to start.
func (i *instance) replace(t *testing.T, pause time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), stopLimit)
	defer cancel()
	require.NoError(t, i.health.Shutdown(ctx, i.echo))
	require.ErrorIs(t, <-i.ended, http.ErrServerClosed)
	time.Sleep(pause)
	i.start(t)
}

// newDraining returns an instance that drains until the test ends.
func newDraining(t *testing.T) *instance {
	t.Helper()
	i := newInstance(t, echohealth.WithDrainDelay(time.Hour))
	go i.health.Drain(t.Context())
	draining := func() bool { return status(t, i.addr, "/api/health/ready/") == http.StatusServiceUnavailable }
	require.Eventually(t, draining, time.Minute, 10*time.Millisecond)
	return i
}

func status(t *testing.T, addr, path string) int {
	t.Helper()
	response, err := http.Get("http://" + addr + path)
	require.NoError(t, err)
	defer response.Body.Close()
	return response.StatusCode
}
