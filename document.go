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

	// restsInDrain is for readiness: while the service drains it says so, beside the last results, and runs nothing.
	restsInDrain bool

	// write makes the document. A result is nil where there is none yet, which only restsInDrain lets happen.
	write func(phase phase, results []*engine.Result, metrics []Check) *document

	cached  atomic.Pointer[edition]
	writing sync.Mutex // held while an edition is written, so that of many who ask at once one writes; no probe runs under it
}

// edition is a document, and what it was made from.
type edition struct {
	document   *document
	results    []*engine.Result
	metrics    *metrics
	generation uint64
	phase      phase
	until      time.Time
}

// read returns the page as it is now, running what is due.
func (p *page) read(ctx context.Context) *document {
	if e := p.cached.Load(); e != nil && e.generation == p.health.engine.Generation() && time.Until(e.until) > 0 {
		return e.document
	}
	c := p.collect(ctx)
	phase := p.health.phase()
	metrics := &noMetrics
	if p.metrics {
		metrics = p.health.readMetrics()
	}
	if !c.Whole { // true for this request alone
		return p.write(phase, c.Results, metrics.checks)
	}
	return p.publish(c, phase, metrics).document
}

func (p *page) collect(ctx context.Context) engine.Collection {
	if p.restsInDrain && p.health.phase() == draining {
		return p.health.engine.Last(p.checks)
	}
	return p.health.engine.Collect(ctx, p.checks)
}

var noMetrics metrics

// publish returns the edition for c, which somebody else may have written in the meantime.
func (p *page) publish(c engine.Collection, phase phase, m *metrics) *edition {
	p.writing.Lock()
	defer p.writing.Unlock()
	last := p.cached.Load()
	if last != nil && last.phase == phase && last.metrics == m && slices.Equal(last.results, c.Results) && time.Now().Before(last.until) {
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
		document:   p.write(phase, c.Results, m.checks),
		results:    c.Results,
		metrics:    m,
		generation: c.Generation,
		phase:      phase,
		until:      c.Until,
	}
	p.cached.Store(next)
	return next
}

// clockPage is an answer that depends on no check. It is written once a second.
type clockPage struct {
	state  func() (code int, status string)
	cached atomic.Pointer[clockEdition]
}

type clockEdition struct {
	document *document
	until    time.Time // the end of its second
}

func (p *clockPage) read(context.Context) *document {
	code, status := p.state()
	if e := p.cached.Load(); e != nil && time.Until(e.until) > 0 && e.document.status == code {
		return e.document
	}
	now := time.Now()
	body := append(appendHead(nil, status, now), '}')
	e := &clockEdition{document: newDocument(code, body), until: now.Add(time.Second - time.Duration(now.Nanosecond()))}
	p.cached.Store(e)
	return e.document
}

// writeReady is the readiness answer.
func (h *Health) writeReady(phase phase, results []*engine.Result, _ []Check) *document {
	code, body := h.readyHead(phase, results)
	if reason := phase.reason(); reason != "" {
		body = append(append(append(body, `,"reason":"`...), reason...), '"')
	}
	var checks []Check
	for i, result := range results {
		if result != nil {
			checks = append(checks, newCheck(h.readiness[i].Name, result))
		}
	}
	return newDocument(code, append(appendChecks(body, checks, nil), '}'))
}

// writeReadyAlone is the readiness answer for those who may see no more than the status.
func (h *Health) writeReadyAlone(phase phase, results []*engine.Result, _ []Check) *document {
	code, body := h.readyHead(phase, results)
	return newDocument(code, append(body, '}'))
}

func (h *Health) readyHead(phase phase, results []*engine.Result) (int, []byte) {
	if phase == running && !anyError(results) {
		return http.StatusOK, appendHead(nil, "ready", time.Now())
	}
	return http.StatusServiceUnavailable, appendHead(nil, "not_ready", time.Now())
}

func anyError(results []*engine.Result) bool {
	return slices.ContainsFunc(results, func(r *engine.Result) bool { return r != nil && r.Status == probes.Error })
}

// writeDetailed is the answer that shows everything.
func (h *Health) writeDetailed(_ phase, results []*engine.Result, metrics []Check) *document {
	checks := make([]Check, len(results))
	for i, result := range results {
		checks[i] = newCheck(h.config.checks[i].name, result)
	}
	body := appendHead(nil, h.overall(results, metrics), time.Now())
	if h.config.version != "" {
		body = appendText(append(body, `,"version":`...), h.config.version)
	}
	return newDocument(http.StatusOK, append(appendChecks(body, checks, metrics), '}'))
}

// checkPage is the answer for one check alone.
func (h *Health) checkPage(check *engine.Check) *page {
	return &page{health: h, checks: []*engine.Check{check}, write: func(_ phase, results []*engine.Result, _ []Check) *document {
		c := newCheck(check.Name, results[0])
		return newDocument(statusCode(c.Status), appendCheck(nil, c, true))
	}}
}

// metricPage is the answer for the i-th metric alone.
func (h *Health) metricPage(i int) *page {
	return &page{health: h, metrics: true, write: func(_ phase, _ []*engine.Result, metrics []Check) *document {
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
