package rollout

import (
	"context"
	"net/http"
	"time"

	"github.com/echo-probes/echohealth/healthcheck/internal/client"
)

// persistentConnection sends requests over one connection at a time. It opens another connection only after
// an answer with "Connection: close" or after an error.
type persistentConnection struct {
	request client.Settings
	target  client.Target
	results *results
	number  int // numbers the persistentConnections, from 1

	conn   *client.Connection // nil if no connection is open
	served int                // number of answers on conn
}

// askRepeatedly sends the first request after delay, and then one request in each interval until ctx ends.
func (k *persistentConnection) askRepeatedly(ctx context.Context, delay, interval time.Duration) {
	defer k.close()
	first := time.NewTimer(delay)
	defer first.Stop()
	select {
	case <-first.C:
	case <-ctx.Done():
		return
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for ctx.Err() == nil {
		k.ask()
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

// ask sends one request and never repeats it. The end of the rollout does not interrupt the request, because
// an interrupted request would count as failed.
func (k *persistentConnection) ask() {
	ctx, cancel := context.WithTimeout(context.Background(), k.request.Timeout)
	defer cancel()
	number := k.results.countRequest()
	a, err := k.exchange(ctx)
	var why string
	if err != nil {
		why = k.request.Explain(client.ContextError(ctx, err))
	} else {
		why = failedStatus(a)
		k.results.countAnswer(a)
		k.served++
	}
	if why != "" {
		f := failure{request: number, connection: k.number, nth: k.nth(err), at: time.Now(), why: why}
		f.address = k.address()
		k.results.countFailure(f)
	}
	if err != nil || a.Last {
		k.close()
	}
}

// exchange sends a request and reads the answer. If no connection is open, it opens one.
func (k *persistentConnection) exchange(ctx context.Context) (*client.Answer, error) {
	if k.conn == nil {
		conn, err := k.request.Dial(ctx, k.target)
		if err != nil {
			return nil, err
		}
		conn.DiscardBodies = true // otherwise a thousand connections would keep a thousand bodies in memory
		k.conn, k.served = conn, 0
		k.results.countConnection()
	}
	return k.conn.Ask(ctx, k.target.NewRequest(http.MethodGet, k.request.Header))
}

// nth returns the position, from 1, of the last request among the requests on its connection. It returns 0 if
// no connection is open. err is the error of this request.
func (k *persistentConnection) nth(err error) int {
	switch {
	case k.conn == nil:
		return 0
	case err != nil:
		return k.served + 1
	}
	return k.served
}

func (k *persistentConnection) address() string {
	if k.conn == nil {
		return k.target.Address
	}
	return k.conn.RemoteAddr().String()
}

func (k *persistentConnection) close() {
	if k.conn != nil {
		_ = k.conn.Close()
		k.conn = nil
	}
}

// failedStatus returns the text of the status if the status means failure, and otherwise "".
func failedStatus(a *client.Answer) string {
	if a.Status >= http.StatusBadRequest {
		return client.StatusText(a.Status)
	}
	return ""
}
