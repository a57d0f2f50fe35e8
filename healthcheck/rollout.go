package healthcheck

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/echo-probes/echohealth/healthcheck/internal/client"
	"github.com/echo-probes/echohealth/healthcheck/internal/terminal"
	"github.com/echo-probes/echohealth/healthcheck/internal/text"
)

// rolloutSettings is what to ask during a rollout, and how often.
type rolloutSettings struct {
	request     client.Settings
	target      client.Target
	connections int
	rate        int // requests a second, of all connections together
	duration    time.Duration
}

// interval is the time between the beginnings of two requests on each connection.
func (s rolloutSettings) interval() time.Duration {
	return time.Duration(s.connections) * time.Second / time.Duration(s.rate)
}

// run asks over the connections until ctx ends or the time is over, and prints what failed. All is well if nothing did.
func (s rolloutSettings) run(ctx context.Context, out *terminal.Output) bool {
	if why := s.askFirst(ctx); why != "" {
		out.Printf("nothing to begin with: %s: %s\n", s.target, why)
		return false
	}
	const head = "%s over %s connections, each every %s, until Ctrl-C or for %s\n"
	out.Printf(head, s.target, text.Thousands(s.connections), s.interval(), s.duration)
	ctx, cancel := context.WithTimeout(ctx, s.duration)
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
func (s rolloutSettings) askFirst(ctx context.Context) string {
	a, err := s.request.Ask(ctx, s.target, http.MethodGet)
	if err != nil {
		return client.Explain(err, s.request.Timeout)
	}
	return failedStatus(a)
}

// askOverAll asks over all connections, and returns when each has finished its last request.
func (s rolloutSettings) askOverAll(ctx context.Context, t *tally) {
	interval := s.interval()
	var wg sync.WaitGroup
	for i := range s.connections {
		k := &keptConnection{request: s.request, target: s.target, tally: t, number: i + 1}
		delay := interval * time.Duration(i) / time.Duration(s.connections) // so that not all ask at once
		wg.Go(func() { k.askRepeatedly(ctx, delay, interval) })
	}
	wg.Wait()
}
