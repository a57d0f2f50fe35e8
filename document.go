package echohealth

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/echo-probes/echohealth/internal/engine"
	"github.com/echo-probes/echohealth/probes"
)

// document is a finished answer. It is never changed, so that any number of requests may be given the same.
type document struct {
	status int
	body   []byte
	length []string // the value of Content-Length, ready to be put into a header
}

func newDocument(status int, body []byte) *document {
	return &document{status: status, body: body, length: []string{strconv.Itoa(len(body))}}
}

// page is an answer that is made from checks. It is written once for each new report and not once for each request.
type page struct {
	health  *Health
	checks  []*engine.Check
	metrics bool // it shows the system metrics too
	write   func(results []*engine.Result, metrics []Check) *document

	cached  atomic.Pointer[edition]
	writing sync.Mutex // held while an edition is written, so that of many who ask at once one writes; no probe runs under it
}

// edition is a document, and what it was made from.
type edition struct {
	document   *document
	results    []*engine.Result
	metrics    *metrics
	generation uint64
	closed     bool
	until      time.Time
}

// read returns the page as it is now, running what is due.
func (p *page) read(ctx context.Context) *document {
	if e := p.cached.Load(); e != nil && e.generation == p.health.engine.Generation() && time.Now().Before(e.until) {
		return e.document
	}
	c := p.health.engine.Collect(ctx, p.checks)
	metrics := &noMetrics
	if p.metrics {
		metrics = p.health.readMetrics()
	}
	if !c.Whole { // true for this request alone
		return p.write(c.Results, metrics.checks)
	}
	return p.publish(c, metrics).document
}

var noMetrics metrics

// publish returns the edition for c, which somebody else may have written in the meantime.
func (p *page) publish(c engine.Collection, m *metrics) *edition {
	p.writing.Lock()
	defer p.writing.Unlock()
	last := p.cached.Load()
	if last != nil && last.closed == c.Closed && last.metrics == m && slices.Equal(last.results, c.Results) && time.Now().Before(last.until) {
		if last.generation == c.Generation {
			return last
		}
		// Something changed, but nothing that is on this page.
		next := *last
		next.generation = c.Generation
		p.cached.Store(&next)
		return &next
	}
	next := &edition{
		document:   p.write(c.Results, m.checks),
		results:    c.Results,
		metrics:    m,
		generation: c.Generation,
		closed:     c.Closed,
		until:      c.Until,
	}
	p.cached.Store(next)
	return next
}

// livePage is the one answer that depends on nothing but the time. It is written once a second.
type livePage struct {
	cached atomic.Pointer[liveEdition]
}

type liveEdition struct {
	document *document
	second   int64
}

func (p *livePage) read(context.Context) *document {
	now := time.Now()
	if e := p.cached.Load(); e != nil && e.second == now.Unix() {
		return e.document
	}
	body := append(appendHead(nil, "alive", now), '}')
	e := &liveEdition{document: newDocument(http.StatusOK, body), second: now.Unix()}
	p.cached.Store(e)
	return e.document
}

// writeReady is the readiness answer.
func (h *Health) writeReady(results []*engine.Result, _ []Check) *document {
	checks := make([]Check, len(results))
	code, status := http.StatusOK, "ready"
	if h.engine.Closed() {
		code, status = http.StatusServiceUnavailable, "not_ready"
	}
	for i, result := range results {
		checks[i] = newCheck(h.readiness[i].Name, result)
		if result.Status == probes.Error {
			code, status = http.StatusServiceUnavailable, "not_ready"
		}
	}
	body := appendHead(nil, status, time.Now())
	body = append(appendChecks(body, checks, nil), '}')
	return newDocument(code, body)
}

// writeDetailed is the answer that shows everything.
func (h *Health) writeDetailed(results []*engine.Result, metrics []Check) *document {
	checks := make([]Check, len(results))
	for i, result := range results {
		checks[i] = newCheck(h.config.checks[i].name, result)
	}
	body := appendHead(nil, h.overall(results, metrics), time.Now())
	if h.config.version != "" {
		body = appendText(append(body, `,"version":`...), h.config.version)
	}
	body = append(appendChecks(body, checks, metrics), '}')
	return newDocument(http.StatusOK, body)
}

// checkPage is the answer for one check alone.
func (h *Health) checkPage(check *engine.Check) *page {
	return &page{health: h, checks: []*engine.Check{check}, write: func(results []*engine.Result, _ []Check) *document {
		c := newCheck(check.Name, results[0])
		return newDocument(statusCode(c.Status), appendCheck(nil, c, true))
	}}
}

// metricPage is the answer for the i-th metric alone.
func (h *Health) metricPage(i int) *page {
	return &page{health: h, metrics: true, write: func(_ []*engine.Result, metrics []Check) *document {
		return newDocument(statusCode(metrics[i].Status), appendCheck(nil, metrics[i], false))
	}}
}

// statusCode is that of a single check's answer.
func statusCode(status probes.Status) int {
	if status == probes.Error {
		return http.StatusServiceUnavailable
	}
	return http.StatusOK
}
