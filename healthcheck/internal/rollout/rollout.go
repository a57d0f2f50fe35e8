// Package rollout asks over kept connections while a service is deployed, and counts the requests that fail.
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

// Settings is what to ask during a rollout, and how often.
type Settings struct {
	Request     client.Settings
	Target      client.Target
	Connections int
	Rate        int // requests a second, of all connections together
	Duration    time.Duration
}

// interval is the time between the beginnings of two requests on each connection.
func (s Settings) interval() time.Duration {
	return time.Duration(s.Connections) * time.Second / time.Duration(s.Rate)
}

// Run asks over the connections until ctx ends or the time is over, and prints what failed. All is well if
// nothing did.
func (s Settings) Run(ctx context.Context, out *terminal.Output) bool {
	if why := s.askFirst(ctx); why != "" {
		out.Printf("the first request failed: %s: %s\n", s.Target, why)
		return false
	}
	const head = "%s over %s connections, each every %s, until Ctrl-C or for %s\n"
	out.Printf(head, s.Target, text.Thousands(s.Connections), s.interval(), s.Duration)
	ctx, cancel := context.WithTimeout(ctx, s.Duration)
	defer cancel()
	t := &tally{began: time.Now()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.askOverAll(ctx, t)
	}()
	t.showProgress(out, done)
	return t.print(out)
}

// askFirst asks once, and says what is wrong: a rollout must not send thousands of requests to a wrong URL.
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

// askOverAll asks over all connections, and returns when each has finished its last request.
func (s Settings) askOverAll(ctx context.Context, t *tally) {
	interval := s.interval()
	var wg sync.WaitGroup
	for i := range s.Connections {
		k := &keptConnection{request: s.Request, target: s.Target, tally: t, number: i + 1}
		delay := interval * time.Duration(i) / time.Duration(s.Connections) // so that not all ask at once
		wg.Go(func() { k.askRepeatedly(ctx, delay, interval) })
	}
	wg.Wait()
}
