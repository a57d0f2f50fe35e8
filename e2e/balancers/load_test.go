package balancers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// load sends requests at a constant rate, whether or not they are answered, and counts the results.
type load struct {
	url    string
	client *http.Client
	stop   func()

	mu      sync.Mutex // guards the fields below
	sent    int
	failed  map[string]int // by status or error
	slowest time.Duration
}

// startLoad sends rate requests a second until stop is called. stop waits for the last answer. Every second
// request is a POST, which a balancer must not send again if an instance may have received it.
func startLoad(t *testing.T, addr string, rate int) *load {
	t.Helper()
	l := &load{
		url:    "http://" + addr + requestPath,
		client: &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: rate}},
		failed: map[string]int{},
	}
	ctx, cancel := context.WithCancel(context.Background())
	var requests sync.WaitGroup
	requests.Go(func() {
		ticker := time.NewTicker(time.Second / time.Duration(rate))
		defer ticker.Stop()
		for ctx.Err() == nil {
			<-ticker.C
			requests.Go(l.request)
		}
	})
	l.stop = sync.OnceFunc(func() {
		cancel()
		requests.Wait()
		l.client.CloseIdleConnections()
	})
	t.Cleanup(l.stop)
	return l
}

func (l *load) request() {
	l.mu.Lock()
	method := []string{http.MethodGet, http.MethodPost}[l.sent%2]
	l.sent++
	l.mu.Unlock()
	start := time.Now()
	err := l.ask(method)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.slowest = max(l.slowest, time.Since(start))
	if err != nil {
		l.failed[method+" "+err.Error()]++
	}
}

func (l *load) ask(method string) error {
	request, err := http.NewRequest(method, l.url, strings.NewReader(""))
	if err != nil {
		return err
	}
	response, err := l.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return nil
}

// await waits until n more requests have been sent.
func (l *load) await(t *testing.T, more int) {
	t.Helper()
	sent := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.sent
	}
	enough := sent() + more
	require.Eventually(t, func() bool { return sent() >= enough }, time.Minute, 10*time.Millisecond)
}

// result has the results of a load that was stopped.
type result struct {
	sent    int
	failed  map[string]int
	slowest time.Duration
}

func (l *load) result() result {
	l.mu.Lock()
	defer l.mu.Unlock()
	return result{l.sent, l.failed, l.slowest}
}

// failures counts the failed requests with a method, or all if the method is "".
func (r result) failures(method string) int {
	sum := 0
	for how, n := range r.failed {
		if strings.HasPrefix(how, method) {
			sum += n
		}
	}
	return sum
}

func (r result) String() string {
	return fmt.Sprintf("%d of %d failed, the slowest took %v %v",
		r.failures(""), r.sent, r.slowest.Round(time.Millisecond), r.failed)
}
