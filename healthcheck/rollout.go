package healthcheck

import (
	"context"
	"errors"
	"net/http"
	"os/signal"
	"sync"
	"time"
)

// rollout keeps asking over pinned connections while somebody deploys.
type rollout struct {
	request     requestSettings
	target      target
	connections int
	rate        int // requests a second, of all connections together
	duration    time.Duration

	tally tally
}

// parseRollout reads the arguments of healthcheck rollout.
func parseRollout(args []string) (action, error) {
	r := &rollout{connections: 100, rate: 200, duration: time.Hour}
	a := newArguments()
	a.number("connections", &r.connections, 1000)
	a.number("rate", &r.rate, 10_000)
	a.duration("duration", &r.duration, time.Millisecond, time.Hour)
	if err := a.parse(args); err != nil {
		return nil, err
	}
	if len(a.urls) > 1 {
		return nil, errors.New("rollout takes one URL")
	}
	t, err := parseTarget(a.urls[0])
	if err != nil {
		return nil, err
	}
	r.request = a.request
	r.target = t.or("live/")
	return r.run, nil
}

// pause is how long each connection rests between the beginnings of two requests.
func (r *rollout) pause() time.Duration {
	return time.Duration(r.connections) * time.Second / time.Duration(r.rate)
}

// run drives the connections until a signal comes or the time is over, and says what failed. All is well if nothing did.
func (r *rollout) run(ctx context.Context, out *output) bool {
	ctx, stop := signal.NotifyContext(ctx, stopSignals...)
	context.AfterFunc(ctx, stop) // a second signal ends the process
	defer stop()
	if why := r.tryOnce(ctx); why != "" {
		out.printf("nothing to begin with: %s: %s\n", r.target, why)
		return false
	}
	out.printf("%s over %s connections, each every %s, until Ctrl-C or for %s\n", r.target, thousands(r.connections), r.pause(), r.duration)
	ctx, cancel := context.WithTimeout(ctx, r.duration)
	defer cancel()
	r.tally.began = time.Now()
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.drive(ctx)
	}()
	r.tally.progress(out, done)
	return r.tally.print(out)
}

// tryOnce says what is wrong with a first request: a mistaken URL is no reason for thousands of them.
func (r *rollout) tryOnce(ctx context.Context) string {
	a, err := r.request.askOnce(ctx, r.target, http.MethodGet)
	if err != nil {
		return explain(err, r.request.timeout)
	}
	return failedStatus(a)
}

// failedStatus is empty for an answer that a client can use.
func failedStatus(a *answer) string {
	if a.status >= http.StatusBadRequest {
		return statusText(a.status)
	}
	return ""
}

// drive returns when every connection has finished its last request.
func (r *rollout) drive(ctx context.Context) {
	var wg sync.WaitGroup
	for i := range r.connections {
		wg.Go(func() { (&pinned{rollout: r, number: i + 1}).drive(ctx) })
	}
	wg.Wait()
}

// pinned is one connection, and after it the next, which it opens only if it was told to leave or if the one before broke.
type pinned struct {
	rollout *rollout
	number  int
	conn    *connection // nil before the first request, and after it left
	served  int         // answers on conn
}

func (p *pinned) drive(ctx context.Context) {
	pause := p.rollout.pause()
	defer p.leave()
	first := time.NewTimer(pause * time.Duration(p.number-1) / time.Duration(p.rollout.connections)) // so that not all ask at once
	defer first.Stop()
	select {
	case <-first.C:
	case <-ctx.Done():
		return
	}
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for ctx.Err() == nil {
		p.ask()
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

// ask sends one request, and never a second time. It is not cut short by the end of the rollout, since that would look like a failure.
func (p *pinned) ask() {
	ctx, cancel := context.WithTimeout(context.Background(), p.rollout.request.timeout)
	defer cancel()
	tally := &p.rollout.tally
	number := tally.next()
	a, err := p.exchange(ctx)
	var why string
	if err != nil {
		why = explain(ended(ctx, err), p.rollout.request.timeout)
	} else {
		why = failedStatus(a)
		tally.answered(a)
		p.served++
	}
	if why != "" {
		tally.fail(failure{request: number, connection: p.number, nth: p.nth(err), address: p.address(), at: time.Now(), why: why})
	}
	if err != nil || a.last {
		p.leave()
	}
}

// exchange opens the connection where there is none.
func (p *pinned) exchange(ctx context.Context) (*answer, error) {
	if p.conn == nil {
		conn, err := dial(ctx, p.rollout.target)
		if err != nil {
			return nil, err
		}
		conn.discard = true // a thousand connections would keep a thousand bodies
		p.conn, p.served = conn, 0
		p.rollout.tally.opened()
	}
	return p.conn.ask(ctx, p.rollout.target.newRequest(http.MethodGet, p.rollout.request.header))
}

// nth is which request it was on its connection, the first being 1; zero where there was no connection.
func (p *pinned) nth(err error) int {
	switch {
	case p.conn == nil:
		return 0
	case err != nil:
		return p.served + 1
	}
	return p.served
}

func (p *pinned) address() string {
	if p.conn == nil {
		return p.rollout.target.address
	}
	return p.conn.RemoteAddr().String()
}

func (p *pinned) leave() {
	if p.conn != nil {
		_ = p.conn.Close()
		p.conn = nil
	}
}
