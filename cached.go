package echohealth

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/echo-probes/echohealth/internal/engine"
	"github.com/echo-probes/echohealth/probes"
)

// answerer returns the current answer of one path.
type answerer interface {
	answer(ctx context.Context) *answer
}

// cachedAnswer answers with the state of checks. It writes an answer once for each new state, not once for
// each request.
type cachedAnswer struct {
	monitor *monitor
	checks  []*engine.Check // the checks that the answer shows
	metrics bool            // the answer shows the system metrics too

	// restsInDrain is true for readiness, which shows the last results and runs no check while the service
	// drains.
	restsInDrain bool

	write func(view) *answer

	cached atomic.Pointer[cached]

	// writing is held while an answer is written, so that only one of many concurrent requests writes it. No
	// probe runs while writing is held.
	writing sync.Mutex
}

// view holds the data that an answer is made from.
type view struct {
	phase phase

	// results has one element for each of checks. If restsInDrain is set, the result of a check that has not run
	// yet is nil.
	results []*engine.Result
	metrics *metrics // nil if they are not shown
}

// cached is a finished answer, the data that it was made from, and how long it may be used.
type cached struct {
	answer     *answer
	view       view
	generation uint64
	due        time.Time // when the next look is due
	until      time.Time // when the answer must be written again; not before due
}

// serves reports whether the answer is still up to date. It checks the wall clock too, because the monotonic
// clock stands still while the machine is suspended.
func (c *cached) serves(generation uint64) bool {
	if c == nil || c.generation != generation {
		return false
	}
	now := time.Now()
	return now.Before(c.due) && now.Round(0).Before(c.due.Round(0))
}

func (p *cachedAnswer) answer(ctx context.Context) *answer {
	if c := p.cached.Load(); c.serves(p.monitor.engine.Generation()) {
		return c.answer
	}
	c := p.collect(ctx)
	v := view{phase: p.monitor.phase(), results: c.Results}
	if p.metrics {
		v.metrics = p.monitor.metrics()
	}
	if !c.Whole { // only this request gets the incomplete results
		return p.write(v)
	}
	return p.publish(c, v).answer
}

func (p *cachedAnswer) collect(ctx context.Context) engine.Collection {
	if p.restsInDrain && p.monitor.phase() == draining {
		return p.monitor.engine.Last(p.checks)
	}
	return p.monitor.look(ctx, p.checks)
}

// publish stores and returns an answer for v, unless another request has already stored one.
func (p *cachedAnswer) publish(c engine.Collection, v view) *cached {
	p.writing.Lock()
	defer p.writing.Unlock()
	last := p.cached.Load()
	if last.serves(c.Generation) && last.view.same(v) {
		return last
	}
	next := &cached{view: v, generation: c.Generation, due: c.Due, until: c.Until}
	if last != nil && last.view.same(v) && time.Now().Before(last.until) { // nothing that it shows has changed
		next.answer, next.until = last.answer, last.until
		if next.until.Before(next.due) {
			next.due = next.until
		}
	} else {
		next.answer = p.write(v)
	}
	p.cached.Store(next)
	return next
}

func (v view) same(w view) bool {
	return v.phase == w.phase && v.metrics == w.metrics && slices.Equal(v.results, w.results)
}

// readyAnswer answers with readiness and the checks that it depends on: those of the service or of a group.
func readyAnswer(m *monitor, checks []*engine.Check, showErrors bool) answerer {
	return &cachedAnswer{monitor: m, checks: checks, restsInDrain: true, write: func(v view) *answer {
		code, body := readyHead(v)
		if word := v.phase.word(); word != "" {
			body = appendString(body, "reason", word)
		}
		known, errs := v.known(checks)
		if !showErrors {
			errs = nil
		}
		return newAnswer(code, append(appendChecks(body, known, errs), '}'))
	}}
}

// readyStatusAnswer answers /ready/ for a client that may see only the status.
func readyStatusAnswer(m *monitor) answerer {
	return &cachedAnswer{monitor: m, checks: m.gating, restsInDrain: true, write: func(v view) *answer {
		code, body := readyHead(v)
		return newAnswer(code, append(body, '}'))
	}}
}

func readyHead(v view) (int, []byte) {
	code, ready := http.StatusServiceUnavailable, v.phase.ready(v.results)
	if ready {
		code = http.StatusOK
	}
	return code, appendHead(nil, readyWord(ready), time.Now())
}

// detailedAnswer answers with all checks and metrics.
func detailedAnswer(m *monitor, showErrors bool) answerer {
	return &cachedAnswer{monitor: m, checks: m.checks, metrics: true, write: func(v view) *answer {
		var errs []error
		if showErrors {
			_, errs = v.known(m.checks)
			errs = append(errs, v.metrics.errs...)
		}
		return newAnswer(http.StatusOK, m.report(v.phase, v.results, v.metrics).append(nil, errs))
	}}
}

// checkAnswer answers with one check.
func checkAnswer(m *monitor, check *engine.Check, showErrors bool) answerer {
	return &cachedAnswer{monitor: m, checks: []*engine.Check{check}, write: func(v view) *answer {
		result := v.results[0]
		return singleAnswer(newCheck(check.Name, result), result.Err, showErrors)
	}}
}

// metricAnswer answers with the i-th metric.
func metricAnswer(m *monitor, i int, showErrors bool) answerer {
	return &cachedAnswer{monitor: m, metrics: true, write: func(v view) *answer {
		return singleAnswer(v.metrics.checks[i], v.metrics.errs[i], showErrors)
	}}
}

func singleAnswer(check Check, err error, showErrors bool) *answer {
	if !showErrors {
		err = nil
	}
	status := http.StatusOK
	if check.Status == probes.Error {
		status = http.StatusServiceUnavailable
	}
	return newAnswer(status, check.append(nil, err))
}

// known returns the checks that have a result, and the errors of these results.
func (v view) known(checks []*engine.Check) (known []Check, errs []error) {
	for i, result := range v.results {
		if result != nil {
			known, errs = append(known, newCheck(checks[i].Name, result)), append(errs, result.Err)
		}
	}
	return known, errs
}

// clockAnswer is an answer that depends on no check. It is written again when the second or the code changes.
type clockAnswer struct {
	state  func() (code int, status string)
	cached atomic.Pointer[clockCached]
}

type clockCached struct {
	answer *answer
	second int64 // the Unix time at which it was written
}

func (p *clockAnswer) answer(context.Context) *answer {
	code, status := p.state()
	now := time.Now()
	if c := p.cached.Load(); c != nil && c.second == now.Unix() && c.answer.status == code {
		return c.answer
	}
	body := append(appendHead(nil, status, now), '}')
	c := &clockCached{answer: newAnswer(code, body), second: now.Unix()}
	p.cached.Store(c)
	return c.answer
}

func liveAnswer(m *monitor) answerer {
	return &clockAnswer{state: func() (int, string) {
		if m.alive() {
			return http.StatusOK, "alive"
		}
		return http.StatusServiceUnavailable, "stuck"
	}}
}

func startupAnswer(m *monitor) answerer {
	return &clockAnswer{state: func() (int, string) {
		if m.started() {
			return http.StatusOK, "started"
		}
		return http.StatusServiceUnavailable, "starting"
	}}
}
