package celeryprobe

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/echo-probes/echohealth/internal/reason"
	"github.com/echo-probes/echohealth/probes"
)

// answerTime is how long a ping waits for answers. It leaves time for the rest of the check within the
// default timeout of 800 ms. Answers that take longer are counted by the next check.
const answerTime = 500 * time.Millisecond

// workers holds the answers of the workers. The checks use them until the next ping.
type workers struct {
	pinged  time.Time // time of the last ping that reached a worker, or that the broker refused
	answers *answers  // answers to the last complete ping; nil before the first
	refused error     // why the broker refused the last ping; nil if it did not
}

// errPingRefused marks the error of a ping that the broker refused. The broker refuses the queue for the
// answers or the command, or has no memory for the answers. This is only a Warning, because the broker may
// still take the application's tasks.
var errPingRefused = errors.New("the broker refuses the ping")

// pingIfDue pings the workers if a ping is due. Otherwise it adds the late answers to the last ping.
func (p *Probe) pingIfDue(ctx context.Context, depths []depth) error {
	if !p.workers.pinged.IsZero() && time.Since(p.workers.pinged) < p.ping.every {
		if p.workers.refused != nil {
			return nil // no ping was sent, so no answers can arrive
		}
		return p.broker.lateAnswers(ctx, p.addReply)
	}
	a := newAnswers(p.expectedAnswers(depths), p.ping.expected, p.queues)
	err := p.broker.call(ctx, p.ping.method(), a)
	if a.sent && a.reached != 0 { // otherwise the next check may ping again
		p.workers.pinged = a.asked
	}
	p.workers.refused = nil
	switch {
	case errors.Is(err, errPingRefused):
		p.workers.pinged, p.workers.refused = a.asked, err
		return nil
	case err == nil && a.complete:
		p.workers.answers = a
	}
	return err
}

func (p *Probe) addReply(r reply) {
	if p.workers.answers != nil {
		p.workers.answers.add(r)
	}
}

// expectedAnswers returns how many workers are likely to answer: as many as last time, or as many as there
// are consumers. If the number is too low, the ping misses the slower workers. If it is too high, every ping
// takes all of answerTime.
func (p *Probe) expectedAnswers(depths []depth) int {
	want := max(1, p.ping.min, len(p.ping.expected))
	if p.workers.answers != nil {
		return max(want, p.workers.answers.count())
	}
	for _, d := range depths {
		if d.consumers == unknown {
			return maxWorkers // the ping ends when all workers that got it have answered
		}
		want = max(want, d.consumers)
	}
	return want
}

// judgeWorkers adds the details and the problems of the workers to r.
func (p *Probe) judgeWorkers(r *report, depths []depth) {
	if err := p.workers.refused; err != nil {
		r.add(probes.Warning, reason.Of(err), "the workers are unknown: %w", err)
		return
	}
	a := p.workers.answers
	if a == nil || time.Since(a.asked) > 3*p.ping.every {
		r.warn(probes.ReasonStale, "no ping to the workers was completed for more than %s", 3*p.ping.every)
		return
	}
	n, missing := a.count(), a.missing(p.ping.expected)
	r.detail("workers", n)
	if len(p.ping.expected) > 0 {
		r.detail("missing_workers", len(missing))
	}
	if n == 0 {
		r.judgeSilence(a, depths)
		return
	}
	if n < p.ping.min {
		r.warn(probes.ReasonMissingWorkers, "%d workers answer, fewer than %d%s", n, p.ping.min, sharedNames(a))
	}
	if len(missing) > 0 {
		r.warn(probes.ReasonMissingWorkers,
			"these expected workers have not answered: %q%s", missing, sharedNames(a))
	}
	if p.ping.consumers {
		p.judgeConsumption(r, a, depths)
	}
}

// judgeSilence adds a finding that explains why no worker has answered.
func (r *report) judgeSilence(a *answers, depths []depth) {
	switch consumers := total(depths); {
	case a.reached == 0 && consumers <= 0 && r.idle(depths...):
	case a.reached == 0 && consumers <= 0:
		r.warn(probes.ReasonNoWorkers, "there is no worker: none takes remote-control commands, "+
			"and the broker knows no consumer of the queues")
	case a.reached == 0:
		r.warn(probes.ReasonMissingWorkers, "no worker takes remote-control commands, "+
			"but there are %d consumers: remote control may be off", consumers)
	default:
		r.warn(probes.ReasonMissingWorkers, "no worker has answered, but some are connected: "+
			"they may be busy in a solo pool, may not accept JSON, or may hang")
	}
}

// sharedNames returns the end of an error's text, with the names that several workers share. It returns "" if
// there are none.
func sharedNames(a *answers) string {
	names := a.shared()
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf("; several workers share each of the names %q, and each worker must have its own: "+
		"RabbitMQ passes a ping to only one of them", names)
}

// judgeConsumption adds a finding for each queue that no answering worker consumes.
func (p *Probe) judgeConsumption(r *report, a *answers, depths []depth) {
	for _, d := range depths {
		switch {
		case a.consumes(d.queue) || d.consumers == 0: // judgeQueues reports a queue without consumers
		case d.consumers == unknown && !a.silent() && r.idle(d):
		case d.consumers == unknown && !a.silent():
			r.warn(probes.ReasonNoConsumers, "no worker consumes queue %q", d.queue)
		default:
			r.warn(probes.ReasonMissingWorkers,
				"no worker that answers consumes queue %q, but one that does not answer may", d.queue)
		}
	}
}

// total returns the number of consumers of all queues, or unknown if it is unknown for each queue.
func total(depths []depth) int {
	return sum(depths, func(d depth) int { return d.consumers })
}
