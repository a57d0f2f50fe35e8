package celeryprobe

import (
	"context"
	"slices"
	"time"

	"github.com/echo-probes/echohealth/probes"
)

// answerTime is how long a ping waits for workers to answer. It leaves time for the rest of the check before its default
// timeout of 800 ms. Workers that take longer are counted by the next check.
const answerTime = 500 * time.Millisecond

// roll is what is known of the workers. Answers serve until the next ping.
type roll struct {
	pinged  time.Time // when the last ping went out that reached anybody
	answers *answers  // to the last ping that could be seen through; nil before the first
}

// answers are those to one ping, and those that came late to earlier ones since then: who answers is alive now.
type answers struct {
	asked   time.Time
	reached int                 // to how many workers the broker passed the ping; unknown for any number but none
	sent    bool                // the ping went out
	whole   bool                // it was waited for until enough answered or the time was over
	named   map[string][]string // which of queues each worker consumes that answered
	unnamed map[string]int      // how many answers to each ticket can't be read

	want     int      // as many answers are enough
	expected []string // if these are among them
	queues   []string // what else they consume is of no interest
}

// maxWorkers bounds what is remembered.
const maxWorkers = 10_000

func (a *answers) add(r reply) {
	if len(a.named)+len(a.unnamed) >= maxWorkers {
		return
	}
	if r.worker.name == "" {
		a.unnamed[r.ticket]++
		return
	}
	var consumed []string
	for _, queue := range a.queues {
		if slices.Contains(r.worker.queues, queue) {
			consumed = append(consumed, queue)
		}
	}
	a.named[r.worker.name] = consumed
}

// count is the number of workers that answered.
func (a *answers) count() int { return len(a.named) + a.countUnnamed() }

// countUnnamed takes the most that any ping got: a worker that answers in a way that can't be read answers each.
func (a *answers) countUnnamed() int {
	most := 0
	for _, n := range a.unnamed {
		most = max(most, n)
	}
	return most
}

// enough reports whether there is nobody to wait for.
func (a *answers) enough() bool {
	if a.reached != unknown && a.count() >= a.reached {
		return true
	}
	return a.count() >= a.want && len(a.missing(a.expected)) == 0
}

// missing returns which of the workers did not answer. Answers that can't be read may be theirs.
func (a *answers) missing(names []string) []string {
	var missing []string
	for _, name := range names {
		if _, ok := a.named[name]; !ok {
			missing = append(missing, name)
		}
	}
	return missing[min(a.countUnnamed(), len(missing)):]
}

// consumes reports whether a worker that answered consumes the queue.
func (a *answers) consumes(queue string) bool {
	for _, queues := range a.named {
		if slices.Contains(queues, queue) {
			return true
		}
	}
	return false
}

// silent reports whether there may be workers of which nothing was learned.
func (a *answers) silent() bool {
	return a.countUnnamed() > 0 || a.reached == unknown || a.count() < a.reached
}

// callRoll pings the workers if it is time to, and else takes what answers have come late.
func (p *Probe) callRoll(ctx context.Context, depths []depth) error {
	if !p.roll.pinged.IsZero() && time.Since(p.roll.pinged) < p.workers.every {
		return p.broker.late(ctx, p.take)
	}
	a := &answers{
		asked: time.Now(), reached: unknown, named: map[string][]string{}, unnamed: map[string]int{},
		want: p.wanted(depths), expected: p.workers.expected, queues: p.queues,
	}
	err := p.broker.call(ctx, p.workers.method(), a)
	if a.sent && a.reached != 0 { // a ping that reached nobody is no burden to anybody
		p.roll.pinged = a.asked
	}
	if err == nil && a.whole {
		p.roll.answers = a
	}
	return err
}

func (p *Probe) take(r reply) {
	if p.roll.answers != nil {
		p.roll.answers.add(r)
	}
}

// wanted is how many workers are likely to answer: as many as last time, or as there are consumers. Waiting for fewer
// would leave out the slower ones, and for more would make every ping take all of answerTime.
func (p *Probe) wanted(depths []depth) int {
	want := max(1, p.workers.min, len(p.workers.expected))
	if p.roll.answers != nil {
		return max(want, p.roll.answers.count())
	}
	for _, d := range depths {
		if d.consumers == unknown {
			return maxWorkers // until the number that the ping reached has answered
		}
		want = max(want, d.consumers)
	}
	return want
}

// judgeWorkers says what is wrong with the workers.
func (p *Probe) judgeWorkers(r *report, depths []depth) {
	a := p.roll.answers
	if a == nil || time.Since(a.asked) > 3*p.workers.every {
		r.mild(probes.ReasonStale, "no ping to the workers has been seen through for more than %s", 3*p.workers.every)
		return
	}
	n, missing := a.count(), a.missing(p.workers.expected)
	r.detail("workers", n)
	if len(p.workers.expected) > 0 {
		r.detail("missing_workers", len(missing))
	}
	switch {
	case n == 0 && a.reached == 0 && total(depths) <= 0:
		r.mild(probes.ReasonNoWorkers, "there is no worker: nobody takes remote-control commands, and nobody consumes the queues as far as the broker knows")
	case n == 0 && a.reached == 0:
		r.mild(probes.ReasonMissingWorkers, "no worker takes remote-control commands, but there are %d consumers: remote control may be off", total(depths))
	case n == 0:
		r.mild(probes.ReasonMissingWorkers, "no worker has answered, but some are connected: they may be busy, in a solo pool say, or accept no JSON, or hang")
	case n < p.workers.min:
		r.mild(probes.ReasonMissingWorkers, "%d workers answer, fewer than %d", n, p.workers.min)
	}
	if len(missing) > 0 && n > 0 {
		r.mild(probes.ReasonMissingWorkers, "of the expected workers these have not answered: %q", missing)
	}
	if p.workers.consumers && n > 0 {
		p.judgeConsumption(r, a, depths)
	}
}

// judgeConsumption says which queues no worker that answers consumes.
func (p *Probe) judgeConsumption(r *report, a *answers, depths []depth) {
	for _, d := range depths {
		switch {
		case a.consumes(d.queue) || d.consumers == 0: // the latter is said already
		case d.consumers == unknown && !a.silent():
			r.mild(probes.ReasonNoConsumers, "no worker consumes queue %q", d.queue)
		default:
			r.mild(probes.ReasonMissingWorkers, "no worker that answers consumes queue %q, but one that is silent may", d.queue)
		}
	}
}

// total is the number of consumers of all queues, below 0 where the broker can't tell.
func total(depths []depth) int {
	n := 0
	for _, d := range depths {
		n += d.consumers
	}
	return n
}
