package echohealth_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/echo-probes/echohealth"
	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// served is a service with an http.Server of its own, which some tests use instead of Echo's.
type served struct {
	echo     *echo.Echo
	health   *echohealth.Health
	own      *http.Server
	listener net.Listener
	scheme   string
	started  atomic.Int64 // requests that have begun
	finished atomic.Int64
	release  chan struct{} // closed: requests to /work end
}

func newServed(t *testing.T, start func(*served) error) *served {
	t.Helper()
	s := &served{echo: echo.New(), own: new(http.Server), listener: listen(t), scheme: "http",
		release: make(chan struct{})}
	var err error
	s.health, err = echohealth.New(quiet, echohealth.WithoutSystemMetrics(),
		echohealth.WithDrainDelay(300*time.Millisecond))
	require.NoError(t, err)
	s.echo.HideBanner, s.echo.HidePort = true, true
	s.echo.Use(s.health.Middleware)
	s.echo.GET("/work", s.work)
	s.echo.Listener = s.listener
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = start(s)
	}()
	t.Cleanup(func() {
		assert.NoError(t, s.health.Close())
		assert.NoError(t, s.echo.Close())
		assert.NoError(t, s.own.Close())
		<-ended
	})
	return s
}

func (s *served) work(c echo.Context) error {
	s.started.Add(1)
	defer s.finished.Add(1)
	<-s.release
	return c.NoContent(http.StatusOK)
}

// wrappedServer is a Server of a type that Shutdown does not know.
type wrappedServer struct{ *http.Server }

func givenEcho(s *served) echohealth.Server    { return s.echo }
func givenOwn(s *served) echohealth.Server     { return s.own }
func givenNone(*served) echohealth.Server      { return nil }
func givenUnknown(s *served) echohealth.Server { return wrappedServer{s.own} }

func startEcho(s *served) error { return s.echo.Start("") }
func startOwn(s *served) error  { return s.echo.StartServer(s.own) }

// startTLS does the same as Echo's StartTLS, with a certificate of package httptest.
func startTLS(s *served) error {
	other := httptest.NewUnstartedServer(nil)
	other.StartTLS()
	defer other.Close()
	s.echo.TLSServer.Handler = s.echo
	return s.echo.TLSServer.Serve(tls.NewListener(s.echo.Listener, other.TLS))
}

// startH2C calls StartH2CServer without an import of golang.org/x/net, which is not a direct dependency.
func startH2C(s *served) error {
	start := reflect.ValueOf(s.echo.StartH2CServer)
	server := reflect.New(start.Type().In(1).Elem())
	err, _ := start.Call([]reflect.Value{reflect.ValueOf(""), server})[0].Interface().(error)
	return err
}

// startHTTP2 serves HTTP/2 without TLS in the way that loses no request.
func startHTTP2(s *served) error {
	speakHTTP2WithoutTLS(s.echo)
	return s.echo.Start("")
}

func startOwnHTTP2(s *served) error {
	speakHTTP2WithoutTLS(s.echo)
	s.own.Protocols = s.echo.Server.Protocols
	return s.echo.StartServer(s.own)
}

// startWrapped serves with Wrap around an Echo without the health middleware.
func startWrapped(s *served) error {
	app := echo.New()
	app.GET("/work", s.work)
	s.own.Handler = s.health.Wrap(app)
	return s.own.Serve(s.echo.Listener)
}

const (
	anotherServer = "which was not given to Shutdown"
	untracked     = "does not wait for them"
)

var shutdowns = map[string]struct {
	start func(*served) error
	given func(*served) echohealth.Server
	tls   bool
	http2 bool   // the client uses HTTP/2 without TLS
	http1 bool   // a request over HTTP/1.1 comes first
	want  string // the error; empty: no request is lost, and there is no error
}{
	"Echo":                             {start: startEcho, given: givenEcho},
	"Echo, own is given":               {start: startEcho, given: givenOwn, want: anotherServer},
	"Echo with TLS":                    {start: startTLS, given: givenEcho, tls: true},
	"Echo, none is given":              {start: startEcho, given: givenNone, want: anotherServer},
	"own":                              {start: startOwn, given: givenOwn},
	"own, Echo is given":               {start: startOwn, given: givenEcho, want: anotherServer},
	"own in a type of the application": {start: startOwn, given: givenUnknown},
	"Wrap":                             {start: startWrapped, given: givenOwn},
	"Wrap, Echo is given":              {start: startWrapped, given: givenEcho, want: anotherServer},
	"h2c":                              {start: startH2C, given: givenEcho, http2: true, want: untracked},
	"h2c after HTTP/1.1":               {start: startH2C, given: givenEcho, http2: true, http1: true, want: untracked},
	"h2c by HTTP/1.1":                  {start: startH2C, given: givenEcho, http1: true},
	"HTTP/2 of net/http":               {start: startHTTP2, given: givenEcho, http2: true},
	"HTTP/2 of net/http, own":          {start: startOwnHTTP2, given: givenOwn, http2: true, http1: true},
	"HTTP/2 of net/http, Echo is given": {
		start: startOwnHTTP2, given: givenEcho, http2: true, want: anotherServer,
	},
}

// Two requests are in flight when the service shuts down. Shutdown waits for both, or returns an error.
func TestShutdownWaitsOrReturnsAnError(t *testing.T) {
	if testing.Short() {
		t.Skip("a request takes a second")
	}
	for name, test := range shutdowns {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServed(t, test.start)
			if test.http1 {
				s.ask(t, new(http.Transport), "/hello")
			}
			transport := new(http.Transport)
			if test.tls {
				s.scheme = "https"
				transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
			}
			if test.http2 {
				transport.Protocols = new(http.Protocols)
				transport.Protocols.SetUnencryptedHTTP2(true)
			}
			var asking sync.WaitGroup
			defer asking.Wait()
			release := sync.OnceFunc(func() { close(s.release) })
			defer release()
			for range 2 {
				asking.Go(func() { s.ask(t, transport, "/work") })
			}
			require.Eventually(t, func() bool { return s.started.Load() == 2 }, time.Minute, time.Millisecond)
			if test.want == "" {
				time.AfterFunc(time.Second, release) // after the drain
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			var servers []echohealth.Server
			if given := test.given(s); given != nil {
				servers = append(servers, given)
			}
			err := s.health.Shutdown(ctx, servers...)
			finished := s.finished.Load()
			if test.want == "" {
				assert.NoError(t, err)
				assert.EqualValues(t, 2, finished)
				return
			}
			assert.ErrorContains(t, err, test.want)
			assert.Zero(t, finished, "if none is lost here, the error is wrong")
		})
	}
}

// The application shuts its server down itself, between Drain and Close. Then no request is lost.
func TestAShutdownOfItsOwn(t *testing.T) {
	s := newServed(t, startEcho)
	var asking sync.WaitGroup
	defer asking.Wait()
	asking.Go(func() { s.ask(t, new(http.Transport), "/work") })
	require.Eventually(t, func() bool { return s.started.Load() == 1 }, time.Minute, time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.NoError(t, s.health.Drain(ctx))
	time.AfterFunc(100*time.Millisecond, func() { close(s.release) }) // during the server's shutdown
	require.NoError(t, s.echo.Shutdown(ctx))
	assert.EqualValues(t, 1, s.finished.Load())
	require.NoError(t, s.health.Close())
	assert.ErrorContains(t, s.health.Shutdown(ctx), anotherServer, "it can't know of the application's own call")
}

// ask sends a request and closes its connection.
func (s *served) ask(t *testing.T, transport *http.Transport, path string) {
	defer transport.CloseIdleConnections()
	url := s.scheme + "://" + s.listener.Addr().String() + path
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if !assert.NoError(t, err) {
		return
	}
	response, err := transport.RoundTrip(request)
	if err == nil {
		_ = response.Body.Close()
	}
}

// Clients that keep sending over one HTTP/2 connection lose no request in a drain. The server makes them
// close the connection, and they connect to another instance.
func TestADrainOfHTTP2WithoutTLS(t *testing.T) {
	s := newServed(t, startHTTP2)
	var drains atomic.Bool
	var sent atomic.Int64
	another := errors.New("another instance")
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if drains.Load() {
			return nil, another
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	defer transport.CloseIdleConnections()
	url := s.scheme + "://" + s.listener.Addr().String() + "/hello"
	var clients sync.WaitGroup
	for range 10 {
		clients.Go(func() {
			for {
				request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, http.NoBody)
				if !assert.NoError(t, err) {
					return
				}
				response, err := transport.RoundTrip(request)
				if err != nil {
					assert.ErrorIs(t, err, another, "a request is lost")
					return
				}
				_ = response.Body.Close()
				assert.Equal(t, 2, response.ProtoMajor)
				sent.Add(1)
			}
		})
	}
	require.Eventually(t, func() bool { return sent.Load() > 100 }, time.Minute, time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	drains.Store(true)
	require.NoError(t, s.health.Shutdown(ctx, s.echo))
	clients.Wait()
	t.Log(sent.Load(), "requests")
}
