package celeryprobe

import (
	"slices"
	"time"
)

// answers are the answers to one ping, and the late answers to earlier pings: a worker that answers is alive
// now.
type answers struct {
	asked    time.Time
	reached  int  // how many workers got the ping; unknown for any number but 0
	sent     bool // the ping was sent
	complete bool // the ping ended with enough answers, or by answerTime

	stored   int
	tickets  map[string]map[string]int // by worker and ticket: how many; the name is "" if it can't be decoded
	consumed map[string][]string       // by worker: which of queues it consumes
	sharing  map[string]int            // by name: how many workers share it, if the broker reports that

	want     int      // number of answers that is enough
	expected []string // workers that must be among them
	queues   []string // the checked queues
}

// maxWorkers bounds the number of answers that count.
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
		a.tickets[name][""] = 1 // nobody knows whose answers they are
	}
	for _, queue := range a.queues {
		if slices.Contains(r.worker.queues, queue) && !slices.Contains(a.consumed[name], queue) {
			a.consumed[name] = append(a.consumed[name], queue)
		}
	}
}

// count is the number of workers that answered.
func (a *answers) count() int {
	n := 0
	for name := range a.tickets {
		n += a.countNamed(name)
	}
	return n
}

// countNamed returns how many workers of that name answered: the largest number of answers to one ping,
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

// enough reports whether no more answers are expected.
func (a *answers) enough() bool {
	if a.reached != unknown && a.count() >= a.reached {
		return true
	}
	return a.count() >= a.want && len(a.missing(a.expected)) == 0
}

// missing returns which of the workers did not answer. Answers that can't be decoded may be theirs.
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

// silent reports whether there may be workers whose queues are unknown.
func (a *answers) silent() bool {
	return a.countNamed("") > 0 || a.reached == unknown || a.count() < a.reached
}
