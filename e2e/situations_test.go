package e2e_test

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"math"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/probes"
	"github.com/stretchr/testify/require"
)

// situation is a Health, the events before the first request, and the answers that it must give.
type situation struct {
	name    string
	options []echohealth.Option
	before  func(t *testing.T, h *echohealth.Health) // the events before the first request; nil: none
	header  http.Header                              // of each request
	refused int                                      // the status of refused requests; zero: none is refused
	hidden  bool                                     // WithPublic serves only live and ready
	private bool                                     // requested through Private, with ShowErrors

	// The expected words of the three answers that vary, and of single checks. They verify that the situation is
	// the one that its name describes. Otherwise all answers could be valid, but for another situation.
	ready, startup, detailed string            // "status reason", or "status phase"
	live                     string            // empty: alive
	checks                   map[string]string // "status reason", by name
	shows                    []string          // members in /detailed/ that are always the same
}

// fixed is a probe that always returns the same result.
type fixed probes.Result

func (f fixed) Check(context.Context) probes.Result { return probes.Result(f) }

func failing(err error) probes.Probe { return probes.Func(func(context.Context) error { return err }) }

func check(name string, p probes.Probe, opts ...echohealth.CheckOption) echohealth.Option {
	return echohealth.WithCheck(name, p, opts...)
}

var (
	well    = failing(nil)
	refused = failing(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED})
	backlog = fixed{Status: probes.Warning, Reason: probes.ReasonBacklog, Details: []slog.Attr{slog.Int("pending_tasks", 10), slog.Int("consumers", 2)}}
	hangs   = probes.Func(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	panics  = probes.Func(func(context.Context) error { panic("postgres://app:s3cret@db/app") })
	slow    = probes.Func(func(context.Context) error { time.Sleep(5 * time.Millisecond); return nil })

	// talkative returns details of every kind, and details that must not be shown.
	talkative = fixed{Status: probes.OK, Details: []slog.Attr{
		slog.Int("negative", -1), slog.Uint64("largest", math.MaxUint64), slog.Float64("tiny", 1e-9), slog.Float64("huge", 1e300), slog.Bool("read_only", true),
		slog.String("role", "master-7.2_a"), slog.String("address", "10.0.0.7:5432"), slog.String("status", "fine"), slog.Float64("nan", math.NaN()), slog.Any("err", errors.New("x")),
	}}

	discard = slog.New(slog.DiscardHandler)

	tokenGuard = echohealth.WithGuard(echohealth.BearerToken("s3cret"))
)

// breaks is a probe that succeeds some times, and then is refused.
func breaks(after int64) probes.Probe {
	var runs atomic.Int64
	return probes.Func(func(ctx context.Context) error {
		if runs.Add(1) > after {
			return syscall.ECONNREFUSED
		}
		return nil
	})
}

func authorization(value string) http.Header { return http.Header{"Authorization": {value}} }

func report(t *testing.T, h *echohealth.Health) { h.Report(t.Context()) }

func drain(t *testing.T, h *echohealth.Health) { require.NoError(t, h.Drain(t.Context())) }

// turnedOff is a switch that is off.
func turnedOff(reason probes.Reason) *probes.Switch {
	s := probes.NewSwitch()
	s.Off(reason)
	return s
}

func awaitStuck(t *testing.T, h *echohealth.Health) {
	require.Eventually(t, func() bool { return !h.Alive() }, time.Minute, time.Millisecond)
}

// options returns options that each situation needs: a long freshness, so that all requests get the same
// results, and a timeout for a busy machine.
func options(opts ...echohealth.Option) []echohealth.Option {
	return slices.Concat([]echohealth.Option{
		echohealth.WithFreshness(time.Hour), echohealth.WithTimeout(time.Minute), echohealth.WithDrainDelay(0), echohealth.WithLogger(discard),
	}, opts)
}

// bare returns options without the system metrics, whose values depend on the machine.
func bare(opts ...echohealth.Option) []echohealth.Option {
	return append(options(opts...), echohealth.WithoutSystemMetrics())
}

var situations = []situation{
	{
		name: "nothing is checked, and the machine is measured",
		options: options(
			echohealth.WithCPUThreshold(echohealth.Never, echohealth.Never), echohealth.WithMemoryThreshold(echohealth.Never, echohealth.Never),
			echohealth.WithDiskThreshold(echohealth.Never, echohealth.Never),
		),
		ready: "ready", startup: "started", detailed: "healthy",
		checks: map[string]string{"cpu": "ok", "memory": "ok", "disk": "ok"},
	},
	{
		name:    "nothing is checked or measured",
		options: bare(),
		ready:   "ready", startup: "started", detailed: "healthy",
	},
	{
		name:    "all is well",
		options: bare(echohealth.WithDatabase(well), echohealth.WithRedis(well), echohealth.WithAMQP(well), echohealth.WithCelery(talkative), echohealth.WithVersion(`1.4.2 "beta" ü`)),
		ready:   "ready", startup: "started", detailed: "healthy",
		checks: map[string]string{"database": "ok", "celery": "ok"},
	},
	{
		name:    "the processor is measured",
		options: options(echohealth.WithDatabase(well)),
		before:  awaitFigures("cpu"),
		ready:   "ready", startup: "started",
	},
	{
		name:    "something warns, and something optional fails",
		options: bare(echohealth.WithDatabase(slow, echohealth.SlowAfter(time.Millisecond)), echohealth.WithRedis(refused, echohealth.Optional()), echohealth.WithCelery(backlog)),
		ready:   "ready", startup: "started", detailed: "degraded",
		checks: map[string]string{"database": "warning slow", "redis": "error connection_refused", "celery": "warning backlog"},
	},
	{
		name: "everything fails, each in its way",
		options: bare(
			check("refused", refused),
			check("hangs", hangs, echohealth.Timeout(20*time.Millisecond)),
			check("panics", panics),
			check("unknown", failing(errors.New("password=s3cret is wrong"))),
			check("own-word", failing(probes.Fail("licence_expired", nil))),
			check("own.warning", failing(probes.Warn("licence_expires", nil))),
			check("says_nothing", fixed{}),
			check("contradicts", fixed{Status: probes.OK, Err: errors.New("x")}),
			check("bad-word", fixed{Status: probes.Error, Reason: "host db:5432"}),
			check("with-details", fixed{Status: probes.Error, Reason: probes.ReasonPoolStuck, Details: talkative.Details}),
		),
		ready: "not_ready", startup: "started", detailed: "unhealthy",
		checks: map[string]string{
			"refused": "error connection_refused", "hangs": "error timeout", "panics": "error panic", "unknown": "error failed",
			"own-word": "error licence_expired", "own.warning": "warning licence_expires", "says_nothing": "error failed",
			"contradicts": "error failed", "with-details": "error pool_stuck",
		},
	},
	{
		name: "the machine is at its limits",
		options: options(
			echohealth.WithMemoryThreshold(0, 0), echohealth.WithDiskThreshold(0, echohealth.Never), echohealth.WithConnectionsThreshold(0, 0),
			echohealth.WithDisk("uploads", "/"), echohealth.WithDisk("gone", "/does/not/exist"),
		),
		before: awaitMachine,
		ready:  "ready", startup: "started", detailed: "unhealthy",
		checks: map[string]string{"memory": "error above_threshold", "disk": "warning above_threshold", "gone": "warning not_found"},
	},
	{
		name:    "a check has been ok, and one has never been",
		options: bare(check("broke", breaks(1), echohealth.FreshFor(time.Millisecond)), check("refused", refused)),
		before:  func(t *testing.T, h *echohealth.Health) { report(t, h); time.Sleep(2 * time.Millisecond) },
		ready:   "not_ready", startup: "started", detailed: "unhealthy",
		checks: map[string]string{"broke": "error connection_refused", "refused": "error connection_refused"},
		shows:  []string{`","last_ok":"`},
	},
	{
		name:    "a private port shows the errors",
		private: true,
		before:  awaitFigures("memory"),
		options: options(
			check("unknown", failing(errors.New("password=s3cret is wrong"))), check("says_nothing", fixed{}),
			check("long", failing(errors.New(strings.Repeat("ü", 1024)))), check("hangs", hangs, echohealth.Timeout(20*time.Millisecond)),
			check("well", well), check("own.warning", failing(probes.Warn("licence_expires", nil))), echohealth.WithMemoryThreshold(0, 0),
		),
		ready: "not_ready", startup: "started", detailed: "unhealthy",
		checks: map[string]string{"unknown": "error failed", "well": "ok"},
		shows: []string{
			`","error":"password=*** is wrong"}`, `","error":"` + strings.Repeat("ü", 512) + `…"}`,
			`of the memory is in use, more than the critical threshold of 0%"}`,
		},
	},
	{
		name:    "readiness depends on one check alone",
		options: bare(echohealth.WithDatabase(well), echohealth.WithRedis(refused), echohealth.WithReadiness("database")),
		ready:   "ready", startup: "started", detailed: "unhealthy",
	},
	{
		name:    "it runs on a schedule",
		options: bare(echohealth.WithDatabase(refused), echohealth.WithBackground(time.Hour)),
		ready:   "not_ready", startup: "started", detailed: "unhealthy",
	},
	{
		name:    "it is starting",
		options: bare(echohealth.WithDatabase(well), echohealth.WithStartupGate()),
		ready:   "not_ready starting", startup: "starting", detailed: "healthy starting",
	},
	{
		name:    "it is draining",
		options: bare(echohealth.WithDatabase(refused)),
		before:  func(t *testing.T, h *echohealth.Health) { report(t, h); drain(t, h) },
		ready:   "not_ready draining", startup: "started", detailed: "unhealthy draining",
	},
	{
		name:    "it is draining before any check has run",
		options: bare(echohealth.WithDatabase(well)),
		before:  drain,
		ready:   "not_ready draining", startup: "started", detailed: "healthy draining",
	},
	{
		name:    "it is closed",
		options: options(echohealth.WithDatabase(well)),
		before:  func(t *testing.T, h *echohealth.Health) { report(t, h); require.NoError(t, h.Close()) },
		ready:   "not_ready", startup: "started", detailed: "unhealthy",
		checks: map[string]string{"database": "error stale", "cpu": "error stale", "disk": "error stale"},
	},
	{
		name:    "a guard lets a token in",
		options: bare(echohealth.WithDatabase(well), tokenGuard),
		header:  authorization("Bearer s3cret"),
		ready:   "ready", startup: "started", detailed: "healthy",
	},
	{
		name:    "a guard lets a browser in",
		options: bare(echohealth.WithDatabase(refused), tokenGuard),
		header:  authorization("Basic " + base64.StdEncoding.EncodeToString([]byte("anybody:s3cret"))),
		ready:   "not_ready", startup: "started", detailed: "unhealthy",
	},
	{
		name:    "a guard refuses, and a token would help",
		options: bare(echohealth.WithDatabase(well), tokenGuard),
		refused: http.StatusUnauthorized,
		ready:   "ready", startup: "started",
	},
	{
		name:    "a guard refuses, and nothing would help",
		options: bare(echohealth.WithDatabase(refused), echohealth.WithGuard(echohealth.Networks("192.0.2.0/24"))),
		refused: http.StatusForbidden,
		ready:   "not_ready", startup: "started",
	},
	{
		name:    "a guard refuses while it drains",
		options: bare(echohealth.WithDatabase(well), tokenGuard),
		before:  drain,
		refused: http.StatusUnauthorized,
		ready:   "not_ready", startup: "started",
	},
	{
		name: "groups, of which one fails",
		options: bare(echohealth.WithDatabase(well), echohealth.WithRedis(refused, echohealth.Optional()),
			echohealth.WithGroup("payment", "database"), echohealth.WithGroup("cart", "redis", "database")),
		ready: "ready", startup: "started", detailed: "degraded",
		shows: []string{`"groups":{"payment":{"status":"ready","checks":["database"]},"cart":{"status":"not_ready","checks":["redis","database"]}}`},
	},
	{
		name:    "groups while it drains",
		options: bare(echohealth.WithDatabase(well), echohealth.WithGroup("payment", "database")),
		before:  drain,
		ready:   "not_ready draining", startup: "started", detailed: "healthy draining",
		shows: []string{`"groups":{"payment":{"status":"not_ready","checks":["database"]}}`},
	},
	{
		name:    "groups behind a guard that refuses",
		options: bare(echohealth.WithDatabase(well), echohealth.WithGroup("payment", "database"), tokenGuard),
		refused: http.StatusUnauthorized,
		ready:   "ready", startup: "started",
	},
	{
		name: "groups behind a guard that no token opens",
		options: bare(echohealth.WithDatabase(refused), echohealth.WithGroup("payment", "database"),
			echohealth.WithGuard(echohealth.Networks("192.0.2.0/24"))),
		refused: http.StatusForbidden,
		ready:   "not_ready", startup: "started",
	},
	{
		name: "groups that are not public",
		options: bare(echohealth.WithDatabase(well), echohealth.WithGroup("payment", "database"),
			echohealth.WithPublic(echohealth.Live, echohealth.Ready)),
		hidden: true,
		ready:  "ready",
	},
	{
		name: "a switch is off",
		options: bare(echohealth.WithCheck("rotation", turnedOff("maintenance")), echohealth.WithCheck("leader", turnedOff(""),
			echohealth.Optional())),
		ready: "not_ready", startup: "started", detailed: "unhealthy",
		checks: map[string]string{"rotation": "error maintenance", "leader": "error switched_off"},
	},
	{
		name:    "a loop of the process hangs, and a guard refuses",
		options: bare(echohealth.WithLiveness(probes.NewHeartbeat(time.Millisecond)), tokenGuard),
		before:  awaitStuck,
		refused: http.StatusUnauthorized,
		live:    "stuck", ready: "ready", startup: "started",
	},
	{
		name:    "a loop of the process hangs",
		options: bare(echohealth.WithLiveness(probes.NewHeartbeat(time.Millisecond))),
		before:  awaitStuck,
		live:    "stuck", ready: "ready", startup: "started", detailed: "healthy",
	},
	{
		name:    "only live and ready are public",
		options: bare(echohealth.WithDatabase(well), echohealth.WithPublic(echohealth.Live, echohealth.Ready)),
		hidden:  true,
		ready:   "ready",
	},
}

// awaitMachine waits until all metrics that need no second sample have been measured. A Report waits for that
// too, but on a busy machine not long enough.
func awaitMachine(t *testing.T, h *echohealth.Health) {
	awaitFigures("memory", "disk", "uploads", "connections")(t, h)
	require.Eventually(t, func() bool { return findCheck(h.Report(t.Context()), "gone").Reason == probes.ReasonNotFound }, time.Minute, 10*time.Millisecond)
}

// awaitFigures waits until all metrics have been measured. The CPU usage needs two samples.
func awaitFigures(names ...string) func(*testing.T, *echohealth.Health) {
	return func(t *testing.T, h *echohealth.Health) {
		require.Eventually(t, func() bool {
			report := h.Report(t.Context())
			return !slices.ContainsFunc(names, func(name string) bool { return !measured(report, name) })
		}, time.Minute, 10*time.Millisecond)
	}
}

// measured reports whether a metric has more figures than those that need no measurement.
func measured(report echohealth.Report, name string) bool {
	return slices.ContainsFunc(findCheck(report, name).Details, func(a slog.Attr) bool { return a.Key == "percent" || a.Key == "active_connections" })
}

func findCheck(report echohealth.Report, name string) echohealth.Check {
	i := slices.IndexFunc(report.Checks, func(c echohealth.Check) bool { return c.Name == name })
	if i < 0 {
		return echohealth.Check{}
	}
	return report.Checks[i]
}
