// Package history records the results of the checks: the last hour with a resolution of a second, the last
// day with a resolution of a minute, and the last changes. It allocates its memory at the start and never
// more. It runs no check. A time without a run has no data.
package history

import (
	"math"
	"slices"
	"sync"
	"time"

	"github.com/echo-probes/echohealth/internal/snapshot"
	"github.com/echo-probes/echohealth/probes"
)

const (
	// MinWindow is the shortest window that Report accepts.
	MinWindow = time.Minute
	// MaxWindow is the longest window that Report accepts.
	MaxWindow = 24 * time.Hour

	fineWindow = time.Hour // a window up to this length has columns made from seconds
	maxColumns = 120
	maxChanges = 500

	// The rings have room for one more column than the longest window, because the last column has only begun.
	secondSlots = int((fineWindow + fineWindow/maxColumns) / time.Second)
	minuteSlots = int((MaxWindow + 15*time.Minute) / time.Minute)
)

// History holds the history of all components. It implements snapshot.Recorder.
type History struct {
	components []snapshot.Component

	mu      sync.Mutex // guards the fields below
	clock   clock
	tracks  []track // one for each component
	changes []change
	next    int // the index in changes to write next, because changes is a ring
}

// track holds the history of one component. Its slots are seconds and minutes. They are numbered from the
// start of the History and kept in ring buffers.
type track struct {
	seconds []second
	minutes []minute
	at      int64 // the second of the last run; the slots after it still hold older data
	begun   bool  // there was a run

	status  probes.Status
	reason  probes.Reason
	changed time.Duration // when status or reason last changed
	late    bool          // a late failure has set the reason
	last    int           // the index of its last change in changes; -1 if there is none or it was overwritten
}

// minute sums up the runs of one minute.
type minute struct {
	count     [len(statuses)]uint16 // how many runs had each status
	incidents uint8                 // how often the status changed to Error
	sum, max  float32               // the sum and the maximum of the response times, in ms
}

var statuses = [...]probes.Status{probes.OK, probes.Warning, probes.Error}

// change is a change of a component's status or reason.
type change struct {
	at        time.Duration // when the change happened, as a time of clock
	after     time.Duration // how long the state before lasted; 0 for the first change
	component int
	from, to  probes.Status
	reason    probes.Reason
}

// New returns a History of these components. It begins at now. New allocates all the memory that it needs.
func New(components []snapshot.Component, now time.Time) *History {
	h := &History{
		components: components, clock: clock{last: now}, tracks: make([]track, len(components)),
		changes: make([]change, 0, maxChanges),
	}
	// All rings of a kind are one allocation, because Go would round each of them up, by 1.7 KB for a component.
	seconds, minutes := make([]second, len(components)*secondSlots), make([]minute, len(components)*minuteSlots)
	for i := range h.tracks {
		h.tracks[i] = track{
			seconds: seconds[i*secondSlots:][:secondSlots:secondSlots],
			minutes: minutes[i*minuteSlots:][:minuteSlots:minuteSlots],
			last:    -1,
		}
	}
	return h
}

// Record adds a run. A late failure was recorded before, when it exceeded its timeout. It only replaces the
// reason.
func (h *History) Record(run snapshot.Run) {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := h.clock.advance(run.At)
	t := &h.tracks[run.Component]
	if run.Kind == snapshot.Late {
		h.replaceReason(t, run)
		return
	}
	t.clearUntil(int64(at / time.Second))
	t.add(run)
	if run.Status == t.status && (run.Reason == t.reason || t.late && run.Reason == probes.ReasonTimeout) {
		return
	}
	h.addChange(t, run, at)
}

// replaceReason sets the reason of the last change to that of a late failure, which says more than
// ReasonTimeout.
func (h *History) replaceReason(t *track, run snapshot.Run) {
	if run.Status != t.status {
		return
	}
	t.reason, t.late = run.Reason, true
	if t.last >= 0 {
		h.changes[t.last].reason = run.Reason
	}
}

func (h *History) addChange(t *track, run snapshot.Run, at time.Duration) {
	c := change{at: at, component: run.Component, from: t.status, to: run.Status, reason: run.Reason}
	if t.status != "" {
		c.after = at - t.changed
	}
	t.status, t.reason, t.changed, t.late = run.Status, run.Reason, at, false
	if c.from == "" && c.to == probes.OK {
		return // a first result is a change only if it is not OK
	}
	t.last = h.next
	if len(h.changes) < maxChanges {
		h.changes = append(h.changes, c)
	} else {
		old := &h.tracks[h.changes[h.next].component]
		if old.last == h.next && old != t {
			old.last = -1
		}
		h.changes[h.next] = c
	}
	h.next = (h.next + 1) % maxChanges
}

// clearUntil makes second the current slot. It clears the slots between the last current slot and second,
// because they still hold data of the rings' previous round.
func (t *track) clearUntil(second int64) {
	if !t.begun {
		t.begun, t.at = true, second
		return
	}
	clearRing(t.seconds, t.at, second)
	clearRing(t.minutes, t.at/60, second/60)
	t.at = max(t.at, second)
}

// clearRing clears the slots after from up to and including to.
func clearRing[T any](ring []T, from, to int64) {
	if to-from >= int64(len(ring)) {
		clear(ring)
		return
	}
	for slot := from + 1; slot <= to; slot++ {
		clear(ring[slot%int64(len(ring)):][:1])
	}
}

// add adds a run to the current second and the current minute.
func (t *track) add(run snapshot.Run) {
	took := float32(run.Took.Seconds() * 1e3)
	s := &t.seconds[t.at%int64(len(t.seconds))]
	*s = s.worse(newSecond(run.Status, took))
	m := &t.minutes[t.at/60%int64(len(t.minutes))]
	i := slices.Index(statuses[:], run.Status)
	if i < 0 || m.count[i] == math.MaxUint16 {
		return
	}
	m.count[i]++
	m.sum += took
	m.max = max(m.max, took)
	if run.Status == probes.Error && t.status != probes.Error && m.incidents < math.MaxUint8 {
		m.incidents++
	}
}

// clock counts the time that has passed, and never goes back. If the wall clock advanced more than the
// monotonic clock, because the machine was suspended or the wall clock was set, it uses the wall clock. The
// time of the suspension then has no data.
type clock struct {
	last time.Time
	now  time.Duration // since the start
}

func (c *clock) advance(to time.Time) time.Duration {
	passed := max(to.Sub(c.last), to.Round(0).Sub(c.last.Round(0)))
	if passed > 0 {
		c.now += passed
		c.last = to
	}
	return c.now
}
