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
	kindsLimit = 20 // kinds of failures that are counted apart
	firstLimit = 10 // failures that are printed one by one
	otherKinds = "other causes"
)

// failure is one request that failed.
type failure struct {
	request    int // its number among all
	connection int
	nth        int // of its connection's requests, the first being 1; zero if it got no connection
	address    string
	at         time.Time
	why        string
}

// kind is all failures with the same cause.
type kind struct {
	why         string
	count       int
	first, last time.Time
}

// tally counts what happens on all connections.
type tally struct {
	began time.Time // set before anything is counted

	mu       sync.Mutex // guards what follows
	asked    int
	failed   int
	conns    int // that were opened
	closing  int // answers that said "Connection: close"
	slowest  time.Duration
	kinds    map[string]*kind
	failures []failure // the first of them
}

// countRequest counts a request, and returns its number.
func (t *tally) countRequest() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asked++
	return t.asked
}

func (t *tally) countConnection() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.conns++
}

func (t *tally) countAnswer(a *client.Answer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.slowest = max(t.slowest, a.Took)
	if a.Last {
		t.closing++
	}
}

func (t *tally) countFailure(f failure) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed++
	if len(t.failures) < firstLimit {
		t.failures = append(t.failures, f)
	}
	if t.kinds == nil {
		t.kinds = map[string]*kind{}
	}
	k := t.kinds[f.why]
	if k == nil && len(t.kinds) >= kindsLimit {
		f.why = otherKinds
		k = t.kinds[f.why]
	}
	if k == nil {
		k = &kind{why: f.why, first: f.at}
		t.kinds[f.why] = k
	}
	k.count++
	k.last = f.at
}

// showProgress keeps one line of a terminal up to date until all is done.
func (t *tally) showProgress(out *terminal.Output, done <-chan struct{}) {
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
			out.RewriteLine(t.line(out) + "  " + text.Duration(time.Since(t.began)))
		}
	}
}

// line returns the sum in one line: 0 of 12,345 failed.
func (t *tally) line(out *terminal.Output) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := health.Well
	if t.failed > 0 {
		l = health.Failing
	}
	return out.Paint(l, fmt.Sprintf("%s of %s failed", text.Thousands(t.failed), text.Thousands(t.asked)))
}

// print prints which requests failed, when and why, and reports whether none did.
func (t *tally) print(out *terminal.Output) bool {
	out.Print(t.line(out) + "\n")
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, line := range out.Table(t.kindRows(), terminal.UnlimitedWidth) {
		out.Print(line + "\n")
	}
	if t.failed > firstLimit {
		out.Printf("the first %d of them:\n", firstLimit)
	} else if t.failed > 0 {
		out.Print("they were:\n")
	}
	for _, f := range t.failures {
		out.Print("  " + f.String() + "\n")
	}
	const sum = "%s connections were opened; %s answers said \"Connection: close\"; " +
		"the slowest answer took %s; %s in all\n"
	took := text.Duration(time.Since(t.began))
	out.Printf(sum, text.Thousands(t.conns), text.Thousands(t.closing), text.Duration(t.slowest), took)
	return t.failed == 0 && t.asked > 0
}

// kindRows has the most frequent cause first.
func (t *tally) kindRows() [][]terminal.Cell {
	kinds := slices.SortedFunc(maps.Values(t.kinds), func(a, b *kind) int {
		return cmp.Or(cmp.Compare(b.count, a.count), strings.Compare(a.why, b.why))
	})
	rows := make([][]terminal.Cell, len(kinds))
	for i, k := range kinds {
		span := "from " + moment(k.first) + " to " + moment(k.last)
		rows[i] = terminal.PlainCells("  "+text.Thousands(k.count), k.why, span)
	}
	return rows
}

// String says which request it was, when it failed, and why.
func (f failure) String() string {
	which := fmt.Sprintf("request %s at %s, ", text.Thousands(f.request), moment(f.at))
	if f.nth == 0 {
		which += fmt.Sprintf("for which connection %d could not be opened to %s", f.connection, f.address)
	} else {
		which += fmt.Sprintf("number %d of connection %d, to %s", f.nth, f.connection, f.address)
	}
	return which + ": " + f.why
}

// moment is a time of day to the millisecond, for comparison with logs.
func moment(t time.Time) string { return t.Format("15:04:05.000") }
