package history

import (
	"slices"
	"time"

	"github.com/echo-probes/echohealth/internal/snapshot"
	"github.com/echo-probes/echohealth/probes"
)

// Report is the history of a window, in columns of equal length. The present is in the last column.
type Report struct {
	Instance   string // a random name of the process; the caller fills it in
	Made       time.Time
	Since      time.Time // when the History began
	Window     time.Duration
	Step       time.Duration // the length of a column
	From       time.Time     // the beginning of the first column
	Components []Component
	Changes    []Change // oldest first
}

// Component is the history of one component.
type Component struct {
	Name         string
	Columns      []Column
	Availability Figure // the ok and warning results, divided by all results; absent without results
	Incidents    int    // how often the status changed to error
}

// Column is a part of the window. It has the worst status, which is empty without data, and the response
// times.
type Column struct {
	Status probes.Status
	AvgMS  Figure
	MaxMS  Figure
}

// Figure is a number that may be absent.
type Figure = snapshot.Figure

// Change is a change of a component's status or reason.
type Change struct {
	At        time.Time
	Component string
	From      probes.Status // empty for the first change
	To        probes.Status
	After     time.Duration // how long From lasted with its reason; 0 for the first change
	Reason    probes.Reason
}

// steps are the possible lengths of a column. The rings have room for the last and longest one.
var steps = [...]time.Duration{
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute,
}

// stepFor returns the shortest step that divides the window into at most maxColumns columns.
func stepFor(window time.Duration) time.Duration {
	for _, step := range steps {
		if window <= maxColumns*step {
			return step
		}
	}
	return steps[len(steps)-1]
}

// Report returns the history of the window that ends now. It has the component with this name, or all
// components if the name is empty. The window must be from MinWindow to MaxWindow.
func (h *History) Report(window time.Duration, component string, now time.Time) Report {
	tracks, changes, at := h.copy(component, now)
	wall := func(t time.Duration) time.Time { return now.Add(t - at) }
	p := newPlan(window, at)
	r := Report{
		Made: now, Since: wall(0), Window: window, Step: p.step(), From: wall(p.from()),
	}
	for i, c := range h.components {
		if component == "" || c.Name == component {
			r.Components = append(r.Components, tracks[i].report(c, p))
		}
	}
	for _, c := range changes {
		name := h.components[c.component].Name
		if c.at >= p.from() && (component == "" || component == name) {
			r.Changes = append(r.Changes, Change{
				At: wall(c.at), Component: name, From: c.from, To: c.to, After: c.after, Reason: c.reason,
			})
		}
	}
	return r
}

// copy returns a copy of the component's track, or of all tracks, and of the changes in their order. The
// report is made from the copy, because Record waits for the lock, and the readiness endpoint waits for
// Record.
func (h *History) copy(component string, now time.Time) ([]track, []change, time.Duration) {
	tracks := make([]track, len(h.tracks))
	h.mu.Lock()
	defer h.mu.Unlock()
	at := h.clock.advance(now)
	for i, t := range h.tracks {
		if component == "" || h.components[i].Name == component {
			t.seconds, t.minutes = slices.Clone(t.seconds), slices.Clone(t.minutes)
			tracks[i] = t
		}
	}
	next := min(h.next, len(h.changes)) // if the ring is not full, the oldest change is at 0
	if len(h.changes) < maxChanges {
		next = 0
	}
	return tracks, slices.Concat(h.changes[next:], h.changes[:next]), at
}

// plan describes which slots each column consists of.
type plan struct {
	unit    time.Duration // the length of a slot: a second or a minute
	slots   int64         // the number of slots in a column
	first   int64         // the first slot of the first column
	now     int64         // the current slot
	columns int
}

// newPlan begins each column at a multiple of its length. Thus the columns of two reports agree.
func newPlan(window, now time.Duration) plan {
	step := stepFor(window)
	p := plan{unit: time.Second, columns: int((window + step - 1) / step)}
	if window > fineWindow {
		p.unit = time.Minute
	}
	p.slots = int64(step / p.unit)
	p.now = int64(now / p.unit)
	p.first = (p.now/p.slots - int64(p.columns) + 1) * p.slots
	return p
}

func (p plan) step() time.Duration { return time.Duration(p.slots) * p.unit }
func (p plan) from() time.Duration { return time.Duration(p.first) * p.unit }

// slot is the data of a second or a minute.
type slot struct {
	code     int // the index in statuses plus 1; 0 without data
	count    float64
	sum, max float64 // the sum and the maximum of the response times, in ms
}

func (t *track) report(of snapshot.Component, p plan) Component {
	c := Component{Name: of.Name, Columns: make([]Column, p.columns)}
	// A slot without a run has the status of the last slot with a run, if that is at most one interval ago. The
	// status of a slot with several runs is the worst one.
	code, served := t.before(p.from(), of.Interval)
	for column := range c.Columns {
		var all slot
		for i := p.first + int64(column)*p.slots; i < p.first+int64(column+1)*p.slots; i++ {
			s := t.slot(p.unit, i)
			if s.code > 0 {
				code, served = s.code, time.Duration(i)*p.unit+of.Interval
			} else if time.Duration(i)*p.unit <= served && i <= p.now {
				s.code = code
			}
			all.add(s)
		}
		c.Columns[column] = all.column()
	}
	c.Availability, c.Incidents = t.availability(p)
	return c
}

// before returns the status code of the last slot with data before from, if that is at most one interval ago,
// and until when the code is valid. It uses the seconds, and the minutes if the seconds have no such data.
func (t *track) before(from, interval time.Duration) (code int, served time.Duration) {
	for _, ring := range []struct {
		unit  time.Duration
		slots int
	}{{time.Second, len(t.seconds)}, {time.Minute, len(t.minutes)}} {
		unit := ring.unit
		oldest := max(0, t.at/int64(unit/time.Second)-int64(ring.slots)+1)
		for i := int64(from/unit) - 1; i >= oldest && time.Duration(i)*unit+interval >= from; i-- {
			if s := t.slot(unit, i); s.code > 0 {
				return s.code, time.Duration(i)*unit + interval
			}
		}
	}
	return 0, -1
}

// slot returns the i-th slot of a unit.
func (t *track) slot(unit time.Duration, i int64) slot {
	if unit == time.Second {
		s, ok := at(t.seconds, i, t.at)
		if !ok || !t.begun || s == 0 {
			return slot{}
		}
		ms := float64(s.ms())
		return slot{code: s.code(), count: 1, sum: ms, max: ms}
	}
	m, ok := at(t.minutes, i, t.at/60)
	if !ok || !t.begun {
		return slot{}
	}
	s := slot{sum: float64(m.sum), max: float64(m.max)}
	for j, n := range m.count {
		if n > 0 {
			s.code = j + 1
			s.count += float64(n)
		}
	}
	return s
}

// at returns the i-th slot of a ring whose newest slot is last. ok is false if the ring does not hold it.
func at[T any](ring []T, i, last int64) (slot T, ok bool) {
	if i < 0 || i > last || i <= last-int64(len(ring)) {
		return slot, false
	}
	return ring[i%int64(len(ring))], true
}

func (s *slot) add(other slot) {
	s.code = max(s.code, other.code)
	s.count += other.count
	s.sum += other.sum
	s.max = max(s.max, other.max)
}

func (s slot) column() Column {
	var c Column
	if s.code > 0 {
		c.Status = statuses[s.code-1]
	}
	if s.count > 0 {
		c.AvgMS, c.MaxMS = snapshot.Known(s.sum/s.count), snapshot.Known(s.max)
	}
	return c
}

// availability returns the share of the results that were not an Error, and the number of incidents. It
// counts each result once. It includes the whole minute in which the window begins, because only the minutes
// count results.
func (t *track) availability(p plan) (share Figure, incidents int) {
	if !t.begun {
		return share, 0
	}
	var results [len(statuses)]int
	for i := int64(p.from() / time.Minute); i <= t.at/60; i++ {
		m, _ := at(t.minutes, i, t.at/60)
		for status, n := range m.count {
			results[status] += int(n)
		}
		incidents += int(m.incidents)
	}
	well := results[0] + results[1]
	if all := well + results[2]; all > 0 {
		share = snapshot.Known(float64(well) / float64(all))
	}
	return share, incidents
}
