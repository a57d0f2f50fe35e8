package rollout

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/echo-probes/echohealth/healthcheck/internal/client"
	"github.com/echo-probes/echohealth/healthcheck/internal/health"
	"github.com/echo-probes/echohealth/healthcheck/internal/terminal"
	"github.com/echo-probes/echohealth/healthcheck/internal/text"
)

const (
	kindsLimit = 20 // the maximum number of causes that are counted separately
	firstLimit = 10 // the maximum number of failures that are printed individually
	otherKinds = "other causes"
)

// failure is a failed request.
type failure struct {
	request    int // number of the request among all requests, from 1
	connection int // number of the persistentConnection
	nth        int // number of the request on its connection, from 1; 0 if no connection was open
	address    string
	at         time.Time
	why        string
}

// kind counts the failures that have the same cause.
type kind struct {
	why         string
	count       int
	first, last time.Time
}

// results holds the counts of all connections together.
type results struct {
	began time.Time // set before the first request

	mu       sync.Mutex // guards the fields below
	asked    int
	failed   int
	conns    int // number of opened connections
	closing  int // number of answers with "Connection: close"
	slowest  time.Duration
	kinds    map[string]*kind
	failures []failure // the first firstLimit failures
}

// countRequest counts a request, and returns its number.
func (r *results) countRequest() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	return r.asked
}

func (r *results) countConnection() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns++
}

func (r *results) countAnswer(a *client.Answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.slowest = max(r.slowest, a.Took)
	if a.Last {
		r.closing++
	}
}

func (r *results) countFailure(f failure) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed++
	if len(r.failures) < firstLimit {
		r.failures = append(r.failures, f)
	}
	if r.kinds == nil {
		r.kinds = map[string]*kind{}
	}
	k := r.kinds[f.why]
	if k == nil && len(r.kinds) >= kindsLimit {
		f.why = otherKinds
		k = r.kinds[f.why]
	}
	if k == nil {
		k = &kind{why: f.why, first: f.at}
		r.kinds[f.why] = k
	}
	k.count++
	k.last = f.at
}

// showProgress rewrites one line of the terminal each second until done is closed. Without a terminal it only
// waits for done.
func (r *results) showProgress(out *terminal.Output, done <-chan struct{}) {
	if !out.Terminal {
		<-done
		return
	}
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			out.RewriteLine("")
			return
		case <-ticker.C:
			out.RewriteLine(r.line(out) + "  " + text.Duration(time.Since(r.began)))
		}
	}
}

// line returns the numbers of failed and of all requests in one line, such as "0 of 12,345 failed".
func (r *results) line(out *terminal.Output) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := health.Well
	if r.failed > 0 {
		l = health.Failing
	}
	return out.Paint(l, fmt.Sprintf("%s of %s failed", text.Thousands(r.failed), text.Thousands(r.asked)))
}

// print prints the failed requests with their times and causes. It returns true if at least one request was
// sent and none failed.
func (r *results) print(out *terminal.Output) bool {
	out.Print(r.line(out) + "\n")
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, line := range out.Table(r.kindRows(), terminal.UnlimitedWidth) {
		out.Print(line + "\n")
	}
	if r.failed > firstLimit {
		out.Printf("the first %d of them:\n", firstLimit)
	} else if r.failed > 0 {
		out.Print("they were:\n")
	}
	for _, f := range r.failures {
		out.Print("  " + f.String() + "\n")
	}
	const sum = "%s connections were opened; %s answers said \"Connection: close\"; " +
		"the slowest answer took %s; %s in all\n"
	took := text.Duration(time.Since(r.began))
	out.Printf(sum, text.Thousands(r.conns), text.Thousands(r.closing), text.Duration(r.slowest), took)
	return r.failed == 0 && r.asked > 0
}

// kindRows returns a row for each cause. The most frequent cause is first.
func (r *results) kindRows() [][]terminal.Cell {
	kinds := slices.SortedFunc(maps.Values(r.kinds), func(a, b *kind) int {
		return cmp.Or(cmp.Compare(b.count, a.count), strings.Compare(a.why, b.why))
	})
	rows := make([][]terminal.Cell, len(kinds))
	for i, k := range kinds {
		span := "from " + timeOfDay(k.first) + " to " + timeOfDay(k.last)
		rows[i] = terminal.PlainCells("  "+text.Thousands(k.count), k.why, span)
	}
	return rows
}

// String describes the request, its time and the cause of its failure.
func (f failure) String() string {
	which := fmt.Sprintf("request %s at %s, ", text.Thousands(f.request), timeOfDay(f.at))
	if f.nth == 0 {
		which += fmt.Sprintf("for which connection %d could not be opened to %s", f.connection, f.address)
	} else {
		which += fmt.Sprintf("number %d of connection %d, to %s", f.nth, f.connection, f.address)
	}
	return which + ": " + f.why
}

// timeOfDay formats a time of day with milliseconds, so that the user can compare it with logs.
func timeOfDay(t time.Time) string { return t.Format("15:04:05.000") }
