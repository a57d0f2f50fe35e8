package load_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// clients send requests to the service. They keep their connections between rounds.
type clients struct {
	url         string
	app, health *http.Client
}

func newClients(t *testing.T, url string) *clients {
	t.Helper()
	c := &clients{url: url, app: newClient(appClients), health: newClient(connections)}
	t.Cleanup(c.app.CloseIdleConnections)
	t.Cleanup(c.health.CloseIdleConnections)
	return c
}

func newClient(connections int) *http.Client {
	return &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxConnsPerHost: connections, MaxIdleConnsPerHost: connections}}
}

// round sends the application's requests, and requests for path at the same time unless path is empty.
func (c *clients) round(path string, length time.Duration) sample {
	ctx, cancel := context.WithTimeout(context.Background(), length)
	defer cancel()
	var s sample
	var work sync.WaitGroup
	work.Go(func() { s.app = c.many(ctx, c.app, appPath, appClients, appPause) })
	if path != "" {
		work.Go(func() { s.health = c.many(ctx, c.health, path, connections, pause) })
	}
	work.Wait()
	s.length = length
	return s
}

// startApp sends the application's requests until stop is called.
func (c *clients) startApp() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { c.many(ctx, c.app, appPath, appClients, appPause) })
	return func() { cancel(); work.Wait() }
}

// many sends requests for a path from many clients until ctx ends, and returns when all have their answers.
// Each client pauses after an answer.
func (c *clients) many(ctx context.Context, client *http.Client, path string, clients int, pause time.Duration) tally {
	tallies := make([]tally, clients)
	var work sync.WaitGroup
	for i := range clients {
		work.Go(func() {
			sleep(ctx, pause*time.Duration(i)/time.Duration(clients)) // spreads the first requests
			for ctx.Err() == nil {
				tallies[i].request(client, c.url+path)
				sleep(ctx, pause)
			}
		})
	}
	work.Wait()
	return sum(tallies)
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func (t *tally) request(client *http.Client, url string) {
	start := time.Now()
	response, err := client.Get(url)
	if err != nil {
		t.err = err
		return
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		t.err = err
		return
	}
	t.latencies = append(t.latencies, time.Since(start))
	if response.StatusCode != http.StatusOK {
		t.red++
	}
}

// direct calls a handler without HTTP.
type direct struct {
	handler http.Handler
	path    string
}

// call returns the durations of n calls.
func (d direct) call(t *testing.T, n int) []time.Duration {
	t.Helper()
	request, w := httptest.NewRequest(http.MethodGet, d.path, nil), &discarding{header: make(http.Header)}
	latencies := make([]time.Duration, n)
	for i := range latencies {
		start := time.Now()
		d.handler.ServeHTTP(w, request)
		latencies[i] = time.Since(start)
	}
	require.Positive(t, w.written)
	return latencies
}

// discarding is a ResponseWriter that counts the written bytes.
type discarding struct {
	header  http.Header
	written int
}

func (d *discarding) Header() http.Header { return d.header }

func (d *discarding) WriteHeader(int) {}

func (d *discarding) Write(b []byte) (int, error) {
	d.written += len(b)
	return len(b), nil
}
