package observability

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes/redisprobe"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const deploy = "../../deploy/"

func TestMain(m *testing.M) { testserver.Main(m) }

func read(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(deploy + path)
	require.NoError(t, err)
	return string(text)
}

// service starts a service with a Redis, behind a proxy that can make the service silent.
func service(t testing.TB, server *testserver.Redis, options ...echohealth.Option) *testserver.Proxy {
	t.Helper()
	return serve(t, health(t, server, options...))
}

func health(t testing.TB, server *testserver.Redis, options ...echohealth.Option) *echohealth.Health {
	t.Helper()
	h, err := echohealth.New(append([]echohealth.Option{
		echohealth.WithPrometheus(), echohealth.WithHistory(), echohealth.WithVersion("1.2.3"),
		echohealth.WithRedis(redisprobe.New(client(t, server))), echohealth.WithGroup("cart", "redis"),
		echohealth.WithTimeout(5 * time.Second),
		// The thresholds prevent alerts that the load of this machine would cause.
		echohealth.WithCPUThreshold(echohealth.Never, echohealth.Never),
		echohealth.WithMemoryThreshold(echohealth.Never, echohealth.Never),
		echohealth.WithDiskThreshold(echohealth.Never, echohealth.Never),
	}, options...)...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, h.Close()) })
	return h
}

func client(t testing.TB, server *testserver.Redis) *redis.Client {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), ContextTimeoutEnabled: true})
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	return client
}

func serve(t testing.TB, h http.Handler) *testserver.Proxy {
	t.Helper()
	web := httptest.NewServer(h)
	t.Cleanup(web.Close)
	return testserver.NewProxy(t, strings.TrimPrefix(web.URL, "http://"))
}

// hook is a webhook for Alertmanager.
type hook struct {
	*httptest.Server
	mu       sync.Mutex // guards received
	received []notice
}

// notice is a received alert.
type notice struct {
	receiver            string
	at                  time.Time
	Status              string
	Labels, Annotations map[string]string
}

func newHook(t testing.TB) *hook {
	h := &hook{}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Alerts []notice }
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, n := range body.Alerts {
			n.receiver, n.at = strings.TrimPrefix(r.URL.Path, "/"), time.Now()
			h.received = append(h.received, n)
		}
	}))
	t.Cleanup(h.Close)
	return h
}

// await waits for a notice of an alert with this status.
func (h *hook) await(t testing.TB, alert, status string) notice {
	t.Helper()
	var found notice
	require.Eventually(t, func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, n := range h.received {
			if n.Labels["alertname"] == alert && n.Status == status {
				found = n
				return true
			}
		}
		return false
	}, time.Minute, 20*time.Millisecond, "%s %s", alert, status)
	return found
}

// alerting starts a Prometheus and an Alertmanager with the files of deploy, and with every wait shortened to
// a second. The cause of an alert must last for three seconds, because a scrape may fail while the machine
// pauses.
func alerting(t testing.TB, h *hook, targets ...*testserver.Proxy) (prometheus, alertmanager *testserver.Prometheus) {
	t.Helper()
	routes := strings.ReplaceAll(read(t, "alertmanager/alertmanager.yml"), "http://127.0.0.1:9099", h.URL)
	routes = regexp.MustCompile(`(group_wait|group_interval): \S+`).ReplaceAllString(routes, "$1: 1s")
	alertmanager = testserver.NewAlertmanager(t, routes)
	var addresses []string
	for _, target := range targets {
		addresses = append(addresses, fmt.Sprintf("%q", target.Addr()))
	}
	config := read(t, "prometheus/prometheus.yml")
	config = strings.Replace(config, `["127.0.0.1:8000"]`, "["+strings.Join(addresses, ", ")+"]", 1)
	config = strings.Replace(config, "127.0.0.1:9093", alertmanager.Addr(), 1)
	config = regexp.MustCompile(`(scrape_interval|evaluation_interval): \S+`).ReplaceAllString(config, "$1: 1s")
	rules := regexp.MustCompile(`for: \S+`).ReplaceAllString(read(t, "prometheus/rules.yml"), "for: 3s")
	return testserver.NewPrometheus(t, map[string]string{"prometheus.yml": config, "rules.yml": rules}), alertmanager
}

// received is an alert of Alertmanager's API.
type received struct {
	Fingerprint string
	Labels      map[string]string
	Status      struct{ InhibitedBy []string }
}

// inhibited waits until Alertmanager has one alert with this name, and at least one alert with the name by
// that inhibits it.
func inhibited(t testing.TB, alertmanager *testserver.Prometheus, name, by string) received {
	t.Helper()
	var found received
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		response, err := http.Get("http://" + alertmanager.Addr() + "/api/v2/alerts")
		require.NoError(c, err)
		defer response.Body.Close()
		var all []received
		require.NoError(c, json.NewDecoder(response.Body).Decode(&all))
		var targets, sources []received
		for _, alert := range all {
			switch alert.Labels["alertname"] {
			case name:
				targets = append(targets, alert)
			case by:
				sources = append(sources, alert)
			}
		}
		require.Len(c, targets, 1, "%s of %+v", name, all)
		assert.Condition(c, func() bool {
			return slices.ContainsFunc(sources, func(source received) bool {
				return slices.Contains(targets[0].Status.InhibitedBy, source.Fingerprint)
			})
		}, "%s must be inhibited by %s: %+v", name, by, all)
		found = targets[0]
	}, time.Minute, 50*time.Millisecond)
	return found
}

// value returns the value of an expression, which must have at most one series. It returns false if there is
// none.
func value(t testing.TB, p *testserver.Prometheus, expr string) (string, bool) {
	t.Helper()
	series := query(t, p, expr)
	if len(series) == 0 {
		return "", false
	}
	require.Len(t, series, 1, expr)
	return series[0].Value[1].(string), true
}

type series struct {
	Metric map[string]string
	Value  []any
}

func query(t testing.TB, p *testserver.Prometheus, expr string) []series {
	t.Helper()
	var data struct{ Result []series }
	require.NoError(t, p.Get("query", url.Values{"query": {expr}}, &data), expr)
	return data.Result
}

// becomes waits until an expression has a value.
func becomes(t testing.TB, p *testserver.Prometheus, expr, want string) {
	t.Helper()
	require.Eventually(t, func() bool {
		got, ok := value(t, p, expr)
		return ok && got == want
	}, time.Minute, 50*time.Millisecond, "%s is not %s", expr, want)
}
