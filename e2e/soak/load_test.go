package soak_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// load is the number of requests a second, unless the machine is too slow, and the maximum number of requests
// in flight, which is more than arrive within a check's timeout.
type load struct{ rate, seats int }

var (
	usual = load{rate: 150, seats: 256} // possible on a busy machine too
	heavy = load{rate: 1000, seats: 1024}
)

const (
	livePath     = "/live/"
	readyPath    = "/ready/"
	detailedPath = "/detailed/"
	checksPath   = "/checks/"
)

// paths are the requested paths, in turn.
var paths = []string{
	readyPath, checksPath + pgxCheck, readyPath, checksPath + redisCheck + "/", detailedPath, checksPath + amqpCheck,
	readyPath, checksPath + sqlCheck + "/", livePath, checksPath + listsCheck, readyPath, checksPath + celeryCheck + "/",
}

// traffic is the load on the service: requests at a fixed rate, whatever the answers take, and the
// application's own calls.
type traffic struct {
	judge  *judge
	rate   int
	prefix string
	client *http.Client
	seats  chan struct{}
	cancel context.CancelFunc
	work   sync.WaitGroup

	began, ended time.Time
	answered     atomic.Int64
	missed       atomic.Int64 // not sent, because too many requests were in flight
	failed       atomic.Int64
	once         sync.Once
	first        error // the error of the first request that failed
}

func (s *service) startTraffic(t *testing.T, j *judge, l load) *traffic {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	tr := &traffic{
		judge:  j,
		rate:   l.rate,
		prefix: s.http.URL + "/api/health",
		client: &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: l.seats}},
		seats:  make(chan struct{}, l.seats),
		cancel: cancel,
		began:  time.Now(),
	}
	s.use(ctx, &tr.work)
	tr.work.Go(func() { tr.ask(ctx) })
	t.Cleanup(tr.stop)
	return tr
}

// stop stops the traffic, and returns when all requests have ended.
func (tr *traffic) stop() {
	if tr.ended.IsZero() {
		tr.ended = time.Now()
	}
	tr.cancel()
	tr.work.Wait()
	tr.client.CloseIdleConnections()
}

// ask sends the requests that have become due since its last call. It is called many times a second.
func (tr *traffic) ask(ctx context.Context) {
	for n := 0; ctx.Err() == nil; sleep(ctx, 5*time.Millisecond) {
		for due := int(time.Since(tr.began).Seconds() * float64(tr.rate)); n < due; n++ {
			tr.send(paths[n%len(paths)])
		}
	}
}

func (tr *traffic) send(path string) {
	select {
	case tr.seats <- struct{}{}:
	default:
		tr.missed.Add(1)
		return
	}
	tr.work.Go(func() {
		defer func() { <-tr.seats }()
		if err := tr.request(path); err != nil {
			tr.failed.Add(1)
			tr.once.Do(func() { tr.first = err })
		}
	})
}

func (tr *traffic) request(path string) error {
	response, err := tr.client.Get(tr.prefix + path)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	ended := time.Now()
	nanoseconds, bad := strconv.ParseInt(response.Header.Get(startedHeader), 10, 64)
	if err := errors.Join(err, bad); err != nil {
		return err
	}
	tr.answered.Add(1)
	return tr.judge.hear(answer{path: path, code: response.StatusCode, body: body, started: epoch.Add(time.Duration(nanoseconds)), ended: ended})
}

func (tr *traffic) perSecond() float64 {
	return float64(tr.answered.Load()) / tr.ended.Sub(tr.began).Seconds()
}

func (tr *traffic) summary() string {
	return fmt.Sprintf("%d requests in %.0f s, %.0f/s, and %d not sent for want of seats", tr.answered.Load(), tr.ended.Sub(tr.began).Seconds(),
		tr.perSecond(), tr.missed.Load())
}

func (tr *traffic) assert(t *testing.T) {
	t.Helper()
	assert.Zero(t, tr.failed.Load(), "requests without a proper answer; the first: %v", tr.first)
}
