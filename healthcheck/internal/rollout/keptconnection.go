package rollout

import (
	"context"
	"net/http"
	"time"

	"github.com/echo-probes/echohealth/healthcheck/internal/client"
)

// keptConnection is one connection after the other. It opens the next only if an answer says "Connection:
// close", or if the one before failed.
type keptConnection struct {
	request client.Settings
	target  client.Target
	tally   *tally
	number  int // among the connections, from 1

	conn   *client.Connection // nil where none is open
	served int                // answers on conn
}

// askRepeatedly asks after the delay, and then at each interval until ctx ends.
func (k *keptConnection) askRepeatedly(ctx context.Context, delay, interval time.Duration) {
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

// ask sends one request, and never a second time. The end of the rollout does not interrupt it, since that
// would look like a failure.
func (k *keptConnection) ask() {
	ctx, cancel := context.WithTimeout(context.Background(), k.request.Timeout)
	defer cancel()
	number := k.tally.countRequest()
	a, err := k.exchange(ctx)
	var why string
	if err != nil {
		why = k.request.Explain(client.ContextError(ctx, err))
	} else {
		why = failedStatus(a)
		k.tally.countAnswer(a)
		k.served++
	}
	if why != "" {
		f := failure{request: number, connection: k.number, nth: k.nth(err), at: time.Now(), why: why}
		f.address = k.address()
		k.tally.countFailure(f)
	}
	if err != nil || a.Last {
		k.close()
	}
}

// exchange sends a request and reads the answer. It opens a connection where there is none.
func (k *keptConnection) exchange(ctx context.Context) (*client.Answer, error) {
	if k.conn == nil {
		conn, err := k.request.Dial(ctx, k.target)
		if err != nil {
			return nil, err
		}
		conn.DiscardBodies = true // a thousand connections would keep a thousand bodies
		k.conn, k.served = conn, 0
		k.tally.countConnection()
	}
	return k.conn.Ask(ctx, k.target.NewRequest(http.MethodGet, k.request.Header))
}

// nth returns which request on its connection the last one was, from 1; zero where there was no connection.
func (k *keptConnection) nth(err error) int {
	switch {
	case k.conn == nil:
		return 0
	case err != nil:
		return k.served + 1
	}
	return k.served
}

func (k *keptConnection) address() string {
	if k.conn == nil {
		return k.target.Address
	}
	return k.conn.RemoteAddr().String()
}

func (k *keptConnection) close() {
	if k.conn != nil {
		_ = k.conn.Close()
		k.conn = nil
	}
}

// failedStatus is empty for an answer that a client can use.
func failedStatus(a *client.Answer) string {
	if a.Status >= http.StatusBadRequest {
		return client.StatusText(a.Status)
	}
	return ""
}
