package celeryprobe

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/echo-probes/echohealth/probes"
)

// report collects the details and the findings of a check.
type report struct {
	strict      bool
	zeroWorkers bool // AllowZeroWorkers was used
	details     []slog.Attr
	found       []finding
}

// finding is a problem that a check has found although the broker answers.
type finding struct {
	status probes.Status
	reason probes.Reason
	err    error // for the log
}

func (r *report) detail(name string, value int) {
	r.details = append(r.details, slog.Int(name, value))
}

// warn adds a finding about queues or workers. It is a Warning unless Strict is set.
func (r *report) warn(reason probes.Reason, format string, args ...any) {
	status := probes.Warning
	if r.strict {
		status = probes.Error
	}
	r.add(status, reason, format, args...)
}

func (r *report) add(status probes.Status, reason probes.Reason, format string, args ...any) {
	r.found = append(r.found, finding{status, reason, fmt.Errorf(format, args...)})
}

// order lists the reasons of findings. The first of them that was found is the reason of the check, because
// it explains most of the others.
var order = []probes.Reason{
	probes.ReasonNoWorkers, probes.ReasonNotFound, probes.ReasonNoConsumers,
	probes.ReasonMissingWorkers, probes.ReasonStale, probes.ReasonBacklog,
}

// result returns a result with the status and the reason of the worst finding, and with the errors of all
// findings.
func (r *report) result() probes.Result {
	result := probes.Result{Status: probes.OK, Details: r.details}
	slices.SortStableFunc(r.found, func(a, b finding) int { return cmp.Compare(a.rank(), b.rank()) })
	errs := make([]error, len(r.found))
	for i, f := range r.found {
		errs[i] = f.err
	}
	if len(r.found) > 0 {
		result.Status, result.Reason, result.Err = r.found[0].status, r.found[0].reason, errors.Join(errs...)
	}
	return result
}

// rank returns a low number for a bad finding. Errors are worse than warnings. A reason that is not in order
// is the worst of the errors and the least of the warnings.
func (f finding) rank() int {
	rank := slices.Index(order, f.reason)
	if f.status == probes.Error {
		return rank
	}
	if rank < 0 {
		rank = len(order)
	}
	return len(order) + rank
}

// judgeQueues adds the figures of the queues as details, and the problems of the queues as findings.
func (p *Probe) judgeQueues(r *report, depths []depth) {
	hidden := 0
	for _, d := range depths {
		r.judgeQueue(d)
		if d.pending == unknown {
			hidden++
		}
	}
	pending := sum(depths, func(d depth) int { return d.pending })
	if pending != unknown {
		r.detail("pending_tasks", pending)
	}
	if consumers := total(depths); consumers != unknown {
		r.detail("consumers", consumers)
	}
	if hidden > 0 {
		r.detail("unknown_queues", hidden)
	}
	p.judgeBacklog(r, pending)
}

// judgeQueue adds a finding if the queue is missing, can't be used or has no consumer.
func (r *report) judgeQueue(d depth) {
	switch {
	case d.missing:
		r.warn(probes.ReasonNotFound,
			"queue %q does not exist: no worker has declared it, and no task was sent to it", d.queue)
	case d.refused != nil:
		r.add(probes.Error, probes.FromError(d.refused).Reason,
			"queue %q exists, but can't be used: %w", d.queue, d.refused)
	case d.consumers == 0 && !r.idle(d):
		r.warn(probes.ReasonNoConsumers, "queue %q has no consumer%s", d.queue, d.doubt())
	}
}

// doubt returns a remark for an empty queue without a consumer, because RabbitMQ reports the same for a
// quorum queue that has no majority. For other queues it returns "".
func (d depth) doubt() string {
	if d.pending > 0 {
		return ""
	}
	return "; a quorum queue without a majority of its nodes is also reported as 0 messages and 0 consumers"
}

// idle reports whether these queues need no workers now, because AllowZeroWorkers was used and no task waits.
func (r *report) idle(queues ...depth) bool {
	return r.zeroWorkers && !slices.ContainsFunc(queues, func(d depth) bool { return d.pending != 0 })
}

// sum adds up a figure of the queues, without those for which it is unknown. If it is unknown for all, sum
// returns unknown.
func sum(depths []depth, figure func(depth) int) int {
	n := unknown
	for _, d := range depths {
		if f := figure(d); f != unknown {
			n = max(n, 0) + f
		}
	}
	return n
}

func (p *Probe) judgeBacklog(r *report, pending int) {
	switch {
	case pending > p.critical:
		r.add(probes.Error, probes.ReasonBacklog, "%d tasks wait, more than the critical %d", pending, p.critical)
	case pending > p.warning:
		r.add(probes.Warning, probes.ReasonBacklog, "%d tasks wait, more than %d", pending, p.warning)
	}
}
