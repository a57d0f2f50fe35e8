package echohealth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"github.com/echo-probes/echohealth/internal/engine"
	"github.com/echo-probes/echohealth/internal/history"
	"github.com/echo-probes/echohealth/internal/snapshot"
	"github.com/echo-probes/echohealth/probes"
)

// WithHistory keeps the results of the checks and the system metrics, and answers /history/ below the prefix
// with them: the last hour by the second, the last 24 hours by the minute, and the last 500 changes. New
// allocates the memory for them: 41 KB, and 27 KB for each check and metric. An answer about all of them
// needs a temporary copy of the same size. The history is empty after a restart. WithGuard applies. Without
// this option the path is 404, and no results are kept. Repeated use has no further effect.
func WithHistory() Option {
	return func(c *config) error {
		c.addFeature(History, func(m *monitor, r *router, _ *notifier) any {
			k := &keeper{monitor: m, components: m.components()}
			m.instance = fmt.Sprintf("%08x", rand.Uint32())
			k.history = history.New(k.components, m.start)
			m.record(k.history)
			r.add("/history", &route{endpoint: History, choose: k.responder})
			return k
		})
		return nil
	}
}

// keeper answers /history/ and Health.History.
type keeper struct {
	monitor    *monitor
	components []snapshot.Component
	history    *history.History
	cached     atomic.Pointer[historyAnswer] // the last answer
}

// historyAnswer is an answer for all requests with these parameters in the same second.
type historyAnswer struct {
	window    time.Duration
	component string
	second    int64
	answer    *answer
}

// ErrNoHistory is the error of Health.History without WithHistory.
var ErrNoHistory = errors.New("echohealth: there is no history without WithHistory")

// HistoryReport is the result of Health.History. Its JSON is the answer of /history/.
type HistoryReport struct {
	Instance    string // a random name of this Health, which differs after a restart
	GeneratedAt time.Time
	Since       time.Time     // when the history began
	Window      time.Duration // the argument of History
	Step        time.Duration // how long a column is
	From        time.Time     // when the first column begins; the last column is the present one
	Components  []ComponentHistory
	Changes     []Change // those of checks and metrics in the window, oldest first, without Err

	report history.Report
}

// ComponentHistory is the history of one check or metric.
type ComponentHistory struct {
	Name         string
	Columns      []HistoryColumn
	Availability float64 // the ok and warning results, divided by all results; NaN without results
	Incidents    int     // how often it became an error
}

// HistoryColumn sums up one step of time.
type HistoryColumn struct {
	Status           probes.Status // the worst; empty without data
	Average, Longest time.Duration // response times; zero for a metric, and without data
}

// MarshalJSON returns the answer of /history/ at the time of the report. Later changes of the fields have no
// effect.
func (r HistoryReport) MarshalJSON() ([]byte, error) { return r.report.Append(nil), nil }

// History returns what /history/ answers for the window that ends now, which must be from 1 minute to 24
// hours. Like Report it is a look (see Health). A window of up to an hour uses the results by the second, a
// longer one those by the minute. Without WithHistory the error is ErrNoHistory.
func (h *Health) History(ctx context.Context, window time.Duration) (HistoryReport, error) {
	k, ok := h.features[History].(*keeper)
	if !ok {
		return HistoryReport{}, ErrNoHistory
	}
	if err := validWindow(window); err != nil {
		return HistoryReport{}, fmt.Errorf("echohealth: History(%s): %w", window, err)
	}
	return newHistoryReport(k.report(ctx, window, "")), nil
}

func validWindow(window time.Duration) error {
	if window < history.MinWindow || window > history.MaxWindow {
		return errors.New("window must be a duration from 1m to 24h, such as 1h")
	}
	return nil
}

// report runs the due checks, waits for the shown checks, and returns their history.
func (k *keeper) report(ctx context.Context, window time.Duration, component string) history.Report {
	shown := k.monitor.checks
	if component != "" {
		shown = slices.DeleteFunc(slices.Clone(shown), func(c *engine.Check) bool { return c.Name != component })
	}
	k.monitor.look(ctx, shown)
	r := k.history.Report(window, component, time.Now())
	r.Instance = k.monitor.instance
	return r
}

// responder returns an answerer for this request.
func (k *keeper) responder(r *http.Request) answerer {
	return responder(func(context.Context) *answer { return k.respond(r) })
}

func (k *keeper) respond(r *http.Request) *answer {
	window, component, err := k.parse(r.URL.RawQuery)
	if err != nil {
		text, _ := json.Marshal(err.Error())
		return newAnswer(http.StatusBadRequest, fmt.Appendf(nil, `{"error":"bad_request","message":%s}`, text))
	}
	second := time.Now().Unix()
	if c := k.cached.Load(); c != nil && c.second == second && c.window == window && c.component == component {
		return c.answer
	}
	a := newAnswer(http.StatusOK, k.report(r.Context(), window, component).Append(nil))
	k.cached.Store(&historyAnswer{window, component, second, a})
	return a
}

// parse reads the parameters. Its errors state the rule, and do not quote the query.
func (k *keeper) parse(query string) (window time.Duration, component string, err error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return 0, "", errors.New("the query must be encoded as in a URL")
	}
	for name, given := range values {
		if name != "window" && name != "component" { // a misspelled name must not be the default
			return 0, "", errors.New("the parameters must be window and component only")
		}
		if len(given) > 1 {
			return 0, "", fmt.Errorf("%s must be given once", name)
		}
	}
	window = time.Hour
	if values.Has("window") {
		if window, err = time.ParseDuration(values.Get("window")); err != nil {
			window = 0
		}
	}
	if err := validWindow(window); err != nil {
		return 0, "", err
	}
	component = values.Get("component")
	known := func(c snapshot.Component) bool { return c.Name == component }
	if values.Has("component") && !slices.ContainsFunc(k.components, known) {
		return 0, "", errors.New("component must be the name of a check or of a system metric")
	}
	return window, component, nil
}

func newHistoryReport(from history.Report) HistoryReport {
	r := HistoryReport{
		Instance: from.Instance, GeneratedAt: from.Made, Since: from.Since,
		Window: from.Window, Step: from.Step, From: from.From,
		report: from,
	}
	for _, c := range from.Components {
		r.Components = append(r.Components, newComponentHistory(c))
	}
	for _, c := range from.Changes {
		r.Changes = append(r.Changes, Change{
			Check: c.Component, From: c.From, To: c.To, Reason: c.Reason, Lasted: c.After, At: c.At,
		})
	}
	return r
}

func newComponentHistory(from history.Component) ComponentHistory {
	c := ComponentHistory{Name: from.Name, Availability: math.NaN(), Incidents: from.Incidents}
	if from.Availability.Known {
		c.Availability = from.Availability.Value
	}
	for _, column := range from.Columns {
		c.Columns = append(c.Columns, HistoryColumn{
			Status: column.Status, Average: milliseconds(column.AvgMS), Longest: milliseconds(column.MaxMS),
		})
	}
	return c
}

func milliseconds(f snapshot.Figure) time.Duration {
	return time.Duration(f.Value * float64(time.Millisecond))
}
