package soak_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// answer is an answer of the service, with its times.
type answer struct {
	path           string
	code           int
	body           []byte
	started, ended time.Time // the service began it, and the client had received it
}

// document contains the members of an answer that are judged.
type document struct {
	result
	Checks map[string]result `json:"checks"`
}

type result struct {
	Status string `json:"status"`
	Reason string `json:"reason"`
}

// judge compares the answers of the service with the known states of the servers.
type judge struct {
	mu       sync.Mutex // guards the fields below
	subjects map[string]*subject
	faults   map[string]int // the number of each fault, by its name
	slowest  answer
	live     answer // the slowest liveness; shows how slow this machine is
}

// subject is a check and its observed results.
type subject struct {
	name  string
	last  outage
	green time.Time // the first ok since the server is back

	whileDown, whileUp int           // answers that were compared
	lateRed, lateGreen time.Duration // the longest delays until not ok, and until ok
	latest             string        // the answer with the delay lateRed
	alarms             int           // answers that were not ok again while the server was up
}

// outage is the last outage of a check's server. A time is zero as long as it is not known.
type outage struct {
	fault             string
	down, mending, up time.Time // down from down to mending; up from up on
}

func newJudge(v *victims) *judge {
	j := &judge{subjects: make(map[string]*subject), faults: make(map[string]int)}
	for _, victim := range v.all {
		for _, name := range victim.checks {
			j.subjects[name] = &subject{name: name, last: outage{up: time.Now()}}
		}
	}
	return j
}

// breaks, isDown, mends and isUp record what happens to the server of some checks. Between breaks and isDown,
// and between mends and isUp, a check may have any result.
func (j *judge) breaks(checks []string, fault string) {
	j.each(checks, func(s *subject) { s.last = outage{fault: fault} })
	j.mu.Lock()
	defer j.mu.Unlock()
	j.faults[fault]++
}

func (j *judge) isDown(checks []string) {
	j.each(checks, func(s *subject) { s.last.down = time.Now() })
}

func (j *judge) mends(checks []string) {
	j.each(checks, func(s *subject) { s.last.mending = time.Now() })
}

func (j *judge) isUp(checks []string) {
	j.each(checks, func(s *subject) { s.last.up = time.Now(); s.green = time.Time{} })
}

func (j *judge) each(checks []string, do func(*subject)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, name := range checks {
		do(j.subjects[name])
	}
}

// missing returns the checks that have not been ok since their server is back.
func (j *judge) missing(checks []string) []string {
	var missing []string
	j.each(checks, func(s *subject) {
		if s.green.IsZero() {
			missing = append(missing, s.name)
		}
	})
	return missing
}

func (j *judge) allGreen() bool {
	return len(j.missing(slices.Collect(maps.Keys(j.subjects)))) == 0 // the set of keys does not change
}

// hear judges an answer. It returns an error if the answer is malformed.
func (j *judge) hear(a answer) error {
	d, err := a.read()
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.time(a)
	for name, s := range j.subjects {
		r, there := d.Checks[name]
		switch {
		case there:
			j.see(s, r, a)
		case a.path == readyPath || a.path == detailedPath:
			return fmt.Errorf("%s leaves out %s: %s", a.path, name, a.body)
		}
	}
	return nil
}

func (a answer) read() (document, error) {
	var d document
	if err := json.Unmarshal(a.body, &d); err != nil {
		return d, fmt.Errorf("%s: %w", a.path, err)
	}
	if name, single := strings.CutPrefix(a.path, checksPath); single {
		d.Checks = map[string]result{strings.TrimSuffix(name, "/"): d.result}
	}
	if want := d.code(a.path); a.code != want {
		return d, fmt.Errorf("%s answered %d, not %d: %s", a.path, a.code, want, a.body)
	}
	return d, nil
}

// code returns the HTTP status that the document requires.
func (d document) code(path string) int {
	if path == livePath || path == detailedPath {
		return http.StatusOK
	}
	for _, r := range d.Checks {
		if r.Status == "error" {
			return http.StatusServiceUnavailable
		}
	}
	return http.StatusOK
}

func (j *judge) time(a answer) {
	longest := &j.slowest
	if a.path == livePath {
		longest = &j.live
	}
	if a.took() > longest.took() {
		*longest = a
	}
}

func (a answer) took() time.Duration { return a.ended.Sub(a.started) }

// see judges the result of a check, unless the state of its server was not certain during the answer.
func (j *judge) see(s *subject, r result, a answer) {
	o := s.last
	switch {
	case !o.up.IsZero():
		if a.started.After(o.up) {
			s.seeUp(r, a)
		}
	case !o.down.IsZero() && a.started.After(o.down) && (o.mending.IsZero() || a.ended.Before(o.mending)):
		s.seeDown(r, a)
	}
}

func (s *subject) seeUp(r result, a answer) {
	s.whileUp++
	switch ok := r.Status == "ok"; {
	case ok && s.green.IsZero():
		s.green = a.started
		s.lateGreen = max(s.lateGreen, a.started.Sub(s.last.up))
	case !ok && !s.green.IsZero() && a.started.After(s.green):
		s.alarms++
	}
}

// seeDown accepts only an error. A warning is as wrong as ok, because the service stays ready.
func (s *subject) seeDown(r result, a answer) {
	s.whileDown++
	if r.Status == "error" {
		return
	}
	if late := a.started.Sub(s.last.down); late > s.lateRed {
		s.lateRed = late
		s.latest = fmt.Sprintf("%s says that it is %s %s, %v after its server was %s", a.path, r.Status, r.Reason, late, s.last.fault)
	}
}

// requireSoon ends the test if a server's checks are not ok in time.
func (j *judge) requireSoon(t *testing.T, v *victim) {
	t.Helper()
	missing := j.missing(v.checks)
	j.each(missing, func(s *subject) {
		require.Less(t, time.Since(s.last.up), toGreen+j.live.took(), "%s is not green again after %s was %s", s.name, v.name, s.last.fault)
	})
}

func (j *judge) summary() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	text := fmt.Sprintf("faults: %v; the slowest answer: %v, %s; the slowest liveness: %v", j.faults,
		j.slowest.took().Round(time.Millisecond), j.slowest.path, j.live.took().Round(time.Millisecond))
	for _, name := range slices.Sorted(maps.Keys(j.subjects)) {
		s := j.subjects[name]
		text += fmt.Sprintf("\n%-13s at worst %.2f s to red and %.2f s to green; %d answers while its server was down, %d while it was up, %d of them red after green",
			name, s.lateRed.Seconds(), s.lateGreen.Seconds(), s.whileDown, s.whileUp, s.alarms)
	}
	return text
}

func (j *judge) assert(t *testing.T) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	assert.Less(t, j.live.took(), standstill, "liveness")
	assert.Less(t, j.slowest.took(), slowest+j.live.took(), "%s", j.slowest.path)
	for _, s := range j.subjects {
		assert.LessOrEqual(t, s.lateRed, toRed+j.live.took(), "%s: %s", s.name, s.latest)
		assert.NotZero(t, s.whileDown, "answers about %s while its server was down", s.name)
		assert.Less(t, s.alarms, s.whileUp/2, "answers with %s red, after it had become green, of %d while its server was up", s.name, s.whileUp)
	}
}
