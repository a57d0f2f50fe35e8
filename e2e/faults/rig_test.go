package faults_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/assert"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/celeryprobe"
)

const (
	timeout   = 800 * time.Millisecond // the default timeout of a check
	freshness = time.Second            // the default freshness of a result
	slack     = 500 * time.Millisecond // added to every limit, because other processes may use the machine

	asks   = 50                     // number of requests during the fault, and of checks after them
	pause  = 170 * time.Millisecond // between requests
	sample = 100 * time.Millisecond // deadline of each of those checks

	settling = 25 * time.Second // for resources that drivers release late
)

// application is the part of a service that uses the dependency. The application of a rig may be nil.
type application interface {
	use(ctx context.Context) error                        // sends a request over each of its connections
	hold(ctx context.Context) (release func(), err error) // takes all of its connections
	pool() (connections, busy int, made int64)            // open, in use, ever made
	close()
}

// rig is a service with one check, and with a proxy in front of its dependency.
type rig struct {
	scene  *scene
	column column
	label  string
	host   string // the name of the dependency
	proxy  *testserver.Proxy
	probe  probes.Probe
	app    application
	health *echohealth.Health
	echo   *echo.Echo
	log    diary
	busy   int // the application's connections in use at the last look

	figures figures
}

// newRig makes a service that finds the scene's server by a unique name.
func newRig(s *scene, c column) *rig {
	label := s.fault.name + ": " + string(c)
	r := &rig{scene: s, column: c, label: label, host: hostName(label), proxy: testserver.NewProxy(s.t, s.addr)}
	names.set(r.host, true)
	_, port, err := net.SplitHostPort(r.proxy.Addr())
	s.must(err, "the proxy's address")
	r.do(func() {
		if r.app, err = s.site.start(net.JoinHostPort(r.host, port), r); err != nil {
			return
		}
		r.health, err = echohealth.New(
			echohealth.WithCheck("dependency", r.probe),
			echohealth.WithLogger(slog.New(slog.NewTextHandler(&r.log, nil))),
			echohealth.WithOnChange(r.log.note),
			echohealth.WithoutSystemMetrics(),
			echohealth.WithDrainDelay(0),
		)
	})
	s.must(err, "%s", label)
	s.t.Cleanup(r.close)
	r.echo = echo.New()
	r.echo.Use(r.health.Middleware)
	return r
}

// celeryOptions are the options of the rig's celeryprobe.
func (r *rig) celeryOptions() []celeryprobe.Option {
	if !r.scene.fault.pings {
		return nil
	}
	return []celeryprobe.Option{celeryprobe.PingWorkers(1), celeryprobe.PingEvery(time.Second)}
}

// hostName makes a unique host name from a label.
func hostName(label string) string {
	keep := func(c rune) rune {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
			return c
		case c == ' ', c == '/':
			return '-'
		}
		return -1
	}
	return strings.Map(keep, strings.ToLower(label)) + "." + domain
}

const domain = "faults.test"

func (r *rig) close() {
	r.do(func() {
		_ = r.health.Close()
		if r.app != nil {
			r.app.close()
		}
	})
}

// do calls f. The goroutines that f starts count for the rig.
func (r *rig) do(f func()) { labelled(r.label, f) }

// warmUp uses the application and the check until both are ok.
func (r *rig) warmUp() {
	clock := watch()
	r.await(clock, "the application", func() bool { return r.use(5*time.Second) == nil })
	r.await(clock, "the check", r.green)
}

// rest waits until the usage of the rig is constant, and records it as the usage before the fault.
func (r *rig) rest() {
	const still = 3 // equal counts in a row
	clock, same := watch(), 0
	for same < still && clock.took() < clock.atMost(settling) {
		now := usage{goroutines.next(r.label), r.proxy.Open()}
		if same++; now != r.figures.before {
			r.figures.before, same = now, 0
		}
	}
	assert.Equal(r.scene.t, still, same, "%s: it comes to no rest", r.label)
	if r.app != nil {
		r.figures.connections, _, r.figures.made = r.app.pool()
	}
}

// use makes the application use its dependency.
func (r *rig) use(limit time.Duration) error {
	if r.app == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(r.scene.t.Context(), limit)
	defer cancel()
	var err error
	r.do(func() { err = r.app.use(ctx) })
	return err
}

// usage is the number of goroutines and connections of a rig.
type usage struct{ goroutines, connections int }

// count returns the last known usage, without waiting for a new count.
func (r *rig) count() usage {
	n, _ := goroutines.of(r.label)
	return usage{n, r.proxy.Open()}
}

func (u usage) max(v usage) usage {
	return usage{max(u.goroutines, v.goroutines), max(u.connections, v.connections)}
}

// observe requests readiness repeatedly during the fault, and requests all other endpoints once.
func (r *rig) observe() {
	time.Sleep(freshness) // so that the result from before the fault expires
	all := watch()
	var late lateness
	for range asks {
		clock := watch()
		a := r.ask()
		late.note(clock, timeout)
		r.figures.answer = max(r.figures.answer, a.took)
		r.figures.said = append(r.figures.said, a.word)
		r.look()
		time.Sleep(pause)
	}
	assert.LessOrEqual(r.scene.t, len(late), lateAtMost, "%s: answers that took too long: %v", r.label, late)
	r.judge(all.busy())
	r.reveal()
}

// judge compares the results with the expected ones. On a busy machine, additional timeouts are allowed.
func (r *rig) judge(busy float64) {
	want := r.scene.fault.want[r.column]
	r.figures.word = strings.Join(lasting(r.figures.said), " / ")
	r.figures.certain = true
	if r.figures.word == want {
		return
	}
	if strings.Join(lasting(withoutHiccups(r.figures.said)), " / ") == want {
		r.scene.t.Logf("%s: %s instead of %s, by few timeouts: %v", r.label, r.figures.word, want, r.figures.said)
		r.figures.word = want
		return
	}
	inTime := slices.DeleteFunc(slices.Clone(r.figures.said), isTimeout)
	if r.figures.certain = busy < tooBusy; !r.figures.certain && (len(inTime) == 0 || strings.Join(lasting(inTime), " / ") == want) {
		r.scene.t.Logf("%s: %s instead of %s, on a machine that was busy otherwise for %.0f %% of the time", r.label, r.figures.word, want, busy*100)
		return
	}
	assert.Equal(r.scene.t, want, r.figures.word, "%s: busy for %.0f %% of the time: %v", r.label, busy*100, r.figures.said)
}

// tooBusy is the share of time waiting for the machine from which the machine counts as busy. An idle machine
// has 0.02 to 0.04.
const tooBusy = 0.1

// lasting returns the results that came more than once, or for long, in the order of their first occurrence.
// A result that came only for a moment was caused by a busy machine, or by the moment at which the fault
// began.
func lasting(said []string) []string {
	times, asks := make(map[string]int), make(map[string]int)
	var words []string
	for i, word := range said {
		if i == 0 || said[i-1] != word {
			times[word]++
		}
		if asks[word]++; asks[word] == 1 {
			words = append(words, word)
		}
	}
	return slices.DeleteFunc(words, func(word string) bool { return times[word] == 1 && asks[word] < len(said)/3 })
}

func isTimeout(word string) bool { return word == "timeout" }

// withoutHiccups removes the timeouts if there are only a few, because even an idle machine may pause.
func withoutHiccups(said []string) []string {
	const most = 3
	streaks := 0
	for i, word := range said {
		if isTimeout(word) && (i == 0 || !isTimeout(said[i-1])) {
			streaks++
		}
	}
	inTime := slices.DeleteFunc(slices.Clone(said), isTimeout)
	if streaks > most || len(said)-len(inTime) >= len(said)/3 {
		return said
	}
	return inTime
}

// look records the usage of the rig, and how many of the application's connections are in use.
func (r *rig) look() {
	r.figures.most = r.figures.most.max(r.count())
	busy := r.inUse()
	r.figures.taken = max(r.figures.taken, min(busy, r.busy)) // without a connection that its check closes
	r.busy = busy
}

// inUse returns how many of the application's connections the checks use. The application itself is idle
// meanwhile.
func (r *rig) inUse() int {
	if r.app == nil {
		return 0
	}
	_, busy, _ := r.app.pool()
	return busy
}

// press calls the probe itself as many times, with contexts that end too early.
func (r *rig) press() {
	var late lateness
	for range asks {
		r.do(func() {
			ctx, cancel := context.WithTimeout(context.Background(), sample)
			defer cancel()
			clock := watch()
			r.probe.Check(ctx)
			late.note(clock, sample)
		})
		r.look()
	}
	assert.LessOrEqual(r.scene.t, len(late), lateAtMost, "%s: checks that took longer than %s: %v", r.label, sample, late)
}

// kept is the additional usage that is allowed during the fault: one connection of the probe, and the
// goroutines that use it.
var kept = usage{goroutines: 4, connections: 1}

// settle waits, during the fault, until the checks have released their resources, and compares the
// application's pool with its state before the fault.
func (r *rig) settle() {
	clock := watch()
	if r.app != nil && r.scene.release == nil {
		r.await(clock, "the application's pool", func() bool { return r.inUse() <= 1 })
	}
	r.settleTo(usage{r.figures.before.goroutines + kept.goroutines, r.figures.before.connections + kept.connections}, "while the fault lasts")
	r.figures.settled, r.figures.after = clock.took(), r.count()
	if r.app == nil {
		return
	}
	connections, _, made := r.app.pool()
	r.figures.lost, r.figures.remade = r.figures.connections-connections, int(made-r.figures.made)
	if r.scene.fault.keeps {
		t := r.scene.t
		assert.True(t, r.scene.release != nil || r.figures.taken <= 1, "%s: %d of the application's connections were in use", r.label, r.figures.taken)
		assert.LessOrEqual(t, r.figures.lost, lostAtMost, "%s: of the application's %d connections were lost", r.label, r.figures.connections)
		assert.LessOrEqual(t, r.figures.remade, lostAtMost, "%s: connections were made anew", r.label)
	}
}

// lostAtMost is how many of the application's connections the checks of a scene may close. A query without an
// answer is canceled after 10 s, which closes its connection.
const lostAtMost = 3

// settleTo waits until the usage of the rig is within limit.
func (r *rig) settleTo(limit usage, when string) {
	for clock := watch(); ; {
		now := usage{goroutines.next(r.label), r.proxy.Open()}
		if now.max(limit) == limit {
			return
		}
		if clock.took() > clock.atMost(settling) {
			assert.Failf(r.scene.t, "it does not settle", "%s: %+v %s, after %s, and %+v before", r.label, now, when, clock.took(), r.figures.before)
			return
		}
	}
}

// recover waits, after the fault has ended, until the check is ok and the application works.
func (r *rig) recover() {
	clock := watch()
	var both sync.WaitGroup
	both.Go(func() { r.figures.green = r.await(clock, "the check", r.green) })
	if r.app != nil {
		both.Go(func() {
			r.figures.works = r.await(clock, "the application", func() bool { return r.use(2*time.Second) == nil })
		})
	}
	both.Wait()
	assert.Less(r.scene.t, r.figures.green, clock.atMost(r.column.recovery()), "%s: until the check is green", r.label)
}

// await waits until done returns true, and returns how long that took.
func (r *rig) await(clock stopwatch, who string, done func() bool) time.Duration {
	for !done() {
		if clock.took() > clock.atMost(settling) {
			assert.Failf(r.scene.t, "no recovery", "%s: %s, after %s: %s\n%s", r.label, who, clock.took(), r.ask().word, r.log.String())
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	return clock.took()
}

// green reports whether the check is ok.
func (r *rig) green() bool { return r.ask().word == "ok" }

// settleAgain waits, with some requests, until the usage of the rig is what it was before the fault.
func (r *rig) settleAgain() {
	time.Sleep(freshness)
	r.await(watch(), "the check, once more", r.green)
	r.settleTo(r.figures.before, "after the fault")
}

// answer is an answer of the Health.
type answer struct {
	code   int
	header http.Header
	body   []byte
	took   time.Duration
	word   string // the result of the check, if the body contains it
}

func (r *rig) get(path string) answer {
	recorder := httptest.NewRecorder()
	request := httptest.NewRequest(http.MethodGet, "/api/health"+path, nil)
	began := time.Now()
	r.do(func() { r.echo.ServeHTTP(recorder, request) })
	return answer{code: recorder.Code, header: recorder.Header(), body: recorder.Body.Bytes(), took: time.Since(began)}
}

// ask requests readiness.
func (r *rig) ask() answer {
	a := r.get("/ready/")
	var document struct {
		Checks struct {
			Dependency struct{ Status, Reason string }
		}
	}
	err := json.Unmarshal(a.body, &document)
	assert.NoError(r.scene.t, err, "%s: %s", r.label, a.body)
	check := document.Checks.Dependency
	switch a.word = check.Reason; check.Status {
	case "ok":
		a.word = "ok"
	case "warning":
		a.word = "warning " + check.Reason
	}
	code := http.StatusOK
	if check.Status == "error" {
		code = http.StatusServiceUnavailable
	}
	assert.Equal(r.scene.t, code, a.code, "%s: %s", r.label, a.body)
	return a
}
