package echohealth_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/echo-probes/echohealth"
	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	rollingClients = 100
	rollingWork    = 5 * time.Millisecond   // the duration of a request
	rollingPause   = 50 * time.Millisecond  // between two requests of a client
	rollingPoll    = 100 * time.Millisecond // the time between two requests for readiness
)

// TestRollingRestart stops one of two instances under load. The load balancer works on connections and knows
// nothing of requests. The clients keep their connections and never send a request twice. So only the
// behavior of the stopping instance can prevent lost requests.
func TestRollingRestart(t *testing.T) {
	if testing.Short() {
		t.Skip("it drains for seconds")
	}
	tests := []struct {
		name     string
		drain    time.Duration
		use      []echo.MiddlewareFunc
		stop     func(ctx context.Context, i *instance) error // called on SIGTERM
		lossless bool
	}{
		{
			name:     "with the drain",
			drain:    6 * time.Second, // the machine may pause
			stop:     func(ctx context.Context, i *instance) error { return i.health.Shutdown(ctx, i.echo) },
			lossless: true,
		},
		{
			name:  "with a drain that says Connection: close on health answers alone",
			drain: time.Second,
			use:   []echo.MiddlewareFunc{keepAlive},
			stop:  func(ctx context.Context, i *instance) error { return i.health.Shutdown(ctx, i.echo) },
		},
		{
			name: "without the drain",
			stop: func(ctx context.Context, i *instance) error { return i.echo.Shutdown(ctx) },
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			leaving, staying := newInstance(t, test.drain, test.use...), newInstance(t, test.drain, test.use...)
			l := startLoad(t, newBalancer(t, leaving, staying))
			l.await(t, 10*rollingClients)
			assert.NotZero(t, leaving.served.Load())
			assert.NotZero(t, staying.served.Load())

			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			require.NoError(t, test.stop(ctx, leaving))
			_, err := net.Dial("tcp", leaving.address)
			require.Error(t, err, "the connection has ended")
			l.await(t, 5*rollingClients)
			l.stop()

			t.Log(l.summary())
			failed := l.lost.Load() + l.refused.Load()
			if test.lossless {
				assert.Zero(t, failed, "%v", l.first)
			} else {
				assert.NotZero(t, failed, "if nothing is lost here, then this test shows nothing")
			}
		})
	}
}

// keepAlive removes Connection: close from the application's answers.
func keepAlive(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		c.Response().Header().Del("Connection")
		return next(c)
	}
}

// instance is a replica of a service.
type instance struct {
	health  *echohealth.Health
	echo    *echo.Echo
	address string
	served  atomic.Int64
}

func newInstance(t *testing.T, drain time.Duration, use ...echo.MiddlewareFunc) *instance {
	t.Helper()
	i := &instance{health: newHealth(t, quiet, echohealth.WithDatabase(well), echohealth.WithDrainDelay(drain)), echo: echo.New()}
	i.echo.HideBanner, i.echo.HidePort = true, true
	i.echo.Use(i.health.Middleware)
	i.echo.Use(use...)
	i.echo.POST("/work", func(c echo.Context) error {
		i.served.Add(1)
		time.Sleep(rollingWork)
		return c.String(http.StatusOK, "done")
	})
	i.echo.Listener = listen(t)
	i.address = i.echo.Listener.Addr().String()
	ended := make(chan error, 1)
	go func() { ended <- i.echo.Start("") }()
	t.Cleanup(func() {
		assert.NoError(t, i.echo.Shutdown(context.Background()))
		assert.ErrorIs(t, <-ended, http.ErrServerClosed)
	})
	return i
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return listener
}

// balancer works on layer 4. It connects each new connection to one of the ready instances, and then only
// copies bytes.
type balancer struct {
	listener  net.Listener
	instances []*instance
	transport *http.Transport
	work      sync.WaitGroup

	mu    sync.Mutex // guards ready
	ready []string   // addresses
	turn  int
}

func newBalancer(t *testing.T, instances ...*instance) *balancer {
	t.Helper()
	b := &balancer{listener: listen(t), instances: instances, transport: &http.Transport{DisableKeepAlives: true}}
	ctx, cancel := context.WithCancel(context.Background())
	b.poll(ctx)
	b.work.Go(func() { b.watch(ctx) })
	b.work.Go(b.accept)
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, b.listener.Close())
		b.work.Wait()
	})
	return b
}

func (b *balancer) watch(ctx context.Context) {
	ticker := time.NewTicker(rollingPoll)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			b.poll(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// poll requests readiness from all instances.
func (b *balancer) poll(ctx context.Context) {
	var ready []string
	for _, i := range b.instances {
		if b.isReady(ctx, i.address) {
			ready = append(ready, i.address)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ready = ready
}

func (b *balancer) isReady(ctx context.Context, address string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/api/health/ready/", nil)
	if err != nil {
		return false
	}
	response, err := b.transport.RoundTrip(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

func (b *balancer) accept() {
	for {
		client, err := b.listener.Accept()
		if err != nil {
			return
		}
		b.work.Go(func() { b.connect(client) })
	}
}

// connect copies between a client and an instance until either ends the connection. If the instance refuses
// the connection, connect closes the client's.
func (b *balancer) connect(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", b.next())
	if err != nil {
		return
	}
	b.work.Go(func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	})
	_, _ = io.Copy(client, server)
}

// next returns the address of a ready instance, in turn.
func (b *balancer) next() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.ready) == 0 {
		return ""
	}
	b.turn++
	return b.ready[b.turn%len(b.ready)]
}

// load runs the clients and counts their results.
type load struct {
	target  string
	stop    func()
	sent    atomic.Int64
	lost    atomic.Int64 // requests over a kept connection that got no answer
	refused atomic.Int64 // requests over a new connection that got no answer
	once    sync.Once
	first   error // the first failure
}

func startLoad(t *testing.T, b *balancer) *load {
	t.Helper()
	l := &load{target: b.listener.Addr().String()}
	ctx, cancel := context.WithCancel(context.Background())
	var clients sync.WaitGroup
	l.stop = func() {
		cancel()
		clients.Wait()
	}
	t.Cleanup(l.stop)
	for i := range rollingClients {
		clients.Go(func() {
			time.Sleep(rollingPause * time.Duration(i) / rollingClients)
			l.run(ctx)
		})
	}
	return l
}

// await waits until this number of further requests has been sent.
func (l *load) await(t *testing.T, more int64) {
	t.Helper()
	enough := l.sent.Load() + more
	require.Eventually(t, func() bool { return l.sent.Load() >= enough }, time.Minute, 10*time.Millisecond)
}

func (l *load) summary() string {
	return fmt.Sprintf("%d clients, %d requests: %d failed, %d of them over kept connections", rollingClients, l.sent.Load(), l.lost.Load()+l.refused.Load(), l.lost.Load())
}

// run is one client.
func (l *load) run(ctx context.Context) {
	c := pinned{target: l.target}
	defer c.disconnect()
	for ctx.Err() == nil {
		kept := c.conn != nil
		l.sent.Add(1)
		if err := c.request(); err != nil {
			l.once.Do(func() { l.first = err })
			if kept {
				l.lost.Add(1)
			} else {
				l.refused.Add(1)
			}
		}
		time.Sleep(rollingPause)
	}
}

// pinned is an HTTP client that keeps its connection until an answer has Connection: close, and never sends a
// request twice. The client of net/http notices most connections that end while they are idle, and repeats
// some requests.
type pinned struct {
	target string
	conn   net.Conn // nil: not connected
	reader *bufio.Reader
}

func (c *pinned) request() (err error) {
	defer func() {
		if err != nil {
			c.disconnect()
		}
	}()
	if err := c.connect(); err != nil {
		return err
	}
	request, err := http.NewRequest(http.MethodPost, "http://"+c.target+"/work", nil)
	if err != nil {
		return err
	}
	if err := errors.Join(c.conn.SetDeadline(time.Now().Add(30*time.Second)), request.Write(c.conn)); err != nil {
		return err
	}
	response, err := http.ReadResponse(c.reader, request)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, response.Body)
	if response.StatusCode != http.StatusOK {
		return errors.Join(err, errors.New(response.Status))
	}
	if response.Close {
		c.disconnect()
	}
	return err
}

func (c *pinned) connect() error {
	if c.conn != nil {
		return nil
	}
	conn, err := net.Dial("tcp", c.target)
	if err != nil {
		return err
	}
	c.conn, c.reader = conn, bufio.NewReader(conn)
	return nil
}

func (c *pinned) disconnect() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}
