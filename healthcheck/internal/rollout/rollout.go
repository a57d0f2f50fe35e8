// Package rollout sends requests over persistent connections during a deployment, and counts the requests
// that fail.
package rollout

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/echo-probes/echohealth/healthcheck/internal/client"
	"github.com/echo-probes/echohealth/healthcheck/internal/terminal"
	"github.com/echo-probes/echohealth/healthcheck/internal/text"
)

// Settings are the settings of a rollout.
type Settings struct {
	Request     client.Settings
	Target      client.Target
	Connections int
	Rate        int // requests per second over all connections together
	Duration    time.Duration
}

// interval returns the time between two requests on the same connection.
func (s Settings) interval() time.Duration {
	return time.Duration(s.Connections) * time.Second / time.Duration(s.Rate)
}

// Run sends requests over the connections until ctx ends or the duration has passed, and prints the failures.
// It reports whether no request failed.
func (s Settings) Run(ctx context.Context, out *terminal.Output) bool {
	if cause := s.askFirst(ctx); cause != "" {
		out.Printf("the first request failed: %s: %s\n", s.Target, cause)
		return false
	}
	const head = "%s over %s connections, each every %s, until Ctrl-C or for %s\n"
	out.Printf(head, s.Target, text.Thousands(s.Connections), s.interval(), s.Duration)
	ctx, cancel := context.WithTimeout(ctx, s.Duration)
	defer cancel()
	r := &results{began: time.Now()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.askOverAll(ctx, r)
	}()
	r.showProgress(out, done)
	return r.print(out)
}

// askFirst sends one request. If it fails, askFirst returns the cause and the rollout ends, because a rollout
// must not send thousands of requests to a wrong URL.
func (s Settings) askFirst(ctx context.Context) string {
	a, err := s.Request.Ask(ctx, s.Target, http.MethodGet)
	if err != nil {
		return s.Request.Explain(err)
	}
	why := failedStatus(a)
	if note := s.Request.ExplainStatus(s.Target, a); why != "" && note != "" {
		why += ": " + note
	}
	return why
}

// askOverAll sends requests over all connections, and returns after the last answer.
func (s Settings) askOverAll(ctx context.Context, r *results) {
	interval := s.interval()
	var wg sync.WaitGroup
	for i := range s.Connections {
		k := &persistentConnection{request: s.Request, target: s.Target, results: r, number: i + 1}
		// Different delays spread the connections' requests over the interval.
		delay := interval * time.Duration(i) / time.Duration(s.Connections)
		wg.Go(func() { k.askRepeatedly(ctx, delay, interval) })
	}
	wg.Wait()
}
