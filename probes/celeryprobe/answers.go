package celeryprobe

import (
	"slices"
	"time"
)

// answers are the answers of the workers to one ping. They include late answers to earlier pings, because a
// worker that answers is alive now.
type answers struct {
	asked    time.Time
	reached  int  // how many workers got the ping; with RabbitMQ only 0 or unknown
	sent     bool // the ping was sent
	complete bool // there were enough answers, or answerTime was over

	stored   int
	tickets  map[string]map[string]int // number by worker name and ticket; the name is "" if undecodable
	consumed map[string][]string       // by worker name: the checked queues that it consumes
	sharing  map[string]int            // by worker name: how many workers have it, if the broker reports this

	want     int      // how many answers are enough
	expected []string // names of workers that must answer too
	queues   []string // the checked queues
}

// maxWorkers is how many answers are counted. It bounds the memory.
const maxWorkers = 10_000

func newAnswers(want int, expected, queues []string) *answers {
	return &answers{
		asked: time.Now(), reached: unknown,
		tickets: map[string]map[string]int{}, consumed: map[string][]string{}, sharing: map[string]int{},
		want: want, expected: expected, queues: queues,
	}
}

func (a *answers) add(r reply) {
	if a.stored >= maxWorkers {
		return
	}
	a.stored++
	name := r.worker.name
	if a.tickets[name] == nil {
		a.tickets[name] = map[string]int{}
	}
	a.tickets[name][r.ticket]++
	if r.ticket == "" {
		a.tickets[name][""] = 1 // without a ticket, several answers may be from the same worker
	}
	for _, queue := range a.queues {
		if slices.Contains(r.worker.queues, queue) && !slices.Contains(a.consumed[name], queue) {
			a.consumed[name] = append(a.consumed[name], queue)
		}
	}
}

// count returns the number of workers that answered.
func (a *answers) count() int {
	n := 0
	for name := range a.tickets {
		n += a.countNamed(name)
	}
	return n
}

// countNamed returns how many workers of this name answered. It is the largest number of answers to one ping,
// because a worker answers each ping once.
func (a *answers) countNamed(name string) int {
	most := 0
	for _, n := range a.tickets[name] {
		most = max(most, n)
	}
	return most
}

// shared returns the names that several workers have.
func (a *answers) shared() []string {
	var names []string
	for name := range a.tickets {
		if name != "" && max(a.countNamed(name), a.sharing[name]) > 1 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// enough reports whether the ping can end, because all workers that got it have answered, or because want and
// expected are reached.
func (a *answers) enough() bool {
	if a.reached != unknown && a.count() >= a.reached {
		return true
	}
	return a.count() >= a.want && len(a.missing(a.expected)) == 0
}

// missing returns which of the named workers did not answer. It omits one of them for each answer that can't
// be decoded, because each may be from one of them.
func (a *answers) missing(names []string) []string {
	var missing []string
	for _, name := range names {
		if a.tickets[name] == nil {
			missing = append(missing, name)
		}
	}
	return missing[min(a.countNamed(""), len(missing)):]
}

// consumes reports whether a worker that answered consumes the queue.
func (a *answers) consumes(queue string) bool {
	for _, queues := range a.consumed {
		if slices.Contains(queues, queue) {
			return true
		}
	}
	return false
}

// silent reports whether there may be workers whose queues are unknown, because they did not answer or their
// answers can't be decoded.
func (a *answers) silent() bool {
	return a.countNamed("") > 0 || a.reached == unknown || a.count() < a.reached
}
