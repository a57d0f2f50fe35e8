package contract

import (
	"context"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/probes"
	"github.com/stretchr/testify/require"
)

// situation is a Health in some state, and the requests to it with their answers.
type situation struct {
	name     string
	options  []echohealth.Option
	before   func(t *testing.T, h *echohealth.Health) // runs before the first request; may be nil
	header   http.Header                              // sent with each request
	measures bool                                     // the answers contain system metrics, which change
	closes   bool                                     // every answer has Connection: close
	ours     []answer                                 // of the middleware, also with a trailing slash
	theirs   []answer                                 // of the application, besides the variable application
}

// answer is the answer to GET of a path. In the field ours of a situation, the body can have placeholders:
// <time>, <ms> and <n> stand for any timestamp, duration and number, and <...> stands for any text.
type answer struct {
	path   string
	status int
	body   string
}

func (a answer) withSlash() answer {
	a.path += "/"
	return a
}

// placeholders replaces each placeholder in a body by its regular expression.
var placeholders = strings.NewReplacer(
	`<time>`, `"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"`,
	`<ms>`, `\d+(\.\d{1,2})?`,
	`<n>`, `\d+(\.\d+)?`,
	`<\.\.\.>`, `.*`,
)

// pattern returns the regular expression that the body of a reply must match.
func (a answer) pattern() *regexp.Regexp {
	return regexp.MustCompile("^" + placeholders.Replace(regexp.QuoteMeta(a.body)) + "$")
}

// allOptions adds the options of all situations. The freshness lasts for the whole test, so that all answers
// show the same result. The timeout is long enough for a busy machine.
func (s situation) allOptions() []echohealth.Option {
	options := slices.Concat(s.options, []echohealth.Option{
		echohealth.WithFreshness(time.Hour),
		echohealth.WithTimeout(time.Minute),
		echohealth.WithLogger(slog.New(slog.DiscardHandler)),
	})
	if !s.measures {
		options = append(options, echohealth.WithoutSystemMetrics())
	}
	return options
}

func options(opts ...echohealth.Option) []echohealth.Option { return opts }

// application has the answers of the application in every situation.
var application = []answer{
	{"/hello", 200, "hello"},
	{"/api/healthy", 200, "the application's own"},
	{"/fails", 500, "the application's error handler"},
	{"/", 404, "the application's 404"},
	{"/api", 404, "the application's 404"},
	{"/api/health.json", 404, "the application's 404"},
	{"/API/HEALTH/live", 404, "the application's 404"},
	{"//api/health/live", 404, "the application's 404"},
	{"/x/api/health/live", 404, "the application's 404"},
}

const (
	alive        = `{"status":"alive","timestamp":<time>}`
	started      = `{"status":"started","timestamp":<time>}`
	notFound     = `{"error":"not_found"}`
	unauthorized = `{"error":"unauthorized"}`
	forbidden    = `{"error":"forbidden"}`

	databaseOK   = `{"status":"ok","response_time_ms":<ms>,"since":<time>}`
	redisDown    = `{"status":"error","reason":"connection_refused","response_time_ms":<ms>,"since":<time>}`
	celeryWarns  = `{"status":"warning","reason":"backlog","response_time_ms":<ms>,"since":<time>,"pending_tasks":10,"consumers":2}`
	bothChecks   = `{"database":` + databaseOK + `,"redis":` + redisDown + `}`
	notReadyBoth = `{"status":"not_ready","timestamp":<time>,"checks":` + bothChecks + `}`
	notReady     = `{"status":"not_ready","timestamp":<time>}`
	unhealthy    = `{"status":"unhealthy","timestamp":<time>,"checks":` + bothChecks + `}`
	readyOne     = `{"status":"ready","timestamp":<time>,"checks":{"database":` + databaseOK + `}}`
	healthyOne   = `{"status":"healthy","timestamp":<time>,"checks":{"database":` + databaseOK + `}}`
)

var (
	well    = probes.Func(func(context.Context) error { return nil })
	refused = probes.Func(func(context.Context) error { return syscall.ECONNREFUSED })
	backlog = fixed{Status: probes.Warning, Reason: "backlog",
		Details: []slog.Attr{slog.Int("pending_tasks", 10), slog.Int("consumers", 2)}}

	oneWell = echohealth.WithDatabase(well)
	oneDown = echohealth.WithRedis(refused)
	token   = echohealth.WithGuard(echohealth.BearerToken("s3cret"))
)

// fixed is a probe with a constant result.
type fixed probes.Result

func (f fixed) Check(context.Context) probes.Result { return probes.Result(f) }

// awaitMetrics waits until memory, disk and connections have been measured. Report waits for that too, but
// not long enough on a busy machine.
func awaitMetrics(t *testing.T, h *echohealth.Health) {
	require.Eventually(t, func() bool {
		measured := 0
		for _, check := range h.Report(t.Context()).Checks {
			if slices.Contains([]string{"memory", "disk", "connections"}, check.Name) && len(check.Details) > 0 {
				measured++
			}
		}
		return measured == 3
	}, time.Minute, 10*time.Millisecond)
}

var situations = []situation{
	{
		name:    "all checks are ok",
		options: options(oneWell),
		ours: []answer{
			{"/api/health/live", 200, alive},
			{"/api/health/ready", 200, readyOne},
			{"/api/health/startup", 200, started},
			{"/api/health/detailed", 200, healthyOne},
			{"/api/health", 200, healthyOne},
			{"/api/health/checks/database", 200, databaseOK},
		},
	},
	{
		name:    "a check fails",
		options: options(oneWell, oneDown),
		ours: []answer{
			{"/api/health/live", 200, alive},
			{"/api/health/ready", 503, notReadyBoth},
			{"/api/health/startup", 200, started},
			{"/api/health/detailed", 200, unhealthy},
			{"/api/health", 200, unhealthy},
			{"/api/health/checks/database", 200, databaseOK},
			{"/api/health/checks/redis", 503, redisDown},
		},
	},
	{
		name: "an optional check fails, and one warns",
		options: options(oneWell, echohealth.WithRedis(refused, echohealth.Optional()),
			echohealth.WithCelery(backlog), echohealth.WithVersion("1.4.2")),
		ours: []answer{
			{"/api/health/ready", 200, `{"status":"ready","timestamp":<time>,"checks":{"database":` + databaseOK + `,"celery":` + celeryWarns + `}}`},
			{"/api/health/detailed", 200, `{"status":"degraded","timestamp":<time>,"version":"1.4.2","checks":{"database":` + databaseOK + `,"redis":` + redisDown + `,"celery":` + celeryWarns + `}}`},
			{"/api/health/checks/redis", 503, redisDown},
			{"/api/health/checks/celery", 200, celeryWarns},
		},
	},
	{
		name: "without checks",
		ours: []answer{
			{"/api/health/ready", 200, `{"status":"ready","timestamp":<time>,"checks":{}}`},
			{"/api/health/detailed", 200, `{"status":"healthy","timestamp":<time>,"checks":{}}`},
			{"/api/health/checks/cpu", 404, notFound},
		},
	},
	{
		name:     "the system is measured",
		options:  options(oneWell, oneDown),
		before:   awaitMetrics,
		measures: true,
		ours: []answer{
			{"/api/health/ready", 503, notReadyBoth},
			{"/api/health/detailed", 200, `{"status":"unhealthy","timestamp":<time>,"checks":{"database":` + databaseOK + `,"redis":` + redisDown +
				`,"cpu":{"status":<...>,"since":<time><...>},"memory":{"status":<...>},"disk":{"status":<...>},"connections":{"status":<...>}<...>}}`},
			{"/api/health/checks/cpu", 200, `{"status":<...>,"since":<time>,<...>"count":<n><...>}`},
			{"/api/health/checks/memory", 200, `{"status":<...>,"since":<time>,"percent":<n>,"available_mb":<n>,"total_mb":<n><...>}`},
			{"/api/health/checks/disk", 200, `{"status":<...>,"since":<time>,"percent":<n>,"free_mb":<n>,"total_mb":<n><...>}`},
			{"/api/health/checks/connections", 200, `{"status":<...>,"since":<time>,"active_connections":<n><...>}`},
		},
	},
	{
		name:    "unknown paths, and an escaped one",
		options: options(oneWell),
		ours: []answer{
			{"/api/health/nope", 404, notFound},
			{"/api/health/LIVE", 404, notFound},
			{"/api/health/live/x", 404, notFound},
			{"/api/health/checks", 404, notFound},
			{"/api/health/checks/unknown", 404, notFound},
			{"/api/health/checks/database/x", 404, notFound},
			{"/api/health//", 404, notFound},
			{"/api/health//live", 404, notFound},
			{"/api/health/live/..", 404, notFound},
			{"/api/health/%6Cive", 200, alive},
		},
	},
	{
		name:    "another prefix",
		options: options(oneWell, echohealth.WithPrefix("/internal/status")),
		ours: []answer{
			{"/internal/status", 200, healthyOne},
			{"/internal/status/live", 200, alive},
			{"/internal/status/nope", 404, notFound},
		},
		theirs: []answer{
			{"/api/health", 404, "the application's 404"},
			{"/api/health/live", 404, "the application's 404"},
			{"/internal", 404, "the application's 404"},
		},
	},
	{
		name: "aliases",
		options: options(oneWell, echohealth.WithAlias("/livez", echohealth.Live),
			echohealth.WithAlias("/ops/status", echohealth.Index)),
		ours: []answer{
			{"/livez", 200, alive},
			{"/ops/status", 200, healthyOne},
			{"/api/health/live", 200, alive},
		},
		theirs: []answer{
			{"/livezz", 404, "the application's 404"},
			{"/livez/x", 404, "the application's 404"},
			{"/ops", 404, "the application's 404"},
			{"/ops/status//", 404, "the application's 404"},
		},
	},
	{
		name: "only live and ready are public",
		options: options(oneWell, echohealth.WithPublic(echohealth.Live, echohealth.Ready),
			echohealth.WithAlias("/readyz", echohealth.Ready)),
		ours: []answer{
			{"/api/health/live", 200, alive},
			{"/api/health/ready", 200, readyOne},
			{"/api/health/startup", 404, notFound},
			{"/api/health/detailed", 404, notFound},
			{"/api/health", 404, notFound},
			{"/api/health/checks/database", 404, notFound},
			{"/readyz", 200, readyOne},
		},
	},
	{
		name:    "a guard allows",
		options: options(oneWell, oneDown, token),
		header:  http.Header{"Authorization": {"Bearer s3cret"}},
		ours: []answer{
			{"/api/health/live", 200, alive},
			{"/api/health/ready", 503, notReadyBoth},
			{"/api/health/detailed", 200, unhealthy},
			{"/api/health/checks/redis", 503, redisDown},
			{"/api/health/nope", 404, notFound},
		},
	},
	{
		name: "a guard refuses, and a token would help",
		options: options(oneWell, oneDown, token, echohealth.WithAlias("/readyz", echohealth.Ready),
			echohealth.WithAlias("/status", echohealth.Detailed)),
		header: http.Header{"Authorization": {"Bearer guess"}},
		ours: []answer{
			{"/api/health/live", 200, alive},
			{"/api/health/ready", 503, notReady},
			{"/readyz", 503, notReady},
			{"/api/health/startup", 200, started},
			{"/api/health/detailed", 401, unauthorized},
			{"/status", 401, unauthorized},
			{"/api/health", 401, unauthorized},
			{"/api/health/checks/redis", 401, unauthorized},
			{"/api/health/checks/unknown", 401, unauthorized},
			{"/api/health/nope", 401, unauthorized},
			{"/api/health/live/x", 401, unauthorized},
		},
	},
	{
		name:    "a guard refuses, and nothing would help",
		options: options(oneWell, echohealth.WithGuard(echohealth.Networks("127.0.0.0/8", "::1/128"))),
		header:  http.Header{"X-Forwarded-For": {"127.0.0.1"}},
		ours: []answer{
			{"/api/health/live", 200, alive},
			{"/api/health/ready", 200, `{"status":"ready","timestamp":<time>}`},
			{"/api/health/startup", 200, started},
			{"/api/health/detailed", 403, forbidden},
			{"/api/health", 403, forbidden},
			{"/api/health/checks/database", 403, forbidden},
			{"/api/health/nope", 403, forbidden},
		},
	},
	{
		name:    "the startup gate is shut",
		options: options(oneWell, echohealth.WithStartupGate()),
		ours: []answer{
			{"/api/health/live", 200, alive},
			{"/api/health/startup", 503, `{"status":"starting","timestamp":<time>}`},
			{"/api/health/ready", 503, `{"status":"not_ready","timestamp":<time>,"reason":"starting","checks":{"database":` + databaseOK + `}}`},
			{"/api/health/detailed", 200, `{"status":"healthy","timestamp":<time>,"phase":"starting","checks":{"database":` + databaseOK + `}}`},
		},
	},
	{
		name:    "the startup gate is open",
		options: options(oneWell, echohealth.WithStartupGate()),
		before:  func(_ *testing.T, h *echohealth.Health) { h.MarkStarted() },
		ours: []answer{
			{"/api/health/startup", 200, started},
			{"/api/health/ready", 200, readyOne},
		},
	},
	{
		name:    "the service drains",
		options: options(oneWell, echohealth.WithDrainDelay(0)),
		before: func(t *testing.T, h *echohealth.Health) {
			h.Report(t.Context())
			require.NoError(t, h.Drain(t.Context()))
		},
		closes: true,
		ours: []answer{
			{"/api/health/live", 200, alive},
			{"/api/health/ready", 503, `{"status":"not_ready","timestamp":<time>,"reason":"draining","checks":{"database":` + databaseOK + `}}`},
			{"/api/health/startup", 200, started},
			{"/api/health/detailed", 200, `{"status":"healthy","timestamp":<time>,"phase":"draining","checks":{"database":` + databaseOK + `}}`},
			{"/api/health/nope", 404, notFound},
		},
	},
	{
		name:    "the service drains before a check has run, and a guard refuses",
		options: options(oneWell, token, echohealth.WithDrainDelay(0)),
		before:  func(t *testing.T, h *echohealth.Health) { require.NoError(t, h.Drain(t.Context())) },
		closes:  true,
		ours: []answer{
			{"/api/health/ready", 503, notReady},
			{"/api/health/detailed", 401, unauthorized},
		},
	},
	{
		name:    "it is closed",
		options: options(oneWell),
		before: func(t *testing.T, h *echohealth.Health) {
			h.Report(t.Context())
			require.NoError(t, h.Close())
		},
		ours: []answer{
			{"/api/health/live", 200, alive},
			{"/api/health/startup", 200, started},
			{"/api/health/ready", 503, `{"status":"not_ready","timestamp":<time>,"checks":{"database":{"status":"error","reason":"stale","response_time_ms":<ms>,"since":<time>,"last_ok":<time>}}}`},
			{"/api/health/detailed", 200, `{"status":"unhealthy","timestamp":<time>,"checks":{"database":{"status":"error","reason":"stale","response_time_ms":<ms>,"since":<time>,"last_ok":<time>}}}`},
			{"/api/health/checks/database", 503, `{"status":"error","reason":"stale","response_time_ms":<ms>,"since":<time>,"last_ok":<time>}`},
		},
	},
}
