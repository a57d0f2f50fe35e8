// Package history keeps what the checks found, in memory that is fixed when it starts: the last hour by the
// second, the last day by the minute, and the last changes. It does not import Health and runs no check. A
// time without a run has no data.
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
	// MinWindow is the shortest window that can be asked for.
	MinWindow = time.Minute
	// MaxWindow is the longest window that can be asked for.
	MaxWindow = 24 * time.Hour

	fineWindow = time.Hour // up to this window the columns are made from seconds
	maxColumns = 120
	maxChanges = 500

	// The rings hold a column more than a window, because the last column is the present one.
	secondSlots = int((fineWindow + fineWindow/maxColumns) / time.Second)
	minuteSlots = int((MaxWindow + 15*time.Minute) / time.Minute)
)

// History is a snapshot.Recorder. Make one with New.
type History struct {
	components []snapshot.Component

	mu      sync.Mutex // guards the fields below
	clock   clock
	tracks  []track // one for each component
	changes []change
	next    int // in changes, of which it is a ring
}

// track holds the history of one component. The number of a slot is its distance from the start of the
// History. The slots are kept in rings.
type track struct {
	seconds []second
	minutes []minute
	at      int64 // the second of the last run; the slots after it are not cleared yet
	begun   bool  // there was a run

	status  probes.Status
	reason  probes.Reason
	changed time.Duration // since when the status and the reason are these
	late    bool          // the reason is that of a late failure
	last    int           // its last change in changes; -1: none, or it is overwritten
}

// minute sums up the runs of one minute.
type minute struct {
	count     [len(statuses)]uint16 // by status
	incidents uint8                 // how often it became an error
	sum, max  float32               // of the response times, in ms
}

var statuses = [...]probes.Status{probes.OK, probes.Warning, probes.Error}

// change is a change of a component's status or reason.
type change struct {
	at        time.Duration // by the clock
	after     time.Duration // how long the state before it lasted; 0 for the first
	component int
	from, to  probes.Status
	reason    probes.Reason
}

// New returns a History of these components that begins now. All its memory is allocated here.
func New(components []snapshot.Component, now time.Time) *History {
	h := &History{
		components: components, clock: clock{last: now}, tracks: make([]track, len(components)),
		changes: make([]change, 0, maxChanges),
	}
	for i := range h.tracks {
		h.tracks[i] = track{seconds: make([]second, secondSlots), minutes: make([]minute, minuteSlots), last: -1}
	}
	return h
}

// Record adds a run. A late failure was recorded when it exceeded its timeout: it replaces the reason.
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

// replaceReason gives the last change the reason of a late failure, which says more than that it took long.
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
		return // a first result that is OK is not a change
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

// clearUntil forgets what the slots up to second held in the round of the rings before.
func (t *track) clearUntil(second int64) {
	if !t.begun {
		t.begun, t.at = true, second
		return
	}
	clearRing(t.seconds, t.at, second)
	clearRing(t.minutes, t.at/60, second/60)
	t.at = max(t.at, second)
}

// clearRing zeroes the slots after from, up to to.
func clearRing[T any](ring []T, from, to int64) {
	if to-from >= int64(len(ring)) {
		clear(ring)
		return
	}
	for slot := from + 1; slot <= to; slot++ {
		clear(ring[slot%int64(len(ring)):][:1])
	}
}

// add puts a run into the slots of the present.
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

// clock counts the time that has passed. It never goes back. If the wall clock has moved further than the
// monotonic one, the machine was suspended or its clock was set. The difference has no data.
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
